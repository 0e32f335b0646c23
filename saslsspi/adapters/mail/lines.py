"""Lines over a blocking socket for the standard library's mail clients, and what their TLS says of itself.

smtplib and poplib keep a `sock` and a `file`, and take any object of that shape; imaplib's subclasses own read,
readline and send. LineFile is the file, and stream.LayeredSocket the socket once there is a layer.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, TypeVar, cast

from saslsspi.adapters.mail.dialogue import Turn
from saslsspi.adapters.mail.line_protocol import MAX_LINE, LineProtocol, Reading, Reply
from saslsspi.adapters.mail.strings import LINE
from saslsspi.adapters.stream import LayeredSocket
from saslsspi.errors import InvalidToken
from saslsspi.sasl.layer import Layer

__all__ = [
    "DEFAULT_TIMEOUT",
    "LineFile",
    "Readable",
    "SourceAddress",
    "StreamSocket",
    "asking",
    "check_silence",
    "layered",
    "read",
    "strength_of",
]

DEFAULT_TIMEOUT: Final[float] = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]  # the clients' own default
"""What the standard library's clients take for socket.getdefaulttimeout()."""

SourceAddress: TypeAlias = tuple[str | bytes | bytearray, int]
"""The address and port to connect from."""

_RECEIVE: Final = 1 << 16
_LINE_END: Final = b"\n"

_T = TypeVar("_T")


class StreamSocket(Protocol):
    """What is used of a socket, plain or TLS."""

    def recv(self, size: int, /) -> bytes:
        """Return up to size octets, none at the end of the stream."""

    def sendall(self, data: bytes, /) -> None:
        """Send all data."""

    def shutdown(self, how: int, /) -> None:
        """End one or both directions."""

    def close(self) -> None:
        """Close the connection."""


class Readable(Protocol):
    """What lines and octets are read from: LineFile, or a file in memory."""

    def readline(self, limit: int = -1, /) -> bytes:
        """Return a line with its end, at most limit octets of it; less at the end of the stream."""

    def read(self, size: int, /) -> bytes:
        """Return size octets; fewer at the end of the stream."""


class LineFile:
    """Lines and octets from a socket. Its buffer can be looked at, which a BufferedReader's cannot without reading.

    Args:
        sock: The socket, with or without a layer.
        received: What was received from it already.
    """

    def __init__(self, sock: StreamSocket, received: bytes = b"") -> None:
        self._sock = sock
        self._buffer = bytearray(received)

    @property
    def sock(self) -> StreamSocket:
        """The socket it reads from."""
        return self._sock

    @property
    def unread(self) -> bytes:
        """What was received and not yet read."""
        return bytes(self._buffer)

    def readline(self, limit: int = -1) -> bytes:
        """Return a line with its end, at most limit octets of it; less at the end of the stream."""
        start = 0
        while (end := self._buffer.find(_LINE_END, start)) < 0 and not 0 <= limit <= len(self._buffer):
            start = len(self._buffer)
            if not self._receive():
                break
        size = end + 1 if end >= 0 else len(self._buffer)
        return self._take(size if limit < 0 else min(size, limit))

    def read(self, size: int) -> bytes:
        """Return size octets; fewer at the end of the stream."""
        while len(self._buffer) < size and self._receive():
            pass
        return self._take(size)

    def close(self) -> None:
        """Forget what is unread; the socket is closed by its owner."""
        self._buffer.clear()

    def _receive(self) -> bool:
        octets = self._sock.recv(_RECEIVE)
        self._buffer += octets
        return bool(octets)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def read(file: Readable, reading: Reading[_T], limit: int = MAX_LINE) -> _T:
    """Read an answer from a connection.

    Raises:
        InvalidToken: the connection ended, a line is longer than limit octets, or it is not of the protocol.
        OSError: the socket's own.
    """
    try:
        wanted = next(reading)
        while True:
            wanted = reading.send(_line(file, limit) if wanted == LINE else _octets(file, wanted))
    except StopIteration as stop:
        return cast(_T, stop.value)


def _line(file: Readable, limit: int) -> bytes:
    line = file.readline(limit + 1)
    if not line.endswith(_LINE_END):
        problem = "is longer than we read" if len(line) > limit else "ends with the connection"
        raise InvalidToken(f"the server's answer {problem}")
    return line[:-1].removesuffix(b"\r")


def _octets(file: Readable, size: int) -> bytes:
    octets = file.read(size)
    if len(octets) < size:
        raise InvalidToken("the server's answer ends with the connection")
    return octets


def asking(file: LineFile, protocol: LineProtocol) -> Callable[[Turn], Reply]:
    """Return how a connection is asked."""

    def ask(turn: Turn) -> Reply:
        file.sock.sendall(turn.line)
        return read(file, protocol.read(turn.tag))

    return ask


def layered(sock: StreamSocket, layer: Layer) -> socket.socket:
    """Return a socket under a layer; above TLS, where there is one (RFC 4954 section 4)."""
    under = LayeredSocket(cast("socket.socket", sock))
    under.install(layer)
    return cast("socket.socket", under)  # it has what mail clients use of one


def check_silence(file: LineFile, where: str) -> None:
    """Raise unless a server has sent nothing yet; what stands here was put in by somebody else.

    Raises:
        InvalidToken: there are octets in clear where protection begins.
    """
    if file.unread:
        raise InvalidToken(f"{len(file.unread)} octets in clear stand behind {where}, where protection begins")


def strength_of(sock: object) -> int:
    """Return the SSF of the TLS around a client's socket, 0 where the server's name was not verified.

    RFC 4954 section 14: plain text over TLS "MUST NOT" be tried where the certificate's verification failed.
    """
    if not isinstance(sock, ssl.SSLSocket | ssl.SSLObject):
        return 0
    context, cipher = sock.context, sock.cipher()
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname or cipher is None:
        return 0
    return cipher[2]
