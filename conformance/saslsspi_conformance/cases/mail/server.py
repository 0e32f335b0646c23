"""RFC 3501, 9051 and 4959, RFC 4954, RFC 5034: what the protocols of lines alike make of SASL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from saslsspi_conformance.case import DELIVERED, REFUSAL, SUCCESS, Observation, Reaction, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.cases.shared import SharedCase, on_servers
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.mail_lines import (
    begin,
    code,
    connect,
    message,
    need_initial_response,
    served,
    undecodable,
)
from saslsspi_conformance.targets.mail import MailConversation

MailCase = Callable[[CaseRun, MailConversation], Observation]


def _everywhere(**options: Any) -> Callable[[MailCase], SharedCase]:
    """Register a case for each protocol that has ids; it is given a connection."""

    def add(function: MailCase) -> SharedCase:
        @wraps(function)
        def case(run: CaseRun) -> Observation:
            return function(run, connect(run))

        return on_servers(**options)(case)

    return add


@_everywhere(imap="IMAP3501-6.2.2-01", smtp="SMTP4954-4-05 SMTP4954-4-29", pop3="POP5034-4-25")
def unknown_mechanism(run: CaseRun, connection: MailConversation) -> Observation:
    """A mechanism that nobody has is refused, and the session goes on."""
    seen = code(begin(connection, b"NO-SUCH-THING"), connection.protocol, "504", "NO")
    return seen if seen.outcome is not Reaction.HOLDS else holds(connection.capabilities(), "the session has ended")


@_everywhere(imap="IMAP3501-6.2.2-04", smtp="SMTP4954-4-06 SMTP4954-4-07", pop3="POP5034-4-05 POP5034-4-19")
def challenge_line(run: CaseRun, connection: MailConversation) -> Observation:
    """A challenge is the protocol's mark, a space and base64, and nothing else."""
    run.need("DIGEST-MD5")
    line = begin(connection, b"DIGEST-MD5").last
    mark = re.escape(connection.protocol.mark)
    return holds(re.fullmatch(mark + rb"[A-Za-z0-9+/]+={0,2}", line), line.decode(errors="replace"))


@_everywhere(
    imap="IMAP3501-6.2.2-02 IMAP4959-3-07 IMAP4959-6-01 IMAP9051-6.2.2-08",
    smtp="SMTP4954-4-25",
    pop3="POP5034-4-20",
    accept=SUCCESS,
)
def empty_challenge(run: CaseRun, connection: MailConversation) -> Observation:
    """A mechanism in which the client speaks first begins with an empty challenge where nothing came with it."""
    right = message(run)
    line = begin(connection, b"PLAIN").last
    if line != connection.protocol.challenge(b""):
        return Observation(Reaction.BROKEN, f"the challenge is {line!r}")
    return connection.respond(right).seen


@_everywhere(imap="IMAP3501-6.2.2-06 IMAP9051-6.2.2-03", smtp="SMTP4954-4-08", pop3="POP5034-4-06")
def cancel(run: CaseRun, connection: MailConversation) -> Observation:
    """A lone * cancels."""
    run.need("DIGEST-MD5")
    begin(connection, b"DIGEST-MD5")
    return code(connection.respond_with(b"*"), connection.protocol, "501", "BAD")


@_everywhere(imap="IMAP3501-6.2.2-21 IMAP9051-6.2.2-02", smtp="SMTP4954-4-09", pop3="POP5034-4-07")
def no_base64(run: CaseRun, connection: MailConversation) -> Observation:
    """A response that is no base64 is refused."""
    run.need("DIGEST-MD5")
    right = undecodable(connection)
    begin(connection, b"DIGEST-MD5")
    return code(connection.respond_with(b"%%%"), connection.protocol, *right)


@_everywhere(imap="IMAP9051-6.2.2-02 IMAP4959-3-05", smtp="SMTP4954-4-28", pop3="POP5034-4-23")
def bad_padding(run: CaseRun, connection: MailConversation) -> Observation:
    """Pads anywhere but at the end are refused, not skipped."""
    run.need("DIGEST-MD5")
    right = undecodable(connection)
    for response in (b"=AAA", b"AAA=BBBB", b"A*A="):
        begin(connection, b"DIGEST-MD5")
        seen = code(connection.respond_with(response), connection.protocol, *right)
        if seen.outcome is not Reaction.HOLDS:
            return Observation(seen.outcome, f"to {response.decode()}: {seen.detail}")
        connection = connect(run)
    return seen


