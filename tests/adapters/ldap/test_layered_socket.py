"""The socket that carries a layer."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pair import authenticate
from saslsspi import Client, Layer, MemoryAuthority, Password, Policy, Server
from saslsspi.adapters.stream import LayeredSocket, Truncated
from saslsspi.adapters.stream.socket import STREAM_TRANSITIONS, StreamEvent, StreamState
from saslsspi.errors import ContextMisuse, InvalidToken, MessageAltered

TIMEOUT = 5
END = b"\n"


def layers(policy: Policy | None = None) -> tuple[Layer, Layer]:
    """The two ends of a layer."""
    client = Client("DIGEST-MD5", service="x", host="h", credentials=Password("alice", "pw"), policy=policy)
    server = Server("DIGEST-MD5", service="x", host="h", authority=MemoryAuthority({"alice": "pw"}))
    authenticate(client, server)
    assert client.layer is not None
    assert server.layer is not None
    return client.layer, server.layer


class Lines:
    """A boundary: a line that begins with an exclamation mark may switch a layer on."""

    def __init__(self) -> None:
        self._line = b""

    def take(self, text: bytes) -> int | None:
        for at, octet in enumerate(text, 1):
            self._line += bytes([octet])
            if octet == END[0]:
                marked, self._line = self._line.startswith(b"!"), b""
                if marked:
                    return at
        return None


@contextlib.contextmanager
def joined(on_end: Callable[[], object] | None = None) -> Iterator[tuple[LayeredSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(TIMEOUT)
        theirs.settimeout(TIMEOUT)
        yield LayeredSocket(ours, boundary=Lines(), on_end=on_end), theirs


def everything(stream: LayeredSocket, size: int = 4096) -> bytes:
    received = b""
    while text := stream.recv(size):
        assert len(text) <= size
        received += text
    return received


def test_it_passes_everything_through_before_there_is_a_layer() -> None:
    with joined() as (stream, peer):
        stream.sendall(b"to you")
        assert peer.recv(100) == b"to you"
        peer.sendall(b"to me")
        assert stream.recv(2) == b"to"
        assert stream.recv(100) == b" me"
        assert stream.getpeername() == peer.getsockname()
        assert stream.fileno() == stream.transport.fileno()


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.binary(max_size=3000), max_size=6),
    seed=st.integers(0, 1000),
    size=st.sampled_from([1, 7, 4096]),
    policy=st.sampled_from([Policy(min_ssf=1, max_ssf=1), Policy(min_ssf=128)]),
)
def test_texts_arrive_whole_however_the_stream_is_split(
    texts: list[bytes], seed: int, size: int, policy: Policy
) -> None:
    ours, theirs = layers(policy)
    chance = random.Random(seed)
    with joined() as (stream, peer):
        stream.install(ours)
        wire = b"".join(theirs.wrap(text) for text in texts)

        def send() -> None:
            at = 0
            while at < len(wire):
                at += peer.send(wire[at : at + chance.randint(1, 900)])
            peer.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        assert everything(stream, size) == b"".join(texts)
        thread.join(TIMEOUT)
        stream.sendall(b"answer")
        assert theirs.unwrap(peer.recv(1000)) == b"answer"


def test_what_a_thread_waits_for_is_read_under_the_layer_that_came_meanwhile() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer):
        received: list[bytes] = []
        thread = threading.Thread(target=lambda: received.append(stream.recv(100)))
        thread.start()
        stream.install(ours)
        peer.sendall(theirs.wrap(b"protected"))
        thread.join(TIMEOUT)
        assert received == [b"protected"]


@pytest.mark.parametrize("gap", [True, False], ids=["two segments", "one segment"])
@pytest.mark.parametrize("under", [True, False], ids=["under a layer", "in clear"])
def test_a_held_reader_stops_behind_the_message_that_switches_the_layer(under: bool, gap: bool) -> None:
    old, new = layers(), layers()
    with joined() as (stream, peer):
        wrap: Callable[[bytes], bytes] = bytes
        if under:
            stream.install(old[0])
            wrap = old[1].wrap
        stream.hold()
        received: list[bytes] = []

        def read() -> None:
            while text := stream.recv(4096):
                received.append(text)

        thread = threading.Thread(target=read)
        thread.start()
        switch, after = wrap(b"noise\n!success\n"), new[1].wrap(b"protected anew")
        if gap:
            peer.sendall(switch)
            peer.sendall(after)
        else:
            peer.sendall(switch + after)
        for _ in range(500):
            if b"".join(received).endswith(b"!success\n"):
                break
            threading.Event().wait(0.01)
        assert b"".join(received) == b"noise\n!success\n"
        stream.install(new[0])
        peer.shutdown(socket.SHUT_WR)
        thread.join(TIMEOUT)
        assert b"".join(received) == b"noise\n!success\nprotected anew"


def test_a_held_stream_goes_on_as_before_when_it_is_released() -> None:
    with joined() as (stream, peer):
        stream.hold()
        peer.sendall(b"!more\nrest\n")
        assert stream.recv(100) == b"!more\n"
        stream.release()
        assert stream.recv(100) == b"rest\n"
        stream.hold()
        peer.sendall(b"!one\n!two\n")
        assert stream.recv(100) == b"!one\n"
        stream.hold()
        assert stream.recv(100) == b"!two\n"


def test_closing_lets_a_held_or_waiting_reader_go() -> None:
    for message in (b"!x\n", b""):
        with joined() as (stream, peer):
            stream.hold()
            peer.sendall(message)
            if message:
                assert stream.recv(100) == message
            received: list[bytes] = []
            thread = threading.Thread(target=lambda: received.append(stream.recv(100)))  # noqa: B023  # ends below
            thread.start()
            threading.Event().wait(0.05)
            stream.close()
            thread.join(TIMEOUT)
            assert received == [b""]
            assert stream.transport.fileno() == -1


def test_unread_clear_text_refuses_a_layer() -> None:
    with joined() as (stream, peer):
        stream.hold()
        peer.sendall(b"!more\nnoise\n!done\n")
        assert stream.recv(100) == b"!more\n"
        stream.hold()
        assert stream.recv(1) == b"n"
        with pytest.raises(InvalidToken, match="clear text"):
            stream.install(layers()[0])
        assert stream.recv(100) == b""


def test_text_behind_the_switch_in_its_own_buffer_is_refused() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer):
        stream.install(ours)
        stream.hold()
        peer.sendall(theirs.wrap(b"!done\nforged"))
        with pytest.raises(InvalidToken, match="share"):
            stream.recv(100)


def test_clear_text_behind_the_switch_does_not_verify() -> None:
    with joined() as (stream, peer):
        stream.hold()
        peer.sendall(b"!done\n\0\0\0\x20" + b"forged by somebody in the middle")
        assert stream.recv(100) == b"!done\n"
        stream.install(layers()[0])
        with pytest.raises((MessageAltered, InvalidToken, OSError)):
            stream.recv(100)
        assert stream.failure is not None


@pytest.mark.parametrize("size", [1, 3, 4, 5, -1])
def test_an_end_within_a_buffer_is_a_truncation_and_reads_as_ended_then(size: int) -> None:
    ours, theirs = layers()
    told: list[bool] = []
    with joined(lambda: told.append(True)) as (stream, peer):
        stream.install(ours)
        peer.sendall(theirs.wrap(b"whole") + theirs.wrap(b"half of it")[:size])
        peer.shutdown(socket.SHUT_WR)
        assert stream.recv(100) == b"whole"
        with pytest.raises(Truncated) as caught:
            stream.recv(100)
        assert stream.failure is caught.value
        assert stream.recv(100) == b""
        assert told == [True]
        with pytest.raises(Truncated):
            stream.sendall(b"more")


def test_an_end_between_buffers_is_no_error() -> None:
    ours, theirs = layers()
    told: list[bool] = []
    with joined(lambda: told.append(True)) as (stream, peer):
        stream.install(ours)
        peer.sendall(theirs.wrap(b"whole"))
        peer.shutdown(socket.SHUT_WR)
        assert everything(stream) == b"whole"
        assert stream.failure is None
        assert told == [True]


def test_a_timeout_loses_nothing() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer):
        stream.install(ours)
        stream.settimeout(0.05)
        wire = theirs.wrap(b"late")
        peer.sendall(wire[:7])
        with pytest.raises(TimeoutError):
            stream.recv(100)
        peer.sendall(wire[7:])
        assert stream.recv(100) == b"late"


def test_threads_that_send_at_once_keep_the_order_of_the_buffers() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer):
        stream.install(ours)
        threads = [threading.Thread(target=lambda: [stream.sendall(b"x" * 50) for _ in range(40)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        received = b""
        while len(received) < 4 * 40 * 50:
            received += theirs.unwrap(peer.recv(65536))
        for thread in threads:
            thread.join(TIMEOUT)


def test_a_file_reads_lines_of_plain_text() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer):
        stream.install(ours)
        peer.sendall(theirs.wrap(b"first\r\nsec") + theirs.wrap(b"ond\r\n"))
        with stream.makefile("rb") as file:
            assert file.readline() == b"first\r\n"
            assert file.readline() == b"second\r\n"
        with pytest.raises(ContextMisuse):
            stream.makefile("wb")


def test_what_would_go_around_the_layer_is_not_there() -> None:
    with joined() as (stream, _):
        for name in ("recv_into", "recvfrom", "recvmsg", "sendmsg", "sendto", "sendfile", "read", "write", "dup"):
            assert not hasattr(stream, name)
        with pytest.raises(ContextMisuse):
            stream.recv(1, socket.MSG_PEEK)


def test_tls_is_not_begun_over_octets_that_came_too_early() -> None:
    ours, theirs = layers()
    for prepare in (
        lambda stream, peer: (stream.hold(), peer.sendall(b"!ready\ninjected"), stream.recv(9)),
        lambda stream, peer: (stream.install(ours), peer.sendall(theirs.wrap(b"a") + b"\0\0"), stream.recv(9)),
    ):
        with joined() as (stream, peer), socket.socket() as other:
            prepare(stream, peer)
            with pytest.raises(InvalidToken, match="TLS"):
                stream.replace_transport(other)


def test_a_layer_stays_above_tls_that_comes_later() -> None:
    ours, theirs = layers()
    with joined() as (stream, peer), socket.socket() as other:
        stream.install(ours)
        peer.sendall(theirs.wrap(b"a"))
        assert stream.recv(9) == b"a"
        stream.replace_transport(other)
        assert stream.layer is ours
        assert stream.transport is other


def test_the_states_of_a_stream_are_one_table() -> None:
    assert STREAM_TRANSITIONS.keys() == set(StreamState)
    reached = {StreamState.CLEAR} | {after for row in STREAM_TRANSITIONS.values() for after in row.values()}
    assert reached == set(StreamState)
    for state, row in STREAM_TRANSITIONS.items():
        assert row[StreamEvent.END] is StreamState.ENDED, state
        # Only who holds comes to wait, and no layer is ever taken off by a release.
        assert (StreamEvent.DELIVERED in row) == (state in (StreamState.HOLDING, StreamState.ENDED))
        assert (StreamEvent.IN_CLEAR in row) == (state is not StreamState.LAYERED)
    assert set(STREAM_TRANSITIONS[StreamState.ENDED].values()) == {StreamState.ENDED}
