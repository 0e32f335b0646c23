"""RFC 9051, RFC 4959, RFC 4954 and RFC 5034: what a client of IMAP, SMTP or POP3 makes of SASL."""

from __future__ import annotations

import re

from saslsspi_conformance.case import (
    REFUSAL,
    SUCCESS,
    CaseError,
    NotApplicable,
    Observation,
    Reaction,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.cases.shared import on_clients
from saslsspi_conformance.peers.digest.server import ScriptedDigestServer
from saslsspi_conformance.peers.scram_ends import ScriptedScramServer
from saslsspi_conformance.targets.listen.mail import MailClientConversation

_FAILURE = frozenset({Reaction.FAILURE})


def _conversation(server: ScriptedDigestServer) -> MailClientConversation:
    assert isinstance(server.connection, MailClientConversation)
    return server.connection


@on_clients(imap="RFC4422-3.3-01 RFC4422-3-06", smtp="RFC4422-3.3-01", pop3="RFC4422-3.3-01", accept=SUCCESS)
def log_on(run: CaseRun) -> Observation:
    """The client names one mechanism and goes through a right exchange."""
    return ScriptedDigestServer(run).log_on()


@on_clients(imap="IMAP3501-6.2.2-05 IMAP4959-3-01", smtp="SMTP4954-4-27", pop3="POP5034-4-22")
def lines(run: CaseRun) -> Observation:
    """Every response is base64 on one line, not folded."""
    server = ScriptedDigestServer(run)
    server.log_on()
    raw = _conversation(server).raw
    return holds(raw and all(re.fullmatch(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=)?", line)
                             for line in raw), f"{len(raw)} lines")  # fmt: skip


@on_clients(imap="IMAP3501-6.2.2-06", accept=REFUSAL)
def undecodable_challenge_ends_it(run: CaseRun) -> Observation:
    """A challenge that is no base64 makes the client cancel, or leave."""
    return _conversation(ScriptedDigestServer(run)).challenge_line(b"%%%").seen


@on_clients(smtp="SMTP4954-4-27", pop3="POP5034-4-22", accept=_FAILURE)
def undecodable_challenge(run: CaseRun) -> Observation:
    """A challenge that is no base64 makes the client cancel with an asterisk."""
    return _conversation(ScriptedDigestServer(run)).challenge_line(b"%%%").seen


@on_clients(imap="IMAP3501-6.2.2-06", smtp="SMTP4954-4-08", pop3="POP5034-4-06", accept=REFUSAL)
def cancels(run: CaseRun) -> Observation:
    """A challenge that the mechanism refuses makes the client cancel with an asterisk, or leave."""
    server = ScriptedDigestServer(run)
    return server.ask(server.challenge(nonce=b""))


@on_clients(imap="IMAP4959-3-08 IMAP4959-3-09")
def no_initial_response_where_none_is_announced(run: CaseRun) -> Observation:
    """A client does not send an initial response where SASL-IR is not announced, and waits for the empty challenge."""
    run.need("SCRAM-SHA-256")
    conversation = run.meet("SCRAM-SHA-256", Setting(initial_responses=False))
    begun = conversation.start()
    if begun.data is not None:
        return holds(False, "an initial response came")
    return holds((conversation.challenge(b"").data or b"").startswith((b"n,", b"y,", b"p=")))


@on_clients(imap="RFC4422-3.3-02", smtp="SMTP4954-4-01", pop3="POP5034-4-01", accept=SUCCESS)
def client_first(run: CaseRun) -> Observation:
    """A mechanism in which the client speaks first begins with an initial response or after an empty challenge."""
    server = ScriptedScramServer(run)
    server.first()
    return server.finish(server.signature())


@on_clients(
    imap="IMAP3501-6.2.2-17 RFC4422-6.1.2-05",
    smtp="SMTP4954-4-14 SMTP4954-4-15 RFC4422-6.1.2-05",
    pop3="POP5034-4-15 RFC4422-6.1.2-05",
)
def capabilities_under_the_layer(run: CaseRun) -> Observation:
    """When a layer begins, the client asks for the capabilities anew, under the layer."""
    text, wrong = ScriptedDigestServer(run).layer("auth-int").request()[1:]
    return holds(not wrong and re.match(rb"(\S+ CAPABILITY|EHLO |CAPA)", text, re.I), wrong or repr(text[:40]))


@on_clients(smtp="SMTP4954-4-16", imap="IMAP3501-6.2.2-10", accept=SUCCESS)
def no_layer(run: CaseRun) -> Observation:
    """Without a layer the client goes on in clear."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge(qop="auth"))
    seen = server.finish(server.proof())
    octets = server.connection.receive()
    return (
        seen
        if octets[:1].isascii() and octets[:1] != b"\0"
        else Observation(Reaction.BROKEN, "octets that are no command")
    )


@on_clients(smtp="SMTP4954-4-38")
def nothing_behind_the_command(run: CaseRun) -> Observation:
    """Nothing is sent behind AUTH before the server has answered."""
    server = ScriptedDigestServer(run)
    conversation = _conversation(server)
    return holds(not conversation.waiting, "a command came with AUTH")


@on_clients(smtp="SMTP4954-4-23", pop3="POP5034-4-12")
def long_initial_response(run: CaseRun) -> Observation:
    """An initial response that makes the command line too long waits for the empty challenge."""
    if not run.target.local:
        raise NotApplicable("the client's message has the length that it has")
    limit = 512 if run.target.service == "smtp" else 255
    conversation = run.meet("SCRAM-SHA-256", Setting(authzid="x" * limit))
    begun = conversation.start()
    if begun.outcome is not Reaction.RESPONSE:
        raise CaseError(f"the client did not begin: {begun.outcome} {begun.text}")
    return holds(begun.data is None, f"an initial response of {len(begun.data or b'')} octets came")


@on_clients(pop3="POP5034-3-03", smtp="SMTP4954-3-01", imap="IMAP3501-6.2.2-14")
def listed_mechanisms_only(run: CaseRun) -> Observation:
    """The client asks for the capabilities before it authenticates."""
    commands = _conversation(ScriptedDigestServer(run)).commands
    announced = run.target.service == "imap"  # its greeting says what a client needs
    asked = any(re.match(rb"(\S+ CAPABILITY|EHLO |CAPA)", line, re.I) for line in commands)
    return holds(asked or announced, f"{len(commands)} commands before")
