"""Whatever a server sends, and wherever: an error of ours, of the network or of the library that the client extends."""

from __future__ import annotations

import contextlib
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.mail.line_world import DOCUMENTED, SIDES, HonestServer, Side
from adapters.mail_world import TIMEOUT, Peer

STAGES = ("greeting", "list", "answer", "challenge")

SHAPES = st.sampled_from(
    [
        *(b"* ", b"+ ", b"+OK ", b"-ERR ", b"334 ", b"235 ", b"250-", b"250 AUTH", b"OK (", b'NO "', b"BYE", b"999 "),
        *(b"{5}\r\n", b"{4294967295}\r\n", b'"SASL" ', b"* CAPABILITY ", b"[CAPABILITY", b"\xff\xfe", b"\0", b"\r\n"),
        *(b"\n", b" ", b'"', b"* OK [", b"* 1 FETCH (", b"a OK", b"2\xb2\xb2 "),
    ]
)
RUBBISH = st.lists(SHAPES | st.binary(max_size=12), max_size=8).map(b"".join)

CHALLENGE = b64encode(b'realm="x",nonce="y",qop="auth",algorithm=md5-sess,charset=utf-8')


class Rubbish:
    """A server that is honest up to a stage; each connection gets what is set now."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stage, self.octets = "greeting", b""
        self.side = SIDES[0]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(TIMEOUT)
                peer = Peer(sock)
                with contextlib.suppress(OSError):
                    self.play(peer)
                    sock.sendall(self.octets)
                    sock.shutdown(socket.SHUT_WR)
                    peer.rest()
                peer.close()

    def play(self, peer: Peer) -> None:
        server = HonestServer(self.side.protocol, peer)
        if self.stage == "greeting":
            return
        if self.stage == "list":
            if self.side.protocol.greeting:
                server.greet()
                server.hear()
            return
        server.greet()
        server.until_authentication()
        if self.stage == "challenge":
            peer.say(self.side.protocol.challenge(CHALLENGE))
            peer.hear()


@pytest.fixture(scope="module")
def rubbish() -> Iterator[Rubbish]:
    server = Rubbish()
    yield server
    server.listener.close()


@pytest.mark.parametrize("side", SIDES, ids=str)
@pytest.mark.parametrize("stage", STAGES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=RUBBISH)
def test_rubbish_ends_in_an_error_that_is_documented(rubbish: Rubbish, side: Side, stage: str, octets: bytes) -> None:
    rubbish.side, rubbish.stage, rubbish.octets = side, stage, octets
    with contextlib.suppress(*DOCUMENTED):
        side(rubbish.port)
