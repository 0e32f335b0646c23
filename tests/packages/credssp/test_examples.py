"""The examples of docs/credssp.md, run as they stand there."""

from __future__ import annotations

import re
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from interop.http_server import AuthenticatingServer
from packages.credssp.ours import DOMAIN, PASSWORD, USER, server_side
from saslsspi import sspi
from saslsspi.packages.credssp.credentials import PasswordCredentials

TREE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", (TREE / "docs" / "credssp.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    return names


def test_the_http_client_logs_on(examples: dict[str, Any]) -> None:
    with AuthenticatingServer("CredSSP", server_side().credential) as server:
        host, _, port = server.url.removeprefix("http://").rstrip("/").partition(":")
        connection, client, status, text = examples["log_on_over_http"](host, int(port), "HTTP/host.example")
        connection.close()
    assert (status, text, client.done, server.errors) == (200, USER.encode(), True, [])


def test_network_level_authentication_logs_on(examples: dict[str, Any]) -> None:
    acceptor = server_side()
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(19, socket.MSG_WAITALL)
            received.append(request)
            answer = struct.pack(">BBHBBHHB", 3, 0, 19, 14, 0xD0, 0, 0, 0) + struct.pack("<BBHI", 2, 0, 8, 2)
            connection.sendall(answer)
            while not acceptor.done:
                reply = acceptor.step(connection.recv(65536))
                if reply:
                    connection.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    connection, client = examples["log_on_over_nla"](*listener.getsockname(), "TERMSRV/host.example")
    thread.join(10)
    connection.close()
    listener.close()
    assert received == [bytes.fromhex("030000130ee000000000000100080002000000")]
    assert client.done
    held = acceptor.query(sspi.SecPkgContextClientCreds).credentials
    assert held == PasswordCredentials(DOMAIN, USER, PASSWORD)
