"""An LDAP server that does what a test's script says, one connection at a time in a thread; every wait is bounded."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import ldap3

from saslsspi import Layer, MemoryAuthority, Password, Policy, Server
from saslsspi.adapters.ldap import Connection
from saslsspi.der import Lengths, Reader, element, enumerated, integer, octet_string, sequence

TIMEOUT: Final = 5
STRATEGIES: Final = ("SYNC", "SAFE_SYNC", "ASYNC", "ASYNC_STREAM", "RESTARTABLE", "SAFE_RESTARTABLE")
BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
BIND_RESPONSE, ENTRY, DONE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x78
SUCCESS, IN_PROGRESS, INVALID_CREDENTIALS = 0, 14, 49
AUTH, AUTH_INT, AUTH_CONF = Policy(max_ssf=0), Policy(min_ssf=1, max_ssf=1), Policy(min_ssf=128)


@dataclass(frozen=True)
class Request:
    """What the client sent.

    Attributes:
        octets: The whole message.
        operation: Its tag.
        credentials: Of a SASL bind; None where the field is absent.
    """

    id: int
    operation: int
    octets: bytes = field(repr=False)
    version: int = 0
    name: bytes = b""
    choice: int = 0
    mechanism: bytes = b""
    credentials: bytes | None = None


class Peer:
    """One connection of a client, seen from the server."""

    def __init__(self, connection: socket.socket, requests: list[Request]) -> None:
        self.layer: Layer | None = None
        self.socket = connection
        self._requests = requests
        self._plain = bytearray()

    def receive(self) -> Request:
        """Return the next request; raises EOFError when the client takes its leave or has gone."""
        while (size := _size(self._plain)) is None or len(self._plain) < size:
            raw = self.socket.recv(65536)
            if not raw:
                raise EOFError
            self._plain += raw if self.layer is None else self.layer.unwrap(raw)
        octets = bytes(self._plain[:size])
        del self._plain[:size]
        request = _parse(octets)
        self._requests.append(request)
        if request.operation == UNBIND:
            raise EOFError
        return request

    @property
    def last(self) -> Request:
        """The last request."""
        return self._requests[-1]

    def send_raw(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def send(self, octets: bytes) -> None:
        self.send_raw(octets if self.layer is None else self.layer.wrap(octets))

    def challenge(self, policy: Policy = AUTH) -> tuple[Request, bytes, Server]:
        """Take a SASL bind up to the moment of success: the last request, rspauth, and the server with its layer."""
        server = Server(
            "DIGEST-MD5",
            service="ldap",
            host=("localhost", "127.0.0.1"),
            realm="example.test",
            authority=MemoryAuthority({"alice": "wonderland"}),
            policy=policy,
        )
        request = self.receive()
        challenge = server.step(request.credentials)
        assert challenge is not None
        self.send(bind_response(request.id, IN_PROGRESS, challenge))
        request = self.receive()
        proof = server.step(request.credentials)
        assert proof is not None
        return request, proof, server

    def bind(self, policy: Policy = AUTH) -> None:
        """Let the client log on."""
        request, proof, server = self.challenge(policy)
        self.send(bind_response(request.id, SUCCESS, proof))
        self.layer = server.layer or self.layer

    def answer_who_am_i(self, identity: str = "dn:uid=alice") -> None:
        request = self.receive()
        assert request.operation == EXTENDED, request
        self.send(who_am_i_response(request.id, identity))

    def list_mechanisms(self, *names: str) -> None:
        """Answer a search of the root DSE."""
        request = self.receive()
        assert request.operation == SEARCH, request
        values = element(0x31, *(octet_string(name.encode()) for name in names))
        attribute = sequence(octet_string(b"supportedSASLMechanisms"), values)
        self.send(sequence(integer(request.id), element(ENTRY, octet_string(b""), sequence(attribute))))
        self.send(message(request.id, DONE, SUCCESS))


def message(number: int, operation: int, code: int, *more: bytes, text: str = "") -> bytes:
    result = element(operation, enumerated(code), octet_string(b""), octet_string(text.encode()), *more)
    return sequence(integer(number), result)


def bind_response(number: int, code: int, credentials: bytes | None = None, text: str = "") -> bytes:
    more = [] if credentials is None else [element(0x87, credentials)]
    return message(number, BIND_RESPONSE, code, *more, text=text)


def who_am_i_response(number: int, identity: str) -> bytes:
    return message(number, EXTENDED_RESPONSE, SUCCESS, element(0x8B, identity.encode()))


NOTICE_OF_DISCONNECTION: Final = message(0, EXTENDED_RESPONSE, 52, element(0x8A, b"1.3.6.1.4.1.1466.20036"))

Script = Callable[[Peer], None]


@dataclass
class Scripted:
    """A running server.

    Attributes:
        requests: What all clients have sent so far.
        connections: How many there were.
    """

    port: int
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def binds(self) -> list[Request]:
        return [request for request in self.requests if request.operation == BIND]


@contextlib.contextmanager
def scripted(*scripts: Script) -> Iterator[Scripted]:
    """Run each script with one connection, in order; the last one with all that follow. Its failures are raised."""
    failures: list[BaseException] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        server = Scripted(listener.getsockname()[1])

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                script = scripts[min(server.connections, len(scripts) - 1)]
                server.connections += 1
                connection.settimeout(TIMEOUT)
                with connection:
                    try:
                        script(Peer(connection, server.requests))
                    except (EOFError, OSError):
                        pass  # the client has gone: the test looks at why
                    except BaseException as error:  # a thread's errors are lost otherwise
                        failures.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            thread.join(3 * TIMEOUT)
    assert not thread.is_alive()
    for failure in failures:
        raise failure


@contextlib.contextmanager
def connected(server: Scripted, **options: Any) -> Iterator[Connection]:
    """An open connection to a scripted server, as alice with DIGEST-MD5."""
    at = ldap3.Server("127.0.0.1", server.port, get_info=ldap3.NONE)
    settings = {"mechanism": "DIGEST-MD5", "credentials": Password("alice", "wonderland"), "host": "localhost"}
    client = Connection(at, **{"receive_timeout": TIMEOUT, **settings, **options})
    if hasattr(client.strategy, "restartable_sleep_time"):
        client.strategy.restartable_sleep_time = 0.01
        client.strategy.restartable_tries = 3
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, ldap3.core.exceptions.LDAPException):
            client.unbind()
        receiver = getattr(client.strategy, "receiver", None)
        if receiver is not None:
            receiver.join(TIMEOUT)
            assert not receiver.is_alive(), "the reading thread goes on"


def who_am_i(client: Connection) -> str | None:
    identity: str | None = client.extend.standard.who_am_i()
    return identity


def serve_who_am_i(policy: Policy) -> Script:
    """A script: log on, then answer Who am I? until the client goes."""

    def script(peer: Peer) -> None:
        peer.bind(policy)
        while True:
            peer.answer_who_am_i()

    return script


def _size(buffer: bytearray) -> int | None:
    if len(buffer) < 2:
        return None
    size, header = buffer[1], 2
    if size > 0x7F:
        header += size & 0x7F
        size = int.from_bytes(buffer[2:header])
    return size + header if len(buffer) >= header else None


def _parse(octets: bytes) -> Request:
    outer = Reader(octets, max_size=len(octets), lengths=Lengths.ANY_DEFINITE)
    inside = outer.enter()
    number, operation = inside.integer(), inside.peek()
    assert operation is not None
    if operation != BIND:
        return Request(number, operation, octets)
    bind = inside.enter(BIND)
    version, name, choice = bind.integer(), bind.octet_string(), bind.peek()
    assert choice is not None
    if choice != 0xA3:
        return Request(number, operation, octets, version, name, choice)
    method = bind.enter(0xA3)
    mechanism = method.octet_string()
    credentials = method.octet_string() if method.peek() is not None else None
    return Request(number, operation, octets, version, name, choice, mechanism, credentials)
