"""KeyUpdate of TLS 1.3, which Python's own ssl cannot send: OpenSSL's s_client does."""

from __future__ import annotations

import socket
import subprocess

import pytest

from interop.require import program, require_peer
from packages.schannel.stream import Side, inbound

SECONDS = 10


@pytest.mark.interop
def test_the_answer_to_key_update_goes_with_the_next_message() -> None:
    require_peer("openssl")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)
    command = [program("openssl"), "s_client", "-tls1_3", "-connect", f"127.0.0.1:{listener.getsockname()[1]}"]
    with (
        listener,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as peer,
    ):
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(SECONDS)
                server = Side(inbound())
                while not server.done:
                    connection.sendall(server.step(connection.recv(65536)))
                assert peer.stdin is not None
                peer.stdin.write(b"K\n")
                peer.stdin.flush()
                assert server.read(connection.recv(65536)) == b""
                for text in (b"first;", b"second;"):
                    connection.sendall(server.encrypt(text))
            output, _ = peer.communicate(timeout=SECONDS)
        finally:
            peer.kill()
    assert b"first;second;" in output
