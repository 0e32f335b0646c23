"""A socket, and a stream of asyncio, under a layer."""

import asyncio
import socket
import ssl
from typing import assert_type

from saslsspi import ChannelBindings, Client
from saslsspi.adapters.stream import LayeredSocket, LayeredStream, channel_bindings_of


def layered(client: Client, connection: socket.socket) -> LayeredSocket:
    """Put a socket under what was negotiated."""
    wrapped = LayeredSocket(connection)
    if client.layer is not None:
        wrapped.install(client.layer)
    assert_type(wrapped.recv(4096), bytes)
    return wrapped


def bound(connection: ssl.SSLSocket) -> tuple[ChannelBindings, ...]:
    """Return what to bind to."""
    return channel_bindings_of(connection)


async def line(client: Client, host: str) -> bytes:
    """Read a line under it."""
    stream = LayeredStream(*await asyncio.open_connection(host, 143))
    if client.layer is not None:
        stream.install(client.layer)
    return await stream.readline()
