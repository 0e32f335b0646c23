"""RFC 5804: what ManageSieve makes of SASL, in the cases of all protocols of lines and in its own."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Final

from saslsspi.adapters.mail.line_protocol import Capabilities, LineProtocol, Reply
from saslsspi.adapters.mail.lines import read
from saslsspi.adapters.mail.strings import Word, words
from saslsspi.errors import SaslError
from saslsspi_conformance.case import CaseError, NotApplicable, Observation, against_server, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.cases import around_tls
from saslsspi_conformance.cases.mail import client, server
from saslsspi_conformance.peers.digest.client import Protected, ScriptedDigestClient
from saslsspi_conformance.peers.mail_lines import begin, code, connect
from saslsspi_conformance.targets.mail import MailConversation

_NAME: Final = "sieve"

for _shared, _ids in (
    (server.unknown_mechanism, "RFC5804-2.1-01 RFC5804-1.2-02"),
    (server.empty_challenge, "RFC5804-2.1-06"),
    (server.cancel, "RFC5804-2.1-04"),
    (server.no_base64, "RFC5804-2.1-21"),
    (server.bad_padding, "RFC5804-2.1-21"),
    (server.bad_initial_response, "RFC5804-2.1-21"),
    (server.initial_response, "RFC5804-2.1-07 RFC4422-4-05"),
    (server.empty_initial_response, "RFC5804-2.1-07 RFC4422-4-06"),
    (server.uninvited_initial_response, "RFC5804-2.1-08"),
    (server.after_failure, "RFC5804-2.1-19"),
    (server.second_auth, "RFC5804-2.1-10 RFC4422-3.8-01"),
    (server.success, "RFC5804-2.1-09 RFC5804-1.2-02"),
    (server.wrong_password, "RFC4422-3.6-03"),
    (server.listed_afterwards, "RFC4422-4-03"),
    (server.long_line, "RFC5804-4-02"),
    (server.layer_begins, "RFC5804-2.1-11 RFC5804-2.1-12"),
    (server.own_authzid, "RFC5804-2.1-16"),
    (server.prepared_authzid, "RFC5804-2.1-17"),
    (server.authzid_prepared_to_nothing, "RFC5804-2.1-18"),
    (around_tls.layer_inside_tls, "RFC5804-2.1-15 RFC4422-4-17"),
    (around_tls.plain_under_tls, "RFC5804-1.7-10 RFC5804-2.1-20 RFC4616-2-12"),
    (around_tls.no_password_in_clear, "RFC5804-5-01"),
    (client.log_on, "RFC5804-2.1-09 RFC4422-3.3-01"),
    (client.lines, "RFC5804-2.1-03"),
    (client.cancels, "RFC5804-2.1-05"),
    (client.undecodable_challenge, "RFC5804-2.1-05"),
    (client.client_first, "RFC5804-2.1-07 RFC4422-3.3-02"),
    (client.no_layer, "RFC5804-2.1-11"),
):
    _shared.carried_by(_NAME, _ids)


def _shown(reply: Reply | None) -> str:
    return "nothing" if reply is None else f"{reply.word} {reply.text.decode(errors='replace')}"


@against_server("RFC5804-1.7-01", "RFC5804-1.7-02", "RFC5804-1.7-08", carrier=_NAME)
def capabilities_in_the_greeting(run: CaseRun) -> Observation:
    """The greeting is the capabilities, and IMPLEMENTATION, SIEVE and VERSION, which is 1.0, are among them."""
    connection = connect(run)
    values = connection.listed.values
    right = {"IMPLEMENTATION", "SIEVE", "VERSION"} <= values.keys() and values["VERSION"] == "1.0"
    return holds(right, ", ".join(values))


@against_server("RFC5804-1.7-03", carrier=_NAME)
def one_or_two_strings(run: CaseRun) -> Observation:
    """A capability is one or two strings, and no name is there twice."""
    found = [words(line) for line in connect(run).capabilities().split(b"\n")[:-1]]
    names = [line[0].text.decode(errors="replace").upper() for line in found]
    right = all(len(line) <= 2 and all(word.is_string for word in line) for line in found)
    return holds(names and right and len(set(names)) == len(names), ", ".join(names))


@against_server("RFC5804-1.7-04", "RFC4422-3.1-01", carrier=_NAME)
def mechanisms_or_tls(run: CaseRun) -> Observation:
    """The list of mechanisms is empty only where STARTTLS is offered, and its names are of the right form."""
    listed = connect(run).listed
    right = all(re.fullmatch("[A-Z0-9_-]{1,20}", name) for name in listed.mechanisms or ())
    return holds(right and (listed.mechanisms or listed.starttls), f"{listed.mechanisms}, STARTTLS {listed.starttls}")


@against_server("RFC5804-1.7-05", carrier=_NAME)
def no_tls_afterwards(run: CaseRun) -> Observation:
    """After authentication STARTTLS is not offered."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    connection.capabilities()
    return holds(not connection.listed.starttls)


@against_server("RFC5804-1.7-06", carrier=_NAME)
def no_owner_before(run: CaseRun) -> Observation:
    """Before authentication nobody is OWNER."""
    return holds("OWNER" not in connect(run).listed.values)