@_everywhere(
    imap="IMAP4959-3-04 IMAP9051-6.2.2-06", smtp="SMTP4954-4-09 SMTP4954-4-28", pop3="POP5034-4-07 POP5034-4-23"
)
def bad_initial_response(run: CaseRun, connection: MailConversation) -> Observation:
    """An initial response that is no base64 is refused like any other."""
    need_initial_response(run)
    run.need("PLAIN")
    return code(begin(connection, b"PLAIN", b"AAA=BBBB"), connection.protocol, *undecodable(connection))


@_everywhere(
    imap="IMAP9051-6.2.2-01 RFC4422-4-05",
    smtp="SMTP4954-4-01 RFC4422-3.3-02 RFC4422-4-05",
    pop3="POP5034-4-01 POP5034-4-02 RFC4422-4-05",
    accept=SUCCESS,
)
def initial_response(run: CaseRun, connection: MailConversation) -> Observation:
    """An initial response authenticates in one round trip."""
    need_initial_response(run)
    return connection.begin("PLAIN", message(run)).seen


@_everywhere(
    imap="IMAP4959-3-03 IMAP9051-6.2.2-05 RFC4422-4-06",
    smtp="SMTP4954-4-26 SMTP4954-4-02 RFC4422-4-06",
    pop3="POP5034-4-21 POP5034-4-02 RFC4422-4-06",
)
def empty_initial_response(run: CaseRun, connection: MailConversation) -> Observation:
    """A lone = is an empty initial response: processed at once, and not answered with a challenge."""
    need_initial_response(run)
    run.need("PLAIN")
    answer = connection.begin("PLAIN", b"")
    return holds(answer.outcome is Reaction.FAILURE, f"{answer.outcome} {answer.text}")


@_everywhere(
    imap="IMAP3501-6.2.2-07 IMAP3501-6.2.2-18",
    smtp="SMTP4954-4-33 SMTP4954-9-04",
    pop3="POP5034-4-28",
    accept=SUCCESS,
    destructive=True,
)
def after_failure(run: CaseRun, connection: MailConversation) -> Observation:
    """After a failure another exchange succeeds on the same connection."""
    ScriptedDigestClient(run, on=connection, user=("nobody-at-all", "x")).log_on()
    return ScriptedDigestClient(run, on=connection).log_on()


@_everywhere(
    imap="IMAP3501-6.2.2-20 RFC4422-3.8-01",
    smtp="SMTP4954-4-03 RFC4422-3.8-01",
    pop3="POP5034-4-03 POP5034-4-04 RFC4422-3.8-01",
)
def second_auth(run: CaseRun, connection: MailConversation) -> Observation:
    """After success another authentication is refused."""
    ScriptedDigestClient(run, on=connection).logged_on()
    return code(served(begin(connection, b"DIGEST-MD5")), connection.protocol, "503", "NO", "BAD")


@_everywhere(imap="RFC4422-3-06", smtp="SMTP4954-4-11", pop3="POP5034-4-09")
def last_data_apart(run: CaseRun, connection: MailConversation) -> Observation:
    """The rspauth comes as one more challenge."""
    client = ScriptedDigestClient(run, on=connection)
    client.begin()
    answer = connection.respond(client.write())
    return holds(answer.outcome is Reaction.CHALLENGE and (answer.data or b"").startswith(b"rspauth="), answer.text)


@_everywhere(
    imap="IMAP3501-6.2.2-10 IMAP3501-6.2.2-03",
    smtp="SMTP4954-4-12 SMTP4954-4-19",
    pop3="POP5034-4-08 POP5034-4-13",
    accept=SUCCESS,
)
def success(run: CaseRun, connection: MailConversation) -> Observation:
    """A right exchange ends in the protocol's success, under the protocol's service name."""
    return ScriptedDigestClient(run, on=connection).log_on()


@_everywhere(imap="RFC4422-3.6-03", smtp="SMTP4954-4-13 SMTP4954-6-07", pop3="POP5034-4-24", destructive=True)
def wrong_password(run: CaseRun, connection: MailConversation) -> Observation:
    """A wrong password gets the protocol's refusal."""
    client = ScriptedDigestClient(run, on=connection, wrong_password=True)
    seen = client.log_on()
    if connection.protocol.name == "smtp":
        return holds(seen.detail.startswith("535"), seen.detail)
    return holds(seen.outcome is Reaction.FAILURE, f"{seen.outcome}: {seen.detail}")


