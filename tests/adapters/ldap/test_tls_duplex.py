"""TLS that one thread reads while another writes."""

from __future__ import annotations

import hashlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from interop.certificate import make_server_certificate
from saslsspi.adapters.stream.tls_duplex import TlsDuplex

TIMEOUT = 10
MUCH = random.Random(1).randbytes(3_000_000)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    made = make_server_certificate(tmp_path_factory.mktemp("tls"))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(made.certificate_file, made.key_file)
    return serving, ssl.create_default_context(cafile=str(made.ca_file))


@pytest.fixture
def ends(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT)
    theirs.settimeout(TIMEOUT)
    server: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: server.append(contexts[0].wrap_socket(theirs, server_side=True)))
    thread.start()
    with contexts[1].wrap_socket(ours, server_hostname="localhost") as client:
        thread.join(TIMEOUT)
        with server[0] as other:
            yield client, other


def test_much_goes_both_ways_at_once(ends: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    digests = []

    def read(side: TlsDuplex) -> None:
        received, left = hashlib.sha256(), len(MUCH)
        while left:
            octets = side.recv(65536)
            assert octets
            received.update(octets)
            left -= len(octets)
        digests.append(received.digest())

    sides = [TlsDuplex(end) for end in ends]
    threads = [threading.Thread(target=read, args=(side,)) for side in sides]
    threads += [threading.Thread(target=side.sendall, args=(MUCH,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * TIMEOUT)
        assert not thread.is_alive()
    assert digests == [hashlib.sha256(MUCH).digest()] * 2


def test_a_timeout_is_one(ends: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    ours, theirs = (TlsDuplex(end) for end in ends)
    assert ours.gettimeout() == TIMEOUT
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.recv(1)
    theirs.sendall(b"late")
    assert ours.recv(100) == b"late"


def test_a_reader_is_woken_by_the_end(ends: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    ours = TlsDuplex(ends[0])
    received: list[bytes] = []

    def read() -> None:
        try:
            received.append(ours.recv(100))
        except OSError:
            received.append(b"")

    thread = threading.Thread(target=read)
    began = time.monotonic()
    thread.start()
    time.sleep(0.05)
    ends[0].shutdown(socket.SHUT_RDWR)
    thread.join(TIMEOUT)
    assert received == [b""]
    assert time.monotonic() - began < TIMEOUT / 2
