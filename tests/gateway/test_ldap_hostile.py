"""What clients and servers of the LDAP door may do, and what is left of it: nothing."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.test_ldap import wait_until
from gateway.world import Started, audited, gateway, limited, open_files
from saslsspi import Policy
from saslsspi.der import element, enumerated, octet_string
from saslsspi.testbed.ldap.server import LdapServer
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.raw_ldap import (
    BUSY,
    DISCONNECTION,
    PROTOCOL_ERROR,
    START_TLS,
    SUCCESS,
    UNAVAILABLE,
    RawLdap,
    extended,
    request,
    search,
    simple_bind,
)

BIND = request(1, simple_bind("alice", "wonderland"))


@pytest.fixture(scope="module")
def directory() -> Iterator[LdapServer]:
    with ldap_server(policy=Policy(min_ssf=56), entries=20_000) as server:
        yield server


@pytest.fixture(scope="module")
def started(directory: LdapServer) -> Iterator[Started]:
    with gateway("ldap", f"localhost:{directory.port}") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_stays(started: Started, directory: LdapServer) -> Iterator[None]:
    """Behind each test no connection is there any more, and no file descriptor."""
    wait_until(lambda: started.gateway.clients == 0 and directory.connections == 0)
    before = open_files()
    yield
    wait_until(lambda: started.gateway.clients == 0 and directory.connections == 0)
    wait_until(lambda: open_files() <= before)


RUBBISH = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a client hello of TLS": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "an indefinite length": b"\x30\x80" + bytes(20),
    "a length of five octets": b"\x30\x85\xff\xff\xff\xff\xff",
    "a bind of 4 GiB": b"\x30\x84\xff\xff\xff\xff\x02\x01\x01\x60\x84\xff\xff\xff\x00",
    "a message of 4 GiB": b"\x30\x84\xff\xff\xff\xff\x02\x01\x01\x63",
    "a messageID of five octets": b"\x30\x0a\x02\x05\x00\x00\x00\x00\x01\x42\x00",
    "a messageID below 0": b"\x30\x05\x02\x01\xff\x42\x00",
    "no messageID": b"\x30\x03\x04\x01\x00",
    "a message that is too short": b"\x30\x03\x02\x01\x01\x60\x07",
    "an empty message": b"\x30\x00\x30\x00",
    "octets behind the bind": b"\x30\x0e\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00\x04\x00",
    "a bind without a method": b"\x30\x0a\x02\x01\x01\x60\x05\x02\x01\x03\x04\x00",
    "a bind whose name reaches past it": b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x7f\x80\x00",
    "a name that is not UTF-8": b"\x30\x0e\x02\x01\x01\x60\x09\x02\x01\x03\x04\x02\xff\xff\x80\x00",
    "an extended request without a name": b"\x30\x05\x02\x01\x01\x77\x00",
}


CASES = [
    pytest.param(octets, bound, id=f"{name}, {'behind' if bound else 'before'} a bind")
    for name, octets in RUBBISH.items()
    for bound in (False, True)
    # Behind a bind it is the server's business how much it takes.
    if not (bound and name == "a message of 4 GiB")
]


@pytest.mark.parametrize(("octets", "bound"), CASES)
def test_rubbish_ends_the_connection_and_no_other(octets: bytes, bound: bool, started: Started) -> None:
    with RawLdap(started.port) as good, RawLdap(started.port) as bad:
        assert good.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        if bound:
            assert bad.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        bad.send_raw(octets)
        goodbye = bad.receive()
        if goodbye is not None:
            assert (goodbye.id, goodbye.name, goodbye.code) == (0, DISCONNECTION, PROTOCOL_ERROR)
            assert bad.ended()
        assert good.who_am_i() == "u:alice"


def test_rubbish_at_random(started: Started) -> None:
    choice = random.Random(15)
    for number in range(150):
        with RawLdap(started.port) as bad, contextlib.suppress(OSError):
            if number % 3 == 0:
                bad.send_raw(choice.randbytes(choice.randint(1, 300)))
            else:  # a bind, or a search behind one, with some octets that are others
                octets = bytearray(BIND + request(2, search(SUFFIX, scope=0)))
                for _ in range(choice.randint(1, 4)):
                    octets[choice.randrange(len(octets))] = choice.randrange(256)
                bad.send_raw(bytes(octets))
    with RawLdap(started.port) as good:
        assert good.ask(simple_bind("alice", "wonderland")).code == SUCCESS


@pytest.mark.parametrize("size", range(1, len(BIND), 5))
def test_half_a_message_and_no_more(size: int, started: Started) -> None:
    with RawLdap(started.port) as client:
        client.send_raw(BIND[:size])


def test_a_message_in_single_octets(started: Started) -> None:
    with RawLdap(started.port) as client:
        for octet in BIND + request(2, extended("1.3.6.1.4.1.4203.1.11.3")):
            client.send_raw(bytes([octet]))
        answers = [client.receive(), client.receive()]
        assert [one.code for one in answers if one] == [SUCCESS, SUCCESS]


def test_binds_that_nobody_waits_for(started: Started) -> None:
    with audited() as records:
        for _ in range(60):
            with RawLdap(started.port) as client:
                client.send_raw(BIND)
        wait_until(lambda: started.gateway.clients == 0)
    ours = [one for one in records if one.how == "a simple bind"]
    assert all(one.accepted or "gone" in one.reason for one in ours)


def test_a_client_that_does_not_read_holds_its_server_up_and_nothing_grows(
    started: Started, directory: LdapServer
) -> None:
    with RawLdap(started.port) as slow, RawLdap(started.port) as good:
        assert slow.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        for _ in range(8):
            slow.start(search(SUFFIX))
        over, before, still = threading.Event(), -1, 0
        while still < 5:  # until nothing moves any more
            over.wait(0.1)
            still = still + 1 if before == directory.traffic.protected else 0
            before = directory.traffic.protected
        # What is on its way is in the kernel's buffers and ours; the eight answers are many times as much.
        whole = 8 * 20_000 * 100
        assert before < whole
        assert good.ask(simple_bind("bob", "builder")).code == SUCCESS
        assert good.who_am_i() == "u:bob"


def test_a_client_that_sends_and_sends_before_it_is_answered(started: Started) -> None:
    with RawLdap(started.port) as client:
        client._socket.settimeout(2)
        with contextlib.suppress(TimeoutError, OSError):
            client.send_raw(BIND * 20_000)  # a new logon each, and only so many are read ahead
        with RawLdap(started.port) as good:
            assert good.ask(simple_bind("bob", "builder")).code == SUCCESS


# Servers. What they say is carried in clear to who does not log on, so that a script can say it.


@contextlib.contextmanager
def scripted(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does to each of its clients what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client, contextlib.suppress(OSError):
                    client.settimeout(20)
                    serve(client)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(20)


DONE = request(1, bytes.fromhex("65070a010004000400"))


@pytest.mark.parametrize(
    ("said", "whole"),
    [(DONE[:5], False), (DONE, True), (DONE + DONE[:1], False), (b"", True), (b"\x16rubbish", False)],
    ids=["half a message", "an answer", "an answer and an octet", "nothing", "rubbish"],
)
def test_a_server_that_leaves(said: bytes, whole: bool) -> None:
    def leave(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(said)

    with scripted(leave) as port, gateway("ldap", f"localhost:{port}", anonymous=True) as running:
        with RawLdap(running.port) as client:
            client.start(search("", scope=0))
            octets = client.read_to_end()
        if whole:  # between two messages there is room to say why
            assert octets.startswith(said)
            assert DISCONNECTION.encode() in octets[len(said) :]
        else:
            assert DISCONNECTION.encode() not in octets or not said.startswith(DONE[:5])
        wait_until(lambda: running.gateway.clients == 0)


@pytest.mark.parametrize("asked", [extended(START_TLS), simple_bind()], ids=["StartTLS", "a bind"])
def test_what_the_gateway_answers_itself_waits_for_the_end_of_a_message(asked: bytes) -> None:
    """Half an answer has come of the server when the client asks for what the gateway answers."""
    rest = threading.Event()

    def halves(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(DONE[:5])
        assert rest.wait(20)
        client.sendall(DONE[5:])
        client.recv(1000)

    with (
        scripted(halves) as port,
        gateway("ldap", f"localhost:{port}", anonymous=True) as running,
        RawLdap(running.port) as client,
    ):
        client.start(search("", scope=0))
        assert client._socket.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL) == DONE[:5]
        client.start(asked)
        client._socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            client._socket.recv(6, socket.MSG_PEEK | socket.MSG_WAITALL)
        client._socket.setblocking(False)
        assert client._socket.recv(1000, socket.MSG_PEEK) == DONE[:5]
        client._socket.settimeout(20)
        rest.set()
        answers = [client.receive(), client.receive()]
        assert [one.id for one in answers if one] == [1, 2]


def test_a_server_that_dies_in_the_middle_of_a_search() -> None:
    with contextlib.ExitStack() as dying:
        server = dying.enter_context(ldap_server(policy=Policy(min_ssf=56), entries=20_000))
        with gateway("ldap", f"localhost:{server.port}") as running, RawLdap(running.port) as client:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
            client.start(search(SUFFIX))
            assert client.receive() is not None
            dying.close()
            last = None
            while (answer := client.receive()) is not None:
                last = answer
            assert last is not None
            assert last.tag == 0x64 or (last.id, last.code) == (0, UNAVAILABLE)
            wait_until(lambda: running.gateway.clients == 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16\x03\x01",
        request(1, bytes.fromhex("61070a010e04000400")),  # goes on, without a challenge
        request(1, bytes.fromhex("61070a010004000400")),  # success at once
        request(7, bytes.fromhex("61070a010004000400")),  # to another message
        request(1, bytes.fromhex("65070a010004000400")),  # of another kind
        request(0, bytes.fromhex("78070a013404000400")),  # a notice of disconnection
        b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01\x61",
        request(1, bytes.fromhex("61070a013304000400")),  # busy
    ],
    ids=["closes", "TLS", "an empty challenge", "success at once", "another number", "another kind", "a notice",
         "2 GiB", "busy"],
)  # fmt: skip
def test_a_server_that_cheats_in_the_exchange_lets_nobody_in(answer: bytes) -> None:
    def cheat(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(answer)
        if answer:
            client.recv(1000)

    with scripted(cheat) as port, gateway("ldap", f"localhost:{port}", mechanisms=("NTLM",)) as running:
        with RawLdap(running.port) as client, audited() as records:
            told = client.ask(simple_bind("alice", "wonderland"))
            assert told.code in (UNAVAILABLE, BUSY, 80)
            assert told.text
            assert "wonderland" not in told.text
        assert [one.accepted for one in records] == [False]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (49, 49),
        (50, 50),
        (80, 80),
        (53, 53),
        (7, 53),
        (8, 53),
        (13, 53),
        (10, 53),
        (51, 51),
        (52, 52),
    ],
)
def test_what_a_server_says_of_a_bind_is_passed_on_where_the_client_can_do_something(code: int, told: int) -> None:
    text = b"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 532, v1db1"
    answer = element(0x61, enumerated(code), octet_string(b""), octet_string(text))

    def refuse(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(request(1, answer))
        client.recv(1000)

    with (
        scripted(refuse) as port,
        gateway("ldap", f"localhost:{port}", mechanisms=("NTLM",)) as running,
        RawLdap(running.port) as client,
    ):
        refused = client.ask(simple_bind("alice", "wonderland"))
        assert refused.code == told
        if code == told:
            assert refused.text == text.decode()  # programs look for "data 532"
        elif told == 53:
            assert "NTLM" in refused.text


def test_a_server_that_says_nothing_is_given_up() -> None:
    with scripted(lambda client: client.recv(100) and client.recv(100) and None) as port:
        limits = limited(logon_seconds=0.5)
        with gateway("ldap", f"localhost:{port}", mechanisms=("NTLM",), limits=limits) as running:
            with RawLdap(running.port) as client, audited() as records:
                assert client.ask(simple_bind("alice", "wonderland")).code == UNAVAILABLE
            assert "longer than 0.5 s" in records[0].reason


def test_a_client_that_leaves_during_its_bind_leaves_a_record() -> None:
    asked = threading.Event()

    def silent(client: socket.socket) -> None:
        client.recv(1000)
        asked.set()
        client.recv(1000)

    with scripted(silent) as port, gateway("ldap", f"localhost:{port}", mechanisms=("NTLM",)) as running:
        with audited() as records:
            with RawLdap(running.port) as client:
                client.send_raw(BIND)
                assert asked.wait(20)
            wait_until(lambda: running.gateway.clients == 0)
        assert [(one.accepted, one.username, "gone" in one.reason) for one in records] == [(False, "alice", True)]
