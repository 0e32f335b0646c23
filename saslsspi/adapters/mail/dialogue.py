"""The client's half of AUTH and AUTHENTICATE in the line protocols: SMTP, IMAP, POP3 and their kin.

The dialogue is a generator without a socket: it yields lines to send, without their CRLF, and is sent the server's
replies, already sorted by the protocol's own adapter. So the same code serves blocking and asyncio clients, and a test
replays it octet for octet. What differs between the protocols stands in their Profile.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, NamedTuple

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
    "Profile",
    "Refused",
    "Reply",
    "ReplyKind",
    "check_argument",
    "converse",
    "decode_line",
    "printable",
]

MAX_LINE: Final = 1 << 16
"""Longest challenge or response line that is read, in octets; RFC 4954 section 4 names 12,288 as sufficient."""

MAX_MESSAGE: Final = 12288 * 3 // 4
"""Longest message of a mechanism that can cut them, in octets before base64; RFC 4954 section 4: a line of 12,288."""

CANCEL: Final = b"*"
EMPTY_INITIAL_RESPONSE: Final = b"="

_MAX_ROUND_TRIPS: Final = 64
_MECHANISM_NAME: Final = re.compile(r"[A-Z0-9_-]{1,20}\Z")
_FORBIDDEN: Final = re.compile(r"[\r\n\0]")
_SHOWN: Final = 200  # octets of a server's text that an error repeats


class ReplyKind(enum.Enum):
    """What a reply means to the dialogue."""

    CHALLENGE = enum.auto()
    SUCCESS = enum.auto()
    DENIED = enum.auto()  # these credentials are not good enough
    UNSUITABLE = enum.auto()  # this mechanism cannot be used; another one may
    TEMPORARY = enum.auto()  # the server cannot ask its account store now
    REFUSED = enum.auto()  # a failure without a reason that we understand


class Reply(NamedTuple):
    """A server's reply: what it means, and its text (a challenge's base64) without the protocol's own marks."""

    kind: ReplyKind
    text: bytes


@dataclass(frozen=True, slots=True)
class Profile:
    """What a protocol says of its SASL exchange.

    Attributes:
        service: The GSSAPI service name, which is part of what DIGEST-MD5 and GSSAPI authenticate.
        command: The command that begins an exchange.
        max_command: Longest command line that may carry an initial response, its CRLF included, in octets.
    """

    service: str
    command: str
    max_command: int


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


def printable(text: bytes) -> str:
    """Return a server's text for an error message: short, and without control characters."""
    shown = text[:_SHOWN].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in shown)


class Refused(NamedTuple):
    """The server's final reply to one mechanism, other than success; the session may go on."""

    mechanism: str
    reply: Reply

    def error(self) -> SaslError:
        """Return the error that stands for it."""
        shown = f"the server refuses {self.mechanism}: {printable(self.reply.text) or 'no reason given'}"
        # RFC 4954 section 6: a temporary failure is not the password's fault; 534 and 504 ask for another mechanism.
        if self.reply.kind is ReplyKind.TEMPORARY:
            return TemporarilyUnavailable(shown)
        if self.reply.kind is ReplyKind.UNSUITABLE:
            return AlgorithmMismatch(shown)
        return LogonDenied(shown)


def converse(
    client: Client, profile: Profile, *, policy: Policy, initial_response: bool
) -> Generator[bytes, Reply, Refused | tuple[str, ...]]:
    """Carry one exchange: yield the command's arguments first, then responses; be sent the server's replies.

    When our side fails it cancels with "*" (or sends the mechanism's last token) and takes the server's answer before
    it raises, so that the connection is not left in the middle of a command.

    Args:
        client: Has not started.
        profile: The protocol.
        policy: Says which tolerances are on.
        initial_response: Whether the command may carry one.

    Returns:
        Names of the tolerances that the dialogue itself made use of; Refused where the server said no.

    Raises:
        SaslError: the exchange failed on our side, or the server lied about success: close the connection.
    """
    name = client.mechanism.name
    if not _MECHANISM_NAME.match(name):
        raise InvalidParameter("the mechanism's name is not one of RFC 4422 section 3.1")
    held = client.start()
    argument = name.encode("ascii")
    sent_initial = False
    if held is not None and initial_response:
        # RFC 4954 section 4, RFC 4959 section 3: "a zero-length initial response is sent as '='".
        line = argument + b" " + (base64.b64encode(held) or EMPTY_INITIAL_RESPONSE)
        # RFC 4954 section 4, RFC 5034 section 4: a response that would make the command too long waits its turn.
        if len(profile.command) + 1 + len(line) + 2 <= profile.max_command:
            argument, held, sent_initial = line, None, True
    reply = yield argument
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
            client.abort()
            final = yield from _withdraw(error)
            over = final.kind not in (ReplyKind.CHALLENGE, ReplyKind.SUCCESS)
            if over and isinstance(error, LogonDenied) and error.requirement is None:
                # The server said no in the mechanism's own words, as SCRAM's e= does, and broke no rule.
                return Refused(name, Reply(ReplyKind.DENIED, error.text.encode()))
            raise
        reply = yield base64.b64encode(response)
    if reply.kind is ReplyKind.SUCCESS:
        client.succeed()
        return used
    client.abort()
    return Refused(name, reply)


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


def _withdraw(error: SaslError) -> Generator[bytes, Reply, Reply]:
    """Send what is still due to the server, or "*", and return its answer."""
    reply = yield base64.b64encode(error.token) if error.token is not None else CANCEL
    if reply.kind is ReplyKind.CHALLENGE and error.token is not None:
        reply = yield CANCEL
    return reply