@_everywhere(
    imap="IMAP3501-6.2.2-14 RFC4422-3.1-01", smtp="SMTP4954-3-01 RFC4422-3.1-01", pop3="POP5034-3-01 RFC4422-3.1-01"
)
def listed(run: CaseRun, connection: MailConversation) -> Observation:
    """The capabilities list the mechanisms, by names of the right form."""
    names = connection.supported()
    return holds(names and all(re.fullmatch("[A-Z0-9_-]{1,20}", name) for name in names), ", ".join(names))


@_everywhere(imap="RFC4422-4-03", smtp="RFC4422-4-03", pop3="POP5034-3-05")
def listed_afterwards(run: CaseRun, connection: MailConversation) -> Observation:
    """The mechanisms are listed after authentication too."""
    ScriptedDigestClient(run, on=connection).logged_on()
    return holds(connection.supported())


@_everywhere(imap="IMAP3501-6.2.2-10", smtp="SMTP4954-8-01", pop3="POP5034-5-01", accept=SUCCESS)
def lower_case(run: CaseRun, connection: MailConversation) -> Observation:
    """Commands and mechanism names have no case."""
    right = message(run)
    connection.command(connection.protocol.begin("PLAIN", None, b"a").rstrip().lower())
    return connection.respond(right).seen


@_everywhere(imap="IMAP3501-6.2.2-22 IMAP4959-6-02", smtp="SMTP4954-4-22", pop3="POP5034-4-11")
def long_line(run: CaseRun, connection: MailConversation) -> Observation:
    """A response line of 5,460 characters reaches the mechanism."""
    client = ScriptedDigestClient(run, on=connection)
    client.begin()
    right = client.write()
    seen = client.answer(right + b",x=" + b"y" * (4090 - len(right) - 3))
    return holds(seen.outcome is Reaction.SUCCESS, f"{seen.outcome}: {seen.detail}")


@_everywhere(
    imap="IMAP3501-6.2.2-08 IMAP3501-6.2.2-09",
    smtp="SMTP4954-4-34 SMTP4954-4-15",
    pop3="POP5034-4-14",
    accept=DELIVERED,
)
def layer_begins(run: CaseRun, connection: MailConversation) -> Observation:
    """The success is in clear, and what follows its line is protected both ways."""
    layer = ScriptedDigestClient(run, on=connection, qop="auth-int").layer()
    return layer.ask(layer.out.wrap(layer.probe))


@_everywhere(
    imap="IMAP3501-6.2.2-19",
    smtp="SMTP4954-4-21",
    pop3="POP5034-4-26",
    accept=SUCCESS,
    lenient=True,  # whom a user may act as is the server's to say
)
def own_authzid(run: CaseRun, connection: MailConversation) -> Observation:
    """One's own name is granted as the authorization identity."""
    return ScriptedDigestClient(run, on=connection, authzid=run.target.account.user.encode()).log_on()


@_everywhere(smtp="SMTP4954-4-30", pop3="POP5034-4-26", accept=SUCCESS)
def prepared_authzid(run: CaseRun, connection: MailConversation) -> Observation:
    """An authorization identity that SASLprep maps to one's own name is granted."""
    name = run.target.account.user
    return ScriptedDigestClient(run, on=connection, authzid=(name[:1] + "\u00ad" + name[1:]).encode()).log_on()


@_everywhere(imap="RFC4422-3.6-05", smtp="SMTP4954-4-31", pop3="POP5034-4-27", accept=REFUSAL, destructive=True)
def authzid_prepared_to_nothing(run: CaseRun, connection: MailConversation) -> Observation:
    """An authorization identity of which SASLprep leaves nothing does not authenticate."""
    return ScriptedDigestClient(run, on=connection, authzid="\u00ad".encode()).log_on()


@_everywhere(imap="IMAP3501-6.2.2-13 IMAP9051-6.2.2-10", pop3="POP5034-4-31")
def no_passwords_only(run: CaseRun, connection: MailConversation) -> Observation:
    """Among the mechanisms is one that sends no password."""
    names = set(connection.supported())
    return holds(names - {"PLAIN", "LOGIN", "ANONYMOUS"}, ", ".join(sorted(names)))


@_everywhere(imap="IMAP9051-6.2.2-07 IMAP4959-3-06", smtp="SMTP4954-4-17 RFC4422-3-04", pop3="POP5034-4-10")
def uninvited_initial_response(run: CaseRun, connection: MailConversation) -> Observation:
    """An initial response for a mechanism in which only the server speaks first is refused."""
    run.need("CRAM-MD5")
    return code(begin(connection, b"CRAM-MD5", b"AAAA"), connection.protocol, "501", "BAD")
