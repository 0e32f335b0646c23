"""The client's half of AUTH and AUTHENTICATE in the line protocols.

The dialogue is a generator without a socket: it yields turns, which are lines to send, and is sent the server's
replies, already sorted by its LineProtocol. So the same code serves blocking and asyncio clients, and a test replays
it octet for octet. Where a reply does not come, the carrier throws its reason in.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

from saslsspi.adapters.mail.line_protocol import MAX_LINE, LineProtocol, Reply, ReplyKind, ends_here, printable
from saslsspi.engine.policy import Policy, Tolerances
from saslsspi.errors import (
    AlgorithmMismatch,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    SaslError,
    TemporarilyUnavailable,
)
from saslsspi.sasl.client import Client

__all__ = [
    "CANCEL",
    "EMPTY_INITIAL_RESPONSE",
    "MAX_LINE",
    "MAX_MESSAGE",
    "Refused",
    "Turn",
    "check_argument",
    "converse",
    "decode_line",
]

MAX_MESSAGE: Final = 12288 * 3 // 4
"""Longest message of a mechanism that can cut them, in octets before base64; RFC 4954 section 4: a line of 12,288."""

CANCEL: Final = b"*"
EMPTY_INITIAL_RESPONSE: Final = b"="

_MAX_ROUND_TRIPS: Final = 64
_MECHANISM_NAME: Final = re.compile(r"[A-Z0-9_-]{1,20}\Z")
_FORBIDDEN: Final = re.compile(r"[\r\n\0]")


class Turn(NamedTuple):
    """What to send, its CRLF included, and the tag of the command that it belongs to."""

    line: bytes
    tag: bytes


def decode_line(line: bytes) -> bytes:
    """Decode a challenge or response line strictly (RFC 4648 section 4).

    Raises:
        InvalidToken: a character outside the alphabet, or "=" anywhere but at the end.
    """
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise InvalidToken(f"a line of {len(line)} octets is not base64", requirement="SMTP4954-4-28") from None


def check_argument(argument: str | bytes) -> None:
    """Raise InvalidParameter when an argument would end its command line and begin another command."""
    text = argument.decode("latin-1") if isinstance(argument, bytes) else argument
    if _FORBIDDEN.search(text):
        raise InvalidParameter("a command argument contains CR, LF or NUL")


class Refused(NamedTuple):
    """The server's final reply to one mechanism, other than success; the session may go on.

    Attributes:
        may_succeed: Whether another exchange with the same credentials may, since they were renewed.
        cause: What the mechanism made of it, where the server said no in the mechanism's own words.
    """

    mechanism: str
    reply: Reply
    may_succeed: bool = False
    cause: SaslError | None = None

    @property
    def shown(self) -> str:
        """What it says, for an error message."""
        return f"the server refuses {self.mechanism}: {printable(self.reply.text) or 'no reason given'}"

    def error(self, denied: Callable[[Refused], LogonDenied] | None = None) -> SaslError:
        """Return the error that stands for it; denied makes the one for credentials that are refused."""
        # RFC 4954 section 6: a temporary failure is not the password's fault; 534 and 504 ask for another mechanism.
        if self.reply.kind is ReplyKind.TEMPORARY:
            return TemporarilyUnavailable(self.shown)
        if self.reply.kind is ReplyKind.UNSUITABLE:
            return AlgorithmMismatch(self.shown)
        return LogonDenied(self.shown) if denied is None else denied(self)


def converse(
    client: Client, protocol: LineProtocol, *, policy: Policy, initial_response: bool, tag: bytes = b""
) -> Generator[Turn, Reply, Refused | tuple[str, ...]]:
    """Carry one exchange: yield the command first, then responses; be sent the server's replies.

    When our side fails it cancels with "*" (or sends the mechanism's last token) and takes the server's answer before
    it raises, so that the connection is not left in the middle of a command. Where the server does not answer that,
    ours is still the error, and what became of the connection is its cause.

    Args:
        client: Has not started.
        protocol: What carries it.
        policy: Says which tolerances are on.
        initial_response: Whether the command may carry one.
        tag: The command's, where the protocol has tags.

    Returns:
        Names of the tolerances that the dialogue itself made use of; Refused where the server said no.

    Raises:
        NoAuthenticatingAuthority: the server ends the connection, and says so.
        SaslError: the exchange failed on our side, or the server lied about success: close the connection.
    """
    name = client.mechanism.name
    if not _MECHANISM_NAME.match(name):
        raise InvalidParameter("the mechanism's name is not one of RFC 4422 section 3.1")
    held = client.start()
    line = protocol.begin(name, None, tag)
    sent_initial = False
    if held is not None and initial_response:
        longer = protocol.begin(name, base64.b64encode(held), tag)
        # RFC 4954 section 4, RFC 5034 section 4: a response that would make the command too long waits its turn.
        if len(longer) <= protocol.max_command:
            line, held, sent_initial = longer, None, True
    reply = yield Turn(line, tag)
    used: tuple[str, ...] = ()
    round_trips = 0
    while reply.kind is ReplyKind.CHALLENGE:
        round_trips += 1
        try:
            if round_trips > _MAX_ROUND_TRIPS:
                raise InvalidToken(f"the server sends more than {_MAX_ROUND_TRIPS} challenges")
            if held is not None:
                used = _check_empty(reply.text, name, policy)
                response, held = held, None
            elif sent_initial and round_trips == 1 and client.done and not reply.text:
                raise InvalidToken("the server ignores the initial response that it invited; send none to it")
            else:
                response = client.step(decode_line(reply.text)) or b""
        except SaslError as error:
            may_succeed = client.fail()
            final = yield from _withdraw(error, protocol, tag)
            over = final.kind not in (ReplyKind.CHALLENGE, ReplyKind.SUCCESS)
            if over and isinstance(error, LogonDenied) and error.requirement is None:
                # The server said no in the mechanism's own words, as SCRAM's e= does, and broke no rule.
                return Refused(name, Reply(ReplyKind.DENIED, error.text.encode()), may_succeed, error)
            raise
        reply = yield Turn(protocol.response(base64.b64encode(response)), tag)
    if reply.kind is ReplyKind.SUCCESS:
        client.succeed(None if reply.data is None else decode_line(reply.data))
        return used
    if reply.kind is ReplyKind.BYE:
        client.abort()
        raise ends_here(reply.text)
    if reply.kind in (ReplyKind.TEMPORARY, ReplyKind.UNSUITABLE):
        client.abort()  # which is not about the credentials
        return Refused(name, reply)
    return Refused(name, reply, client.fail())


def _check_empty(text: bytes, name: str, policy: Policy) -> tuple[str, ...]:
    """Take the empty challenge that asks for an initial response held back."""
    if not text:
        return ()
    if (
        Tolerances.TEXT_BEFORE_NTLM in policy.tolerances
        and name == "NTLM"
        and text.strip().lower() == b"ntlm supported"
    ):
        return ("TEXT_BEFORE_NTLM",)
    decode_line(text)
    raise InvalidToken(f"the server speaks first in {name}, where the client does")


def _withdraw(error: SaslError, protocol: LineProtocol, tag: bytes) -> Generator[Turn, Reply, Reply]:
    """Send what is still due to the server, or "*", and return its answer; without one raise our error from theirs."""
    text = base64.b64encode(error.token) if error.token is not None else CANCEL
    try:
        reply = yield Turn(protocol.response(text), tag)
        if reply.kind is ReplyKind.CHALLENGE and error.token is not None:
            reply = yield Turn(protocol.response(CANCEL), tag)
    except Exception as lost:
        raise error from lost
    if reply.kind is ReplyKind.BYE:
        raise error from ends_here(reply.text)
    return reply
