"""What the cases of IMAP, SMTP and POP3 share: a connection, its lines, and the replies that are right."""

from __future__ import annotations

from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.outcome import NotApplicable, Observation, holds
from saslsspi_conformance.targets.mail import MailConversation, MailReply

__all__ = ["begin", "code", "connect", "mail", "message", "need_initial_response", "undecodable"]


def connect(run: CaseRun) -> MailConversation:
    """Open a connection to a mail server."""
    connection = run.connect()
    assert isinstance(connection, MailConversation)
    return connection


def code(reply: MailReply, protocol: str, *right: str) -> Observation:
    """Whether a reply is a refusal with one of some codes; POP3 has one, and of IMAP's two either may be named."""
    if protocol == "pop3":
        allowed = {"-ERR"}
    elif protocol == "imap":
        allowed = {"NO", "BAD"} & set(right) or {"NO", "BAD"}
    else:
        allowed = set(right) - {"NO", "BAD"}
    return holds(reply.code in allowed, f"reply {reply.last.decode(errors='replace')}, right is {' or '.join(allowed)}")


def undecodable(connection: MailConversation) -> tuple[str, ...]:
    """What undecodable base64 may get: IMAP4rev2 wants BAD, RFC 3501 does not say."""
    if connection.protocol == "imap" and b"IMAP4REV2" not in connection.capabilities().upper():
        return ("BAD", "NO")
    return ("501", "BAD")


def mail(connection: MailConversation, line: bytes) -> MailReply:
    """Send a command of the mail service; a server that gives none has nothing to test."""
    reply = connection.command(line)
    if reply.code == "421":
        raise NotApplicable(f"the server gives no mail service: {reply.last.decode(errors='replace')}")
    return reply


def begin(connection: MailConversation, rest: bytes) -> MailReply:
    """Send AUTH or AUTHENTICATE and the rest of the line as it is."""
    return connection.command(connection.words.authenticate + b" " + rest)


def message(run: CaseRun) -> bytes:
    """The right message of PLAIN."""
    run.need("PLAIN")
    account = run.target.account
    return f"\0{account.user}\0{account.password}".encode()


def need_initial_response(run: CaseRun) -> None:
    """Raise NotApplicable where commands take no initial response."""
    if not run.target.initial_response:
        raise NotApplicable("the server does not offer an initial response")