@against_server("RFC5804-1.7-07", carrier=_NAME)
def owner_afterwards(run: CaseRun) -> Observation:
    """After authentication OWNER is the user."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    connection.capabilities()
    owner = connection.listed.values.get("OWNER", "")
    return holds(run.target.account.user in owner, owner or "no OWNER")


@against_server("RFC5804-2-01", carrier=_NAME)
def nothing_before_authentication(run: CaseRun) -> Observation:
    """Before authentication the commands for scripts get NO."""
    connection = connect(run)
    replies = [connection.ask(line).code for line in (b"LISTSCRIPTS", b'GETSCRIPT "x"')]
    return holds(replies == ["NO"] * 2, ", ".join(replies))


@against_server("RFC5804-1.6-01", carrier=_NAME)
def a_name_of_128_characters(run: CaseRun) -> Observation:
    """A script's name has room for 128 characters."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = connection.ask(b'HAVESPACE "' + "\u00e9".encode() * 128 + b'" 10')
    return holds(reply.code == "OK", _shown(reply.said))


@against_server("RFC5804-2.13-01", "RFC5804-1.2-01", carrier=_NAME)
def noop_says_its_string(run: CaseRun) -> Observation:
    """NOOP says its string again in the code TAG, and takes it quoted or as a literal."""
    connection = connect(run)
    replies = [connection.ask(line) for line in (b'NOOP "again"', b"NOOP {5+}\r\nagain")]
    right = [Word(b"TAG", False), Word(b"again", True)]
    found = all(reply.code == "OK" and right == words(reply.last)[2:4] for reply in replies)
    return holds(found, ", ".join(_shown(reply.said) for reply in replies))


@against_server("RFC5804-2.3-01", carrier=_NAME)
def logout(run: CaseRun) -> Observation:
    """LOGOUT gets OK, and the server closes."""
    connection = connect(run)
    reply = connection.ask(b"LOGOUT")
    return holds(reply.code == "OK" and connection.receive() == b"", _shown(reply.said))


@against_server("RFC5804-4-01", carrier=_NAME)
def commands_have_no_case(run: CaseRun) -> Observation:
    """The name of a command may be written in any case."""
    run.need("DIGEST-MD5")
    return holds(connect(run).command(b'aUthenticatE "DIGEST-MD5"').code == "+")


@against_server("RFC5804-2.1-02", carrier=_NAME)
def challenge_is_a_string(run: CaseRun) -> Observation:
    """A challenge is one string that holds base64."""
    run.need("DIGEST-MD5")
    reply = begin(connect(run), b"DIGEST-MD5")
    found = words(b"\r\n".join(reply.lines)) if len(reply.lines) == 1 else [Word(b"".join(reply.lines[1:]), True)]
    right = len(found) == 1 and found[0].is_string and re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", found[0].text)
    return holds(right, reply.last.decode(errors="replace"))


@against_server("RFC5804-1.3-03", carrier=_NAME)
def last_data(run: CaseRun) -> Observation:
    """The rspauth comes in the code SASL of the OK, or as one more challenge."""
    own = ScriptedDigestClient(run, on=connect(run))
    own.begin()
    own.finish(own.connection.respond(own.write()))
    return holds((own.proof or b"").startswith(b"rspauth="), "no rspauth")


@against_server("RFC5804-4-03", carrier=_NAME)
def nothing_behind_success(run: CaseRun) -> Observation:
    """Where there is no layer, no capabilities follow the OK."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = connection.ask(b"NOOP")
    return holds(reply.code == "OK" and len(reply.lines) == 1, _shown(reply.said))


@against_server("RFC5804-2.1-13", carrier=_NAME)
def all_mechanisms_under_the_layer(run: CaseRun) -> Observation:
    """The capabilities under a layer name all mechanisms of before."""
    connection = connect(run)
    before = set(connection.supported())
    layer = ScriptedDigestClient(run, on=connection, qop="auth-int").layer()
    after = set(_listed_under(layer, connection.protocol).mechanisms or ())
    return holds(before <= after, f"not among them: {', '.join(sorted(before - after))}")


def _listed_under(layer: Protected, protocol: LineProtocol) -> Capabilities:
    """The capabilities that come unasked under a layer."""
    text = b""
    while (buffer := layer.stream.buffer()) is not None:
        more, wrong = layer.back.unwrap(buffer)
        if wrong:
            raise CaseError(f"what comes first under the layer cannot be opened: {wrong}")
        text += more
        with contextlib.suppress(SaslError):  # not whole yet
            return read(io.BytesIO(text), protocol.read_capabilities(b""))
    raise CaseError(f"no list of capabilities comes under the layer: {layer.stream.state}")


def _in_tls(run: CaseRun) -> MailConversation:
    connection = connect(run)
    if "STARTTLS" not in connection.listed.values:
        raise NotApplicable("the server does not offer STARTTLS")
    connection.start_tls()
    return connection


@against_server("RFC5804-2.2-01", "RFC5804-2.2-02", carrier=_NAME)
def capabilities_under_tls(run: CaseRun) -> Observation:
    """Once TLS is there the capabilities come unasked, without STARTTLS."""
    listed = _in_tls(run).listed
    return holds(listed.mechanisms and not listed.starttls, ", ".join(listed.values))


@against_server("RFC5804-2.2-03", carrier=_NAME)
def tls_comes_first(run: CaseRun) -> Observation:
    """STARTTLS after authentication gets NO."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    return code(connection.ask(b"STARTTLS"), connection.protocol, "NO")


@against_server("RFC5804-2.1-20", carrier=_NAME)
def what_everybody_has(run: CaseRun) -> Observation:
    """SCRAM-SHA-1 is there, and PLAIN under TLS."""
    names = set(_in_tls(run).supported())
    return holds({"SCRAM-SHA-1", "PLAIN"} <= names, ", ".join(sorted(names)))
