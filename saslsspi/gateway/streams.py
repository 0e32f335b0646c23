"""The two ends of a carried connection: accepted, connected, and closed so that nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Final

from saslsspi.adapters.stream import LayeredStream

__all__ = ["PIECE", "CarriedStream", "connected", "peer_of"]

PIECE: Final = 1 << 16
"""How much is read at a time, in octets; a stream holds twice that much at most before it makes its peer wait."""

_GRACE: Final = 5.0  # seconds for what is still on its way to a peer that is closed
_UCRED: Final = struct.Struct("3i")  # unix(7): SO_PEERCRED


class CarriedStream(LayeredStream):
    """One end: a stream that is closed for good within seconds, whatever its peer does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._transport_of = writer

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS around it, or None."""
        found: ssl.SSLObject | None = self.get_extra_info("ssl_object")
        return found

    @property
    def waiting(self) -> int:
        """How many octets have come that nobody has read."""
        return len(self._plain)

    async def more(self) -> bool:
        """Wait until more octets have come, and keep them; False where the peer has left."""
        return await self._fill()

    async def end(self) -> None:
        """Close it once what was written has gone, or has had its time."""
        self.close()
        try:
            async with asyncio.timeout(_GRACE):
                await self.wait_closed()
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        with contextlib.suppress(AttributeError):  # Python 3.11.2: TLS that has ended cannot be aborted any more
            self._transport_of.transport.abort()


async def connected(host: str, port: int, context: ssl.SSLContext | None) -> CarriedStream:
    """Connect, with TLS from the start where there is a context.

    Raises:
        OSError: nobody answers there, or its certificate is not trusted.
    """
    name = None if context is None else host
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name, limit=PIECE)
    return CarriedStream(reader, writer)


def peer_of(one: socket.socket) -> str:
    """Return who has connected, for the audit log: address and port, or of a Unix socket the user's number."""
    if one.family == socket.AF_UNIX:
        with contextlib.suppress(OSError, AttributeError):
            _, user, _ = _UCRED.unpack(one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
            return f"unix:uid={user}"
        return "unix"
    with contextlib.suppress(OSError):
        host, port = one.getpeername()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""
