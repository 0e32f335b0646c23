import socket
import threading
from collections.abc import Iterator

import pytest

from saslsspi.testbed.tap import Speech, Tap


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says back what it is told, in capitals, to one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while octets := connection.recv(4096):
                    connection.sendall(octets.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def test_a_tap_forwards_both_directions_and_keeps_what_passed(echo: int) -> None:
    with Tap("127.0.0.1", echo) as tap, socket.create_connection(("127.0.0.1", tap.port), 10) as client:
        for text in (b"first", b"second"):
            client.sendall(text)
            assert client.recv(100) == text.upper()
        assert tap.saw(b"first")
        assert tap.saw(b"SECOND")
        assert not tap.saw(b"third")
        assert tap.round_trips == 2
        assert tap.turns() == (
            Speech(from_client=True, octets=b"first"),
            Speech(from_client=False, octets=b"FIRST"),
            Speech(from_client=True, octets=b"second"),
            Speech(from_client=False, octets=b"SECOND"),
        )
        tap.begin_count()
        client.sendall(b"third")
        assert client.recv(100) == b"THIRD"
        assert tap.round_trips == 1


def test_a_tap_closes_both_sides_when_one_closes(echo: int) -> None:
    with Tap("127.0.0.1", echo) as tap:
        client = socket.create_connection(("127.0.0.1", tap.port), 10)
        client.sendall(b"x")
        client.recv(1)
        client.close()  # the echo server ends, or its fixture fails


def test_a_tap_without_a_client_ends_at_once() -> None:
    with Tap("127.0.0.1", 1) as tap:
        assert tap.round_trips == 0


def test_a_tap_whose_server_is_not_there_closes_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Tap("127.0.0.1", port) as tap, socket.create_connection(("127.0.0.1", tap.port), 10) as client:
        assert client.recv(1) == b""


def test_what_one_side_says_in_pieces_is_one_speech() -> None:
    first = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                first.set()  # the piece has passed the tap
                connection.recv(1)
                connection.sendall(b"both")

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        with Tap("127.0.0.1", port) as tap, socket.create_connection(("127.0.0.1", tap.port), 10) as client:
            client.sendall(b"a")
            assert first.wait(10)
            client.sendall(b"b")
            assert client.recv(10) == b"both"
            assert tap.turns() == (Speech(from_client=True, octets=b"ab"), Speech(from_client=False, octets=b"both"))
        thread.join(10)
