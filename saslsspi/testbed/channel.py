"""The octets of one connection of a server: TLS beneath, a SASL layer on top.

Unlike a stream it sees all that has arrived, so that nothing sent in clear behind StartTLS, or behind the end of an
exchange, can pass for protected. What a peer can make it hold is bounded, and all that leaves goes through transmit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self, cast

from saslsspi.errors import InvalidToken
from saslsspi.sasl.layer import Layer

__all__ = ["TLS_HANDSHAKE_TIMEOUT", "Channel", "Traffic", "close_listeners"]

_HIGH_WATER: Final = 1 << 16
"""From how many unread octets on the peer has to wait."""
_LINGER: Final = 5.0
"""How long what was sent last may take to leave, in seconds."""
TLS_HANDSHAKE_TIMEOUT: Final = 10.0


@dataclass(slots=True)
class Traffic:
    """How many octets crossed the wire; those under TLS or a SASL layer are protected."""

    clear: int = 0
    protected: int = 0


class Channel(asyncio.Protocol):
    """One connection.

    Args:
        serve: Is run for as long as the connection lasts, and cancelled when the peer goes away.
        traffic: Where octets are counted.
    """

    def __init__(self, serve: Callable[[Self], Awaitable[None]], traffic: Traffic) -> None:
        self._serve: Callable[[], Awaitable[None]] = lambda: serve(self)
        self._traffic = traffic
        self._raw = bytearray()
        self._plain = bytearray()
        self._layer: Layer | None = None
        self._transport: asyncio.Transport  # from connection_made on
        self._task: asyncio.Task[None]
        self._ended = False
        self._paused = False
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def send(self, text: bytes) -> None:
        """Send plain text, under the layer if there is one."""
        octets = text if self._layer is None else self._layer.wrap(text)
        self._count(len(octets))
        self.transmit(octets)

    def transmit(self, octets: bytes) -> None:
        """Hand octets to the transport as they are; for tests to override."""
        self._transport.write(octets)

    async def drain(self) -> None:
        """Wait until the peer has taken enough.

        Raises:
            ConnectionResetError: it has gone away.
        """
        await self._writable.wait()
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is lost")

    @property
    def at_rest(self) -> bool:
        """Whether nothing has arrived beyond what was read."""
        return not self._raw and not self._plain and (self._layer is None or self._layer.at_boundary)

    @property
    def layered(self) -> bool:
        """Whether a SASL layer is in effect."""
        return self._layer is not None

    def install(self, layer: Layer) -> None:
        """Protect everything from the next octet on, in the place of an older layer.

        Raises:
            InvalidToken: octets that the new layer does not protect have arrived already.
        """
        self._check_rest("the message that completes the exchange")
        self._layer = layer

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS as the server.

        Raises:
            InvalidToken: clear text was pipelined behind the request.
            OSError: the handshake failed.
        """
        self._check_rest("the request to start TLS")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            self._transport, self, context, server_side=True, ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT
        )
        if transport is None:
            raise ConnectionResetError("the connection was lost in the TLS handshake")
        self._transport = transport

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS connection beneath, or None."""
        return cast(ssl.SSLObject | None, self._transport.get_extra_info("ssl_object"))

    @property
    def tls_bits(self) -> int:
        """How many secret bits the cipher of TLS has; 0 without TLS."""
        cipher = self.tls.cipher() if self.tls is not None else None
        return cipher[2] if cipher else 0

    @property
    def tls_identity(self) -> str | None:
        """Whom TLS has authenticated: the common name of the client's certificate, or None."""
        certificate = self.tls.getpeercert() if self.tls is not None else None
        if not certificate:
            return None
        subject = cast(tuple[tuple[tuple[str, str], ...], ...], certificate.get("subject", ()))
        return next((value for part in subject for kind, value in part if kind == "commonName"), None)

    @property
    def peer(self) -> str:
        """The address at the other end."""
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unknown"

    def close(self) -> None:
        """Close after what was sent has gone out."""
        self._transport.close()

    async def finish(self) -> None:
        """Close, and give the peer a little time to take what was sent last."""
        self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await self._lost.wait()
        self._transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._task.cancel()
        self._transport.abort()

    def _check_rest(self, request: str) -> None:
        if not self.at_rest:
            raise InvalidToken(f"octets are pipelined behind {request}")

    async def _more(self) -> bool:
        """Turn what has arrived into plain text, or wait for it; False when the peer has closed.

        Raises:
            SaslError: the security layer has failed.
        """
        while not self._raw:
            if self._ended:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        self._take()
        return True

    def _take(self) -> None:
        octets = bytes(self._raw)
        self._raw.clear()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._count(len(octets))
        self._plain += octets if self._layer is None else self._layer.unwrap(octets)

    def _count(self, size: int) -> None:
        if self._layer is not None or self.tls is not None:
            self._traffic.protected += size
        else:
            self._traffic.clear += size

    # What follows is called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        self._transport = cast(asyncio.Transport, transport)
        self._task = asyncio.get_running_loop().create_task(self._run())
        # A task that is cancelled before its first step runs no line of its own.
        self._task.add_done_callback(lambda _: self._transport.abort())

    async def _run(self) -> None:
        await self._serve()
        await self.finish()

    def data_received(self, data: bytes) -> None:
        """Keep octets until they are asked for."""
        self._raw += data
        if len(self._raw) >= _HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        """Let the answers that are due go out first, where the transport can."""
        self._ended = True
        self._arrived.set()
        return self.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session."""
        self._ended = True
        self._lost.set()
        self._arrived.set()
        self._writable.set()
        self._task.cancel()

    def pause_writing(self) -> None:
        """Make drain wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let drain return."""
        self._writable.set()


async def close_listeners(listeners: Sequence[asyncio.Server]) -> None:
    """Listen no more.

    A connection that is being accepted while its listener closes would stay open for ever (CPython gh-109564), so
    accepting ends first.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # the loop of Windows accepts otherwise
        for listener in listeners:
            for socket in listener.sockets:
                loop.remove_reader(socket)
    await asyncio.sleep(0)
    for listener in listeners:
        listener.close()
