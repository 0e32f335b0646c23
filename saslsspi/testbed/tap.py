"""A tap on the wire: forwards a loopback connection to a server and keeps what passed."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType
from typing import Final, NamedTuple, Self

__all__ = ["Speech", "Tap"]

_CHUNK: Final = 65536
_KEPT: Final = 1 << 24  # octets; what passes beyond is forwarded and not kept


class Speech(NamedTuple):
    """What one side said until the other spoke."""

    from_client: bool
    octets: bytes


class Tap:
    """Forwards one connection; enter it as a context manager, and connect to its port.

    Args:
        host: Where the server is.
        port: And on which port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._passed = bytearray()
        self._turned: list[tuple[int, bool]] = []  # where in it somebody began to speak, and whether that is the client
        self._last_was_client = False
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)

    @property
    def port(self) -> int:
        """The port to connect to, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    @property
    def round_trips(self) -> int:
        """How often the client has spoken after the server, since the start or since `begin_count`."""
        with self._lock:
            return self._turns

    def begin_count(self) -> None:
        """Count round trips anew; whoever spoke last, the client's next words are the first of a round trip."""
        with self._lock:
            self._turns = 0
            self._last_was_client = False

    def saw(self, text: bytes) -> bool:
        """Whether these octets have passed in clear, in either direction."""
        with self._lock:
            return text in self._passed

    def turns(self) -> tuple[Speech, ...]:
        """Return what passed, in turns."""
        with self._lock:
            starts = [start for start, _ in self._turned]
            ends = [*starts[1:], len(self._passed)]
            return tuple(
                Speech(from_client, bytes(self._passed[start:end]))
                for (start, from_client), end in zip(self._turned, ends, strict=True)
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for endpoint in (self._listener, self._wake, self._woken):
            endpoint.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            if any(key.fileobj is self._woken for key, _ in selector.select()):
                return
            selector.unregister(self._listener)
            client, _ = self._listener.accept()
            with client:
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    return  # the client sees its connection close
                with server:
                    self._forward(selector, client, server)

    def _forward(self, selector: selectors.BaseSelector, client: socket.socket, server: socket.socket) -> None:
        peers = {client: server, server: client}
        for endpoint in peers:
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(endpoint, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                if source is self._woken:
                    return
                assert isinstance(source, socket.socket)
                try:
                    octets = source.recv(_CHUNK)
                    if not octets:
                        return
                    self._keep(octets, source is client)
                    peers[source].sendall(octets)
                except OSError:
                    return

    def _keep(self, octets: bytes, from_client: bool) -> None:
        with self._lock:
            if from_client and not self._last_was_client:
                self._turns += 1
            self._last_was_client = from_client
            if len(self._passed) < _KEPT:
                if not self._turned or self._turned[-1][1] is not from_client:
                    self._turned.append((len(self._passed), from_client))
                self._passed += octets
