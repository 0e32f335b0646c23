"""OpenSSL's s_server and s_client, and what a person at their keyboard has them do: R renegotiates, K updates keys."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from interop.require import program, require_peer

__all__ = ["SECONDS", "OpensslPeer", "connecting_client", "listening_server"]

SECONDS = 10
_HEADER = 5


class OpensslPeer:
    """A running program and our end of its connection."""

    def __init__(self, program: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._program, self._connection = program, connection
        connection.settimeout(SECONDS)

    def press(self, line: bytes) -> None:
        """Type a line: text goes to us, a single letter may be a command."""
        assert self._program.stdin is not None
        self._program.stdin.write(line + b"\n")
        self._program.stdin.flush()

    def record(self) -> bytes:
        """Return the next record of TLS that it sends."""
        header = self._exactly(_HEADER)
        return header + self._exactly(int.from_bytes(header[3:]))

    def _exactly(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            part = self._connection.recv(size - len(octets))
            assert part, "the peer has closed the connection"
            octets += part
        return octets

    def receive(self) -> bytes:
        return self._connection.recv(65536)

    def send(self, octets: bytes) -> None:
        self._connection.sendall(octets)

    def output(self) -> bytes:
        """Send no more, and return all that the program has written when it ends."""
        self._connection.shutdown(socket.SHUT_WR)  # closing would reset it, and lose what it has not read
        self._program.wait(SECONDS)  # its stdin stays open: the programs end with that, whatever has come
        assert self._program.stdout is not None
        return self._program.stdout.read()


@contextlib.contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    require_peer("openssl")
    with subprocess.Popen(
        [program("openssl"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as peer:
        try:
            yield peer
        finally:
            peer.kill()


@contextlib.contextmanager
def connecting_client(*options: str) -> Iterator[OpensslPeer]:
    """Run s_client against us."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        with _running("s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", *options) as program:
            connection, _ = listener.accept()
            with connection:
                yield OpensslPeer(program, connection)


@contextlib.contextmanager
def listening_server(certificate: Path, *options: str) -> Iterator[OpensslPeer]:
    """Run s_server and connect to it."""
    with _running(
        "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", str(certificate), *options
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if line.startswith(b"ACCEPT"):
                break
        with socket.create_connection(("127.0.0.1", int(line.rpartition(b":")[2]))) as connection:
            yield OpensslPeer(program, connection)
