"""A TCP proxy that treats the stream as the network may: it splits and joins it, cuts connections, and counts them."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

_TICK = 0.02


class Network:
    """What happens to the octets of one direction of one connection."""

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        """Yield what is passed on; b"" says that the connection is cut here."""
        yield octets


class Shredder(Network):
    """Splits and joins at random octets: pieces of 1 to `longest` octets, some of them kept back for a moment.

    Of a long answer only the first `limit` octets are shredded, which is what a layer's frames and LDAP's messages
    need; the rest passes in the pieces it came in.
    """

    def __init__(self, seed: int, longest: int = 40, limit: int = 20_000) -> None:
        self._random = random.Random(seed)
        self._longest = longest
        self._left = limit

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        while octets and self._left > 0:
            size = self._random.randint(1, self._longest)
            piece, octets = octets[:size], octets[size:]
            self._left -= len(piece)
            if self._random.random() < 0.1:
                time.sleep(0.001)  # so that the pieces do not arrive joined
            yield piece
        if octets:
            yield octets


class Cutter(Network):
    """Lets a number of octets through and cuts the connection then."""

    def __init__(self, size: int) -> None:
        self._left = size

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        passed = octets[: self._left]
        self._left -= len(passed)
        if passed:
            yield passed
        if len(passed) < len(octets) or not self._left:
            yield b""


Behaviour = Callable[[int], tuple[Network, Network]]
"""Takes a connection's number, from 0, and returns what happens on its way to the server and to the client."""


def faithful(_number: int) -> tuple[Network, Network]:
    """Pass everything on as it comes."""
    return Network(), Network()


class Proxy:
    """A proxy in front of a server on loopback: `with Proxy(port, behaviour) as proxy: ... proxy.port`.

    Attributes:
        port: Where clients connect.
        accepted: How many connections there have been.
    """

    def __init__(self, server_port: int, behaviour: Behaviour = faithful) -> None:
        self.behaviour = behaviour
        self.accepted = 0
        self._server_port = server_port
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TICK)
        self.port: int = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop.set()
        self.cut_all()
        for thread in list(self._threads):
            thread.join(timeout=5)
            assert not thread.is_alive()
        self._listener.close()

    def cut_all(self) -> None:
        """End every connection there is."""
        with self._lock:
            ending, self._open = self._open, []
        for connection in ending:
            _cut(connection)

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
            for connection in (client, server):
                connection.settimeout(None)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            to_server, to_client = self.behaviour(self.accepted)
            self.accepted += 1
            with self._lock:
                self._open += [client, server]
            pumps = [(client, server, to_server), (server, client, to_client)]
            both = [threading.Thread(target=self._pump, args=pump, daemon=True) for pump in pumps]
            self._threads += both
            for thread in both:
                thread.start()

    def _pump(self, source: socket.socket, target: socket.socket, network: Network) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                for piece in network.pieces(octets):
                    if not piece:
                        raise ConnectionAbortedError
                    target.sendall(piece)
        _cut(source)
        _cut(target)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
