"""An asyncio stream that carries a security layer; see stream.py."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from saslsspi.adapters.stream.boundary import Truncated
from saslsspi.errors import InvalidToken
from saslsspi.sasl.layer import Layer

if TYPE_CHECKING:
    import asyncio
    import ssl

__all__ = ["LayeredStream"]

_CHUNK: Final = 65536
_LONGEST_LINE: Final = 65536


class LayeredStream:
    """An asyncio reader and writer with a security layer on top.

    Attributes:
        layer: The layer in force, or None.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.layer: Layer | None = None
        self._reader = reader
        self._writer = writer
        self._plain = bytearray()

    async def read(self, size: int = _CHUNK) -> bytes:
        """Return at most size octets of plain text, none when the stream has ended.

        Raises:
            SaslError: the stream ended inside a protected buffer, or what came does not verify; close it.
        """
        if not self._plain:
            await self._fill()
        text = bytes(self._plain[:size])
        del self._plain[:size]
        return text

    async def readexactly(self, size: int) -> bytes:
        """Return size octets.

        Raises:
            Truncated: the stream ended before.
        """
        while len(self._plain) < size:
            if not await self._fill():
                raise Truncated(f"the connection was closed after {len(self._plain)} of {size} octets")
        return await self.read(size) if size else b""

    async def readline(self, limit: int = _LONGEST_LINE) -> bytes:
        """Return a line with its line feed; nothing when the stream has ended.

        Raises:
            Truncated: the stream ended inside a line.
            InvalidToken: the line is longer than limit octets.
        """
        searched = 0
        while (end := self._plain.find(b"\n", searched, limit)) < 0:
            searched = len(self._plain)
            if searched >= limit:
                raise InvalidToken(f"a line of more than {limit} octets")
            if not await self._fill():
                if searched:
                    raise Truncated(f"the connection was closed after {searched} octets of a line")
                return b""
        return await self.read(end + 1)

    def write(self, data: bytes) -> None:
        """Send data, under the layer where there is one; await drain afterwards."""
        self._writer.write(data if self.layer is None else self.layer.wrap(data))

    async def drain(self) -> None:
        """Wait until the transport takes more."""
        await self._writer.drain()

    def install(self, layer: Layer, *, unread_is_protected: bool = False) -> None:
        """Put a layer into force for all that follows in both directions, in the place of an older one.

        What the transport has received and nobody has read yet is taken for protected data, and fails as such.

        Args:
            layer: The new one.
            unread_is_protected: Whether the peer may have spoken under it already: what was read too far is then its
                first data. It does so where there was no layer before.

        Raises:
            InvalidToken: clear text was received behind the end of the exchange, and nobody has read it.
        """
        if unread_is_protected and self.layer is None:
            unread, self._plain = bytes(self._plain), bytearray()
            self._plain += layer.unwrap(unread)
        elif self._plain:
            raise InvalidToken(f"{len(self._plain)} octets of clear text were received behind the end of the exchange")
        self.layer = layer

    async def start_tls(self, context: ssl.SSLContext, *, server_hostname: str | None = None) -> None:
        """Begin TLS; a layer stays, above it (RFC 4513 section 5.2.1.6). A name is what the certificate has to show.

        Raises:
            InvalidToken: octets that TLS does not protect were received behind the agreement on TLS.
        """
        if self._plain or not (self.layer is None or self.layer.at_boundary):
            raise InvalidToken("clear text was received behind the agreement on TLS")
        await self._writer.drain()
        # CPython hands what the reader holds on as if it had come under TLS (gh-142352).
        if self._reader._buffer:  # type: ignore[attr-defined]  # asyncio has no public way to look
            raise InvalidToken("clear text was received behind the agreement on TLS")
        await self._writer.start_tls(context, server_hostname=server_hostname)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport tells of itself, such as "peername" or "ssl_object"."""
        return self._writer.get_extra_info(name, default)

    def close(self) -> None:
        """Close the transport."""
        self._writer.close()

    async def wait_closed(self) -> None:
        """Wait until the transport is closed; that the peer was faster is no error."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _fill(self) -> bool:
        """Receive some plain text; False when the stream has ended."""
        while True:
            raw = await self._reader.read(_CHUNK)
            if not raw:
                if self.layer is not None and not self.layer.at_boundary:
                    raise Truncated("the connection was closed in the middle of a protected buffer")
                return False
            text = raw if self.layer is None else self.layer.unwrap(raw)
            if text:
                self._plain += text
                return True
