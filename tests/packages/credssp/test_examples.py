"""The examples of docs/credssp.md, run as they stand there."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from interop.http_server import AuthenticatingServer
from packages.credssp.ours import DOMAIN, PASSWORD, USER, accepting, server_side
from saslsspi import MemoryAuthority, errors, sspi
from saslsspi.packages.credssp.credentials import PasswordCredentials
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType

TREE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", (TREE / "docs" / "credssp.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    return names


def _connected(server: AuthenticatingServer) -> contextlib.closing[http.client.HTTPConnection]:
    host = server.url.removeprefix("http://").rstrip("/")
    return contextlib.closing(http.client.HTTPConnection(host, timeout=10))


def test_the_http_client_logs_on(examples: dict[str, Any]) -> None:
    with AuthenticatingServer("CredSSP", accepting) as server, _connected(server) as connection:
        client, status, text = examples["log_on_over_http"](connection, "HTTP/host.example")
    assert (status, text, client.done, server.errors) == (200, USER.encode(), True, [])


def test_a_server_that_refuses_ends_the_http_client(examples: dict[str, Any]) -> None:
    stranger = partial(accepting, authority=MemoryAuthority({USER: "another password"}))
    with (
        AuthenticatingServer("CredSSP", stranger) as server,
        _connected(server) as connection,
        pytest.raises(PermissionError, match="401"),
    ):
        examples["log_on_over_http"](connection, "HTTP/host.example")
    assert isinstance(server.errors[0], errors.LogonDenied)


YES, NO = struct.pack("<BBHI", 2, 0, 8, 2), struct.pack("<BBHI", 3, 0, 8, 5)  # RDP_NEG_RSP, RDP_NEG_FAILURE


class RdpServer:
    """As much of one as comes before the session: X.224, TLS with CredSSP, and an echo.

    Args:
        answer: What goes with the X.224 Connection Confirm.
        piece: Octets that go out at a time.
        steps: After so many messages the connection is closed.
    """

    def __init__(self, answer: bytes = YES, *, piece: int = 1 << 16, steps: int = 100) -> None:
        self.acceptor = server_side()
        self.received: list[bytes] = []
        self._answer, self._piece, self._legs = answer, piece, steps
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            self.received.append(connection.recv(19, socket.MSG_WAITALL))
            size = len(self._answer)
            connection.sendall(struct.pack(">BBHBBHHB", 3, 0, 11 + size, 6 + size, 0xD0, 0, 0, 0) + self._answer)
            while not self.acceptor.done:
                octets = connection.recv(65536)
                self._legs -= 1
                if not octets or not self._legs:
                    return
                reply = self.acceptor.step(octets)
                for at in range(0, len(reply), self._piece):
                    connection.sendall(reply[at : at + self._piece])
            text = self.acceptor.read(self.acceptor.untaken or connection.recv(65536))
            connection.sendall(self.acceptor.encrypt(text.upper()))


@pytest.mark.parametrize("piece", [1 << 16, 100, 1])
def test_network_level_authentication_logs_on_and_the_session_goes_on_under_it(
    examples: dict[str, Any], piece: int
) -> None:
    with RdpServer(piece=piece) as server, socket.create_connection(server.address, 10) as connection:
        client = examples["log_on_over_nla"](connection, "TERMSRV/host.example")
        assert client.done
        connection.sendall(_sealed(client.context, b"mcs connect initial"))
        assert _opened(client.context, client.rest + connection.recv(65536)) == b"MCS CONNECT INITIAL"
    assert server.received == [bytes.fromhex("030000130ee000000000000100080002000000")]
    held = server.acceptor.query(sspi.SecPkgContextClientCreds).credentials
    assert held == PasswordCredentials(DOMAIN, USER, PASSWORD)


@pytest.mark.parametrize("answer", [NO, b"", struct.pack("<BBHI", 2, 0, 8, 1)], ids=["failure", "none", "TLS only"])
def test_a_server_without_network_level_authentication_gets_nothing(examples: dict[str, Any], answer: bytes) -> None:
    with (
        RdpServer(answer) as server,
        socket.create_connection(server.address, 10) as connection,
        pytest.raises(ConnectionError, match="network level authentication"),
    ):
        examples["log_on_over_nla"](connection, "TERMSRV/host.example")
    assert len(server.received) == 1


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_server_that_hangs_up_is_noticed(examples: dict[str, Any], steps: int) -> None:
    with (
        RdpServer(steps=steps) as server,
        socket.create_connection(server.address, 10) as connection,
        pytest.raises(ConnectionError),
    ):
        examples["log_on_over_nla"](connection, "TERMSRV/host.example")


def _sealed(context: sspi.CtxtHandle, text: bytes) -> bytes:
    sizes = sspi.query_context_attributes(context, sspi.SecPkgContextStreamSizes)
    kinds = SecBufferType
    message = SecBufferDesc(
        [
            SecBuffer(bytearray(sizes.header), kinds.SECBUFFER_STREAM_HEADER),
            SecBuffer(bytearray(text), kinds.SECBUFFER_DATA),
            SecBuffer(bytearray(sizes.trailer), kinds.SECBUFFER_STREAM_TRAILER),
        ]
    )
    sspi.encrypt_message(context, 0, message, 0)
    return b"".join(buffer.data for buffer in message)


def _opened(context: sspi.CtxtHandle, octets: bytes) -> bytes:
    message = SecBufferDesc(
        [SecBuffer(bytearray(octets), SecBufferType.SECBUFFER_DATA), *(SecBuffer(None, 0) for _ in range(3))]
    )
    sspi.decrypt_message(context, message, 0)
    return message[1].data
