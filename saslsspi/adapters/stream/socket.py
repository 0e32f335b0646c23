"""A socket that carries a security layer; see stream.py.

It may be read by one thread while another runs the exchange. Whether a layer is on is asked after the raw read has
returned, and `hold` keeps the reader from running past the message that may switch one on.
"""

from __future__ import annotations

import contextlib
import enum
import io
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from saslsspi.adapters.stream.boundary import Boundary, Truncated
from saslsspi.adapters.stream.tls_duplex import TlsDuplex
from saslsspi.errors import ContextMisuse, InvalidToken, SaslError
from saslsspi.sasl.layer import Layer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["STREAM_TRANSITIONS", "LayeredSocket", "StreamEvent", "StreamState"]

_CHUNK: Final = 65536

# What the transport answers itself: nothing here sends or receives.
_PASSED: Final = frozenset(
    {"bind", "connect", "detach", "family", "fileno", "getblocking", "getpeername", "getsockname", "getsockopt"}
    | {"gettimeout", "proto", "setblocking", "setsockopt", "settimeout", "timeout", "type"}
    | {"cipher", "context", "get_channel_binding", "getpeercert", "server_hostname", "version"}  # of TLS
)
_ANSWERED_WITHIN: Final = frozenset({"cipher", "getpeercert", "gettimeout", "settimeout", "version"})
"""Those of them that TlsDuplex answers, where there is one."""


class StreamState(enum.Enum):
    """Where a stream stands."""

    CLEAR = enum.auto()
    HOLDING = enum.auto()  # nothing gets through behind the next message that may switch a layer on
    WAITING = enum.auto()  # that message has been delivered, and what follows is not decided yet
    LAYERED = enum.auto()
    ENDED = enum.auto()


class StreamEvent(enum.Enum):
    """What moves it."""

    HOLD = enum.auto()
    DELIVERED = enum.auto()  # the message that may switch a layer on
    IN_CLEAR = enum.auto()  # released, without a layer
    UNDER_LAYER = enum.auto()  # installed, or released under an older one
    END = enum.auto()


STREAM_TRANSITIONS: Final[Mapping[StreamState, Mapping[StreamEvent, StreamState]]] = MappingProxyType(
    {
        StreamState.CLEAR: {
            StreamEvent.HOLD: StreamState.HOLDING,
            StreamEvent.IN_CLEAR: StreamState.CLEAR,
            StreamEvent.UNDER_LAYER: StreamState.LAYERED,
            StreamEvent.END: StreamState.ENDED,
        },
        StreamState.HOLDING: {
            StreamEvent.HOLD: StreamState.HOLDING,
            StreamEvent.DELIVERED: StreamState.WAITING,
            StreamEvent.IN_CLEAR: StreamState.CLEAR,
            StreamEvent.UNDER_LAYER: StreamState.LAYERED,
            StreamEvent.END: StreamState.ENDED,
        },
        StreamState.WAITING: {
            StreamEvent.HOLD: StreamState.HOLDING,
            StreamEvent.IN_CLEAR: StreamState.CLEAR,
            StreamEvent.UNDER_LAYER: StreamState.LAYERED,
            StreamEvent.END: StreamState.ENDED,
        },
        StreamState.LAYERED: {
            StreamEvent.HOLD: StreamState.HOLDING,
            StreamEvent.UNDER_LAYER: StreamState.LAYERED,
            StreamEvent.END: StreamState.ENDED,
        },
        # The end may come from the other thread at any time, so no event is a fault behind it.
        StreamState.ENDED: dict.fromkeys(StreamEvent, StreamState.ENDED),
    }
)


