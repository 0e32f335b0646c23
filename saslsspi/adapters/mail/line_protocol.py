"""LineProtocol: all that this library has to know of a protocol of lines that carries SASL; protocols.py has them.

Beside it the words in which all of them are spoken of: what a server's reply means, what it lists, and how a command
ends on a server.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias, TypeVar

from saslsspi.adapters.mail.strings import string, words
from saslsspi.errors import InvalidToken, NoAuthenticatingAuthority, SaslError

__all__ = [
    "MAX_LINE",
    "Capabilities",
    "LineProtocol",
    "Reading",
    "Reply",
    "ReplyKind",
    "Verdict",
    "ends_here",
    "printable",
]

MAX_LINE: Final = 1 << 16
"""Longest challenge or response line that is read, in octets; RFC 4954 section 4 names 12,288 as sufficient."""

_SHOWN: Final = 200  # octets of a server's text that an error repeats

_T = TypeVar("_T")


class ReplyKind(enum.Enum):
    """What a reply means to the dialogue."""

    CHALLENGE = enum.auto()
    SUCCESS = enum.auto()
    DENIED = enum.auto()  # these credentials are not good enough
    UNSUITABLE = enum.auto()  # this mechanism cannot be used; another one may
    TEMPORARY = enum.auto()  # the server cannot ask its account store now
    REFUSED = enum.auto()  # a failure without a reason that we understand
    BYE = enum.auto()  # the server ends the connection


class Reply(NamedTuple):
    """A server's reply.

    Attributes:
        text: Of a challenge its base64; else what the server says, without the protocol's own marks.
        data: What the mechanism says with success, in base64; None where nothing came.
        word: The word that decides: 235, OK, NO, +OK, -ERR, BYE; "+" of a challenge.
        lines: All lines as they came, without their ends; a literal stands in its line.
    """

    kind: ReplyKind
    text: bytes
    data: bytes | None = None
    word: str = ""
    lines: tuple[bytes, ...] = ()

    @property
    def positive(self) -> bool:
        """Whether it says yes to whatever was asked."""
        return self.word in ("OK", "+OK", "PREAUTH") or self.word[:1] == "2"


class Capabilities(NamedTuple):
    """What a server lists.

    Attributes:
        mechanisms: In its order, in capitals; None where it does not say that it has SASL.
        initial_response: Whether the command may carry one.
        starttls: Whether TLS can be begun.
        values: What it says of each, by name in capitals.
    """

    mechanisms: tuple[str, ...] | None
    initial_response: bool
    starttls: bool
    values: Mapping[str, str]


Reading: TypeAlias = Generator[int, bytes, _T]
"""Reads an answer without a socket: yields LINE to be sent a line without its end, or a number for so many octets."""


class Verdict(enum.Enum):
    """How an AUTH or AUTHENTICATE command ended on a server."""

    SUCCESS = enum.auto()
    CANCELLED = enum.auto()  # the client sent "*"
    UNDECODABLE = enum.auto()  # a line is not base64
    TOO_LONG = enum.auto()
    MALFORMED = enum.auto()  # the command's arguments are not a mechanism and at most one initial response
    UNINVITED = enum.auto()  # an initial response for a mechanism in which the server speaks first
    UNSUITABLE = enum.auto()  # no such mechanism, or one that needs an encrypted channel
    TOO_WEAK = enum.auto()  # the policy does not permit the mechanism
    DENIED = enum.auto()
    TEMPORARY = enum.auto()  # the account store does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProtocol:
    """A protocol of lines and its SASL profile (RFC 4422 section 4).

    Attributes:
        name: The scheme of its URLs, and the module of its client and its embedded server.
        title: As people write it.
        client: The class in its client's module.
        service: The GSSAPI service name, which is part of what DIGEST-MD5 and GSSAPI authenticate.
        port: The usual one.
        tls_port: The one that speaks TLS from the start; None where there is none.
        authenticate: The command that begins an exchange.
        capability: The command that asks what the server can.
        starttls: The command that begins TLS.
        noop: A command that does nothing.
        leave: The command that ends a session.
        max_command: Longest command line that may carry an initial response, its CRLF included, in octets.
        mark: What stands before a challenge.
        replies: A server's words for each end of the command.
        tagged: Whether commands have tags.
        strings: Whether mechanisms, challenges and responses are strings, quoted or literal, and not bare.
        announces: Whether a server lists its capabilities unasked: in its greeting, and where TLS or a layer begins.
        speaks_unasked: Whether a server may have spoken behind its success, so that it is under the layer already.
        success_with_data: A server's words for success that brings the mechanism's last data (RFC 4422 section 3.6),
            %s for the string; empty where none can come.
        clear_after: Mechanisms behind which the protocol goes on in clear, whatever layer they could negotiate.
        read: Reads the answer to a command, told its tag; of what is no answer it raises InvalidToken.
        read_capabilities: Reads the answer to the capability command, or the greeting that has them.
        greeting: A server's first line; empty where it lists its capabilities instead.
        okay: A server's words for a command that is done.
        write_capabilities: Writes a server's answer to the capability command, without its last CRLF: which
            mechanisms, whether an initial response is invited, and the command's tag.
    """

    name: str
    title: str
    client: str
    service: str
    port: int
    tls_port: int | None
    authenticate: bytes
    capability: bytes
    starttls: bytes
    noop: bytes = b"NOOP"
    leave: bytes
    max_command: int
    mark: bytes = b""
    replies: Mapping[Verdict, bytes] = field(repr=False)
    tagged: bool = False
    strings: bool = False
    announces: bool = False
    speaks_unasked: bool = False
    success_with_data: bytes = b""
    clear_after: frozenset[str] = frozenset()
    read: Callable[[bytes], Reading[Reply]] = field(repr=False)
    read_capabilities: Callable[[bytes], Reading[Capabilities]] = field(repr=False)
    greeting: bytes = b""
    okay: bytes
    write_capabilities: Callable[[Sequence[str], bool, bytes], bytes] = field(repr=False)

    def command(self, text: bytes, tag: bytes = b"") -> bytes:
        """Write a command line."""
        return (tag + b" " if self.tagged else b"") + text + b"\r\n"

    def begin(self, mechanism: str, initial: bytes | None, tag: bytes = b"") -> bytes:
        """Write the command that begins an exchange; initial is an initial response in base64."""
        argument = self._client_string(mechanism.encode("ascii"))
        if initial is not None:
            # RFC 4954 section 4, RFC 4959 section 3: "a zero-length initial response is sent as '='"; RFC 5804
            # section 2.1: an empty string.
            argument += b" " + self._client_string(initial or (b"" if self.strings else b"="))
        return self.command(self.authenticate + b" " + argument, tag)

    def response(self, text: bytes) -> bytes:
        """Write a response line: base64, or "*" that cancels."""
        return self._client_string(text) + b"\r\n"

    def challenge(self, text: bytes) -> bytes:
        """Write a server's challenge line, of base64, without its CRLF."""
        return self.mark + (string(text, from_client=False) if self.strings else text)

    def reply(self, verdict: Verdict, data: bytes | None = None, tag: bytes = b"") -> bytes:
        """Write a server's last line, without its CRLF; data is what the mechanism says with success, in base64."""
        line = self.replies[verdict]
        if data is not None:
            line = self.success_with_data % string(data, from_client=False)
        return (tag + b" " if self.tagged else b"") + line

    def arguments(self, text: bytes) -> list[bytes]:
        """Cut what stands behind the command on a server: a mechanism and perhaps an initial response, "=" if empty.

        Raises:
            InvalidToken: the protocol writes them otherwise.
        """
        if not self.strings:
            return text.split(b" ")
        found = words(text)
        if not all(word.is_string for word in found):
            raise InvalidToken("the arguments are no strings")
        return [word.text if word.text or not number else b"=" for number, word in enumerate(found)]

    def unwritten(self, line: bytes) -> bytes:
        """Return the base64, or "*", of a client's response line.

        Raises:
            InvalidToken: the line is not written as the protocol wants it.
        """
        if not self.strings:
            return line
        found = words(line)
        if len(found) != 1 or not found[0].is_string:
            raise InvalidToken("the response is no string")
        return found[0].text

    @property
    def success_data(self) -> bool:
        """Whether the mechanism's last data can come with success."""
        return bool(self.success_with_data)

    def schemes(self) -> tuple[tuple[str, int, bool], ...]:
        """Return the URL schemes, their ports, and whether TLS is there from the start."""
        plain = (self.name, self.port, False)
        return (plain,) if self.tls_port is None else (plain, (f"{self.name}s", self.tls_port, True))

    def _client_string(self, text: bytes) -> bytes:
        return string(text, from_client=True) if self.strings else text


def ends_here(text: bytes) -> SaslError:
    """Return the error for a server that ends the connection, with its words."""
    return NoAuthenticatingAuthority(f"the server ends the connection: {printable(text) or 'no reason given'}")


def printable(text: bytes) -> str:
    """Return a server's text for an error message: short, and without control characters."""
    shown = text[:_SHOWN].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in shown)
