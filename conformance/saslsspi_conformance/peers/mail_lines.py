"""What the cases of the protocols of lines share: a connection, its lines, and the replies that are right."""

from __future__ import annotations

from typing import Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.strings import string
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.outcome import NotApplicable, Observation, holds
from saslsspi_conformance.targets.mail import MailConversation, MailReply

__all__ = ["begin", "code", "connect", "mail", "message", "need_initial_response", "offered", "served", "undecodable"]

_REFUSALS: Final = frozenset({"NO", "BAD", "-ERR"})


def connect(run: CaseRun) -> MailConversation:
    """Open a connection to a mail server."""
    connection = run.connect()
    assert isinstance(connection, MailConversation)
    return connection


def code(reply: MailReply, protocol: LineProtocol, *right: str) -> Observation:
    """Whether a reply is a refusal with one of some codes: numbers in SMTP, else words, any where none is known."""
    refusals = {text.split()[0].decode() for text in protocol.replies.values()} & _REFUSALS
    numbers = {word for word in right if word.isdigit()}
    allowed = refusals.intersection(right) or refusals or numbers
    return holds(reply.code in allowed, f"reply {reply.last.decode(errors='replace')}, right is {' or '.join(allowed)}")


def undecodable(connection: MailConversation) -> tuple[str, ...]:
    """What undecodable base64 may get: IMAP4rev2 wants BAD, RFC 3501 does not say."""
    if connection.protocol.tagged and b"IMAP4REV2" not in connection.capabilities().upper():
        return ("BAD", "NO")
    return ("501", "BAD")


def mail(connection: MailConversation, line: bytes) -> MailReply:
    """Send a command of the mail service; a server that gives none has nothing to test."""
    return served(connection.command(line))


def served(reply: MailReply) -> MailReply:
    """Return a reply, unless it says that the server gives no mail service."""
    if reply.code == "421":
        raise NotApplicable(f"the server gives no mail service: {reply.last.decode(errors='replace')}")
    return reply


def begin(connection: MailConversation, *arguments: bytes) -> MailReply:
    """Send AUTH or AUTHENTICATE with arguments as they are, as strings where the protocol wants them so."""
    protocol = connection.protocol
    written = [string(text, from_client=True) if protocol.strings else text for text in arguments]
    return connection.ask(b" ".join([protocol.authenticate, *written]))


def message(run: CaseRun) -> bytes:
    """The right message of PLAIN."""
    run.need("PLAIN")
    account = run.target.account
    return f"\0{account.user}\0{account.password}".encode()


def offered(run: CaseRun) -> bytes:
    """A mechanism that the server offers, for cases about the command: DIGEST-MD5 where it is one of them."""
    names = run.target.mechanisms()
    if not names:
        raise NotApplicable("the server offers no mechanism")
    return ("DIGEST-MD5" if "DIGEST-MD5" in names else names[0]).encode()


def need_initial_response(run: CaseRun) -> None:
    """Raise NotApplicable where commands take no initial response."""
    if not run.target.initial_response:
        raise NotApplicable("the server does not offer an initial response")
