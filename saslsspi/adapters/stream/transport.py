"""A security layer between an asyncio transport and a protocol that knows nothing of it.

For libraries that own their protocol object, such as aiosmtpd and aiosmtplib. Code that reads and writes streams uses
stream.LayeredStream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from saslsspi.errors import SaslError
from saslsspi.sasl.layer import Layer

__all__ = ["put_under_layer"]


def put_under_layer(transport: asyncio.Transport, protocol: asyncio.Protocol, layer: Layer) -> asyncio.Transport:
    """Unwrap what the protocol receives from now on, and return the transport that protects what it writes.

    When what is received does not verify, the connection is aborted and the protocol is told why.
    """
    transport.set_protocol(_UnwrappingProtocol(protocol, transport, layer))
    return _LayeredTransport(transport, layer)


class _LayeredTransport(asyncio.Transport):
    """A transport whose writes are protected; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, layer: Layer) -> None:
        super().__init__()
        self._transport = transport
        self._layer = layer

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._transport.write(self._layer.wrap(bytes(data)))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def can_write_eof(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


class _UnwrappingProtocol(asyncio.Protocol):
    """Stands between the transport and a protocol, which sees plain text."""

    def __init__(self, protocol: asyncio.Protocol, transport: asyncio.Transport, layer: Layer) -> None:
        self._protocol = protocol
        self._transport = transport
        self._layer = layer
        self._failure: SaslError | None = None

    def data_received(self, data: bytes) -> None:
        try:
            text = self._layer.unwrap(data)
        except SaslError as error:
            self._failure = error
            self._transport.abort()
            return
        if text:
            self._protocol.data_received(text)

    def eof_received(self) -> bool | None:
        return bool(self._protocol.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(self._failure or exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