class LayeredSocket:
    """A socket with a security layer on top; it has what clients use of a socket.

    One thread may read while others send. Only the one that runs the exchange calls hold, release and install.

    Args:
        transport: The socket, TLS or not.
        boundary: Where messages end; hold needs it.
        threaded: Whether one thread reads while others send; TLS needs to be told.
        on_end: Called by the reading thread, once, when the peer has closed or the layer has failed.

    Attributes:
        transport: The socket underneath.
        layer: The layer in force, or None.
        failure: The error of the layer that ended the stream, or None.
    """

    def __init__(
        self,
        transport: socket.socket,
        *,
        boundary: Boundary | None = None,
        on_end: Callable[[], object] | None = None,
        threaded: bool = False,
    ) -> None:
        self._threaded = threaded
        self._adopt(transport)
        self.layer: Layer | None = None
        self.failure: SaslError | None = None
        self._boundary = boundary
        self._on_end = on_end
        self._changed = threading.Condition()  # guards what the reader shares with the thread of the exchange
        self._sending = threading.Lock()
        self._plain = bytearray()  # what the caller gets next
        self._held = b""  # raw octets behind a message that may have switched a layer on
        self._state = StreamState.CLEAR
        # Who closes the transport: close, or a reader that stands in a read.
        self._reading = False
        self._closing = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return at most size octets of plain text, none when the stream has ended.

        Raises:
            Truncated: it ended inside a protected buffer.
            SaslError: what came does not verify. The stream is dead, and reads as ended from now on.
            OSError: the transport's own; the stream lives, and half a buffer is not lost.
        """
        if flags:
            raise ContextMisuse("a socket with a layer takes no flags")
        while True:
            with self._changed:
                while self._state is StreamState.WAITING and not self._plain:
                    self._changed.wait()
                if self._plain:
                    text = bytes(self._plain[:size])
                    del self._plain[:size]
                    return text
                if self._state is StreamState.ENDED:
                    return b""
                raw, self._held = self._held, b""
                wanted = size if self.layer is None else _CHUNK
                self._reading = not raw
            self._take(raw or self._receive(wanted))

    def _receive(self, size: int) -> bytes:
        try:
            return self._io.recv(size)
        finally:
            with self._changed:
                self._reading = False
            if self._closing:
                self.transport.close()

    def sendall(self, data: ReadableBuffer) -> None:
        """Send data, under the layer where there is one. After an error under a layer the stream is dead.

        Raises:
            SaslError: the layer has failed, here or while reading.
            OSError: the transport's own.
        """
        with self._sending:
            layer = self.layer
            try:
                self._io.sendall(data if layer is None else layer.wrap(bytes(data)))
            except OSError as error:
                if self.failure is not None:
                    raise self.failure from error
                if layer is not None:
                    # Half a buffer may be on its way, and the peer would take the next one for its rest.
                    self._die(error if isinstance(error, SaslError) else None)
                raise

    def send(self, data: ReadableBuffer) -> int:
        """Like sendall; returns the size of data."""
        self.sendall(data)
        return len(memoryview(data))

    def hold(self) -> None:
        """Let nothing through behind the next message that can switch a layer on, before install or release."""
        if self._boundary is None:
            raise ContextMisuse("without a boundary nobody knows where to hold the stream")
        with self._changed:
            self._move(StreamEvent.HOLD)

    def release(self) -> None:
        """End what hold began: what follows is as protected as before."""
        with self._changed:
            self._move(StreamEvent.IN_CLEAR if self.layer is None else StreamEvent.UNDER_LAYER)

    def install(self, layer: Layer) -> None:
        """Put a layer into force for all that follows in both directions, in the place of an older one.

        Raises:
            InvalidToken: clear text was received behind the end of the exchange, and nobody has read it.
        """
        with self._changed:
            self._refuse_unread("the end of the exchange")
            self.layer = layer
            self._move(StreamEvent.UNDER_LAYER)

    def replace_transport(self, transport: socket.socket) -> None:
        """Go on over another socket, such as TLS on the old one; a layer stays, above it (RFC 4513 5.2.1.6).

        Raises:
            InvalidToken: octets that TLS does not protect were received behind the agreement on TLS.
        """
        with self._changed:
            half = self.layer is not None and not self.layer.at_boundary
            self._refuse_unread("the agreement on TLS", half or bool(self._held))
            self._adopt(transport)

    def makefile(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        """Return a buffered reader on this socket; only "rb" can be had."""
        if mode != "rb":
            raise ContextMisuse(f"a socket with a layer has no file of mode {mode!r}")
        return io.BufferedReader(_SocketReader(self), buffering if buffering > 0 else io.DEFAULT_BUFFER_SIZE)

    def shutdown(self, how: int) -> None:
        """Shut the transport down."""
        self.transport.shutdown(how)

    def close(self) -> None:
        """Close the transport, and let a waiting reader go."""
        with self._changed:
            self._closing = True
            self._move(StreamEvent.END)
            reading = self._reading
        if not reading:
            self.transport.close()
            return
        # The number of a closed socket is given to the next one, and a TLS read that is under way would read from
        # that. So the reader is woken, and closes by itself.
        with contextlib.suppress(OSError):
            self.transport.shutdown(socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        if name in _PASSED:
            return getattr(self._io if name in _ANSWERED_WITHIN else self.transport, name)
        raise AttributeError(f"a socket with a layer has no {name!r}")

    def __repr__(self) -> str:
        return f"<LayeredSocket {'with' if self.layer else 'without'} a layer on {self.transport!r}>"

    def _move(self, event: StreamEvent) -> None:
        """Change the state, under the lock, and tell whoever waits for it."""
        self._state = STREAM_TRANSITIONS[self._state][event]
        self._changed.notify_all()

    def _adopt(self, transport: socket.socket) -> None:
        self.transport = transport
        self._io: socket.socket | TlsDuplex = transport
        if self._threaded and isinstance(transport, ssl.SSLSocket):
            self._io = TlsDuplex(transport)

    def _take(self, raw: bytes) -> None:
        """Put the plain text of raw octets where recv finds it."""
        try:
            with self._changed:
                if not raw:
                    self._take_end()
                elif self._state is StreamState.HOLDING:
                    self._take_held(raw)
                else:
                    # The layer may have been switched on while the raw read waited.
                    text = raw if self.layer is None else self.layer.unwrap(raw)
                    self._follow(text)
                    self._plain += text
        except SaslError as error:
            self._die(error)
            raise
        finally:
            if self._state is StreamState.ENDED and self._on_end is not None:
                on_end, self._on_end = self._on_end, None
                on_end()

    def _take_end(self) -> None:
        if self.layer is not None and not self.layer.at_boundary and self._state is not StreamState.ENDED:
            raise Truncated("the connection was closed in the middle of a protected buffer")
        self._move(StreamEvent.END)

    def _take_held(self, raw: bytes) -> None:
        """Stop behind the message that may switch a layer on, and keep raw what follows."""
        assert self._boundary is not None
        layer = self.layer
        while raw:
            # Under a layer one buffer at a time: the next one may already belong to the new layer.
            size = len(raw) if layer is None else layer.missing
            piece, raw = raw[:size], raw[size:]
            text = piece if layer is None else layer.unwrap(piece)
            end = self._boundary.take(text) if text else None
            self._plain += text[:end]
            if end is None:
                continue
            if layer is not None and text[end:]:
                raise InvalidToken(f"{len(text) - end} octets share a protected buffer with the end of the exchange")
            self._move(StreamEvent.DELIVERED)
            self._held = text[end:] + raw
            return

    def _follow(self, text: bytes) -> None:
        while self._boundary is not None and text:
            end = self._boundary.take(text)
            text = b"" if end is None else text[end:]

    def _refuse_unread(self, what: str, more: bool = False) -> None:
        if self._plain or more:
            error = InvalidToken(f"clear text was received behind {what}")
            self._die(error)
            raise error

    def _die(self, error: SaslError | None) -> None:
        with self._changed:
            self.failure = self.failure or error
            self._plain.clear()
            self._held = b""
            self._move(StreamEvent.END)
        with contextlib.suppress(OSError):
            self.transport.shutdown(socket.SHUT_RDWR)


class _SocketReader(io.RawIOBase):
    """What makefile buffers."""

    def __init__(self, stream: LayeredSocket) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        octets = self._stream.recv(len(view))
        view[: len(octets)] = octets
        return len(octets)
