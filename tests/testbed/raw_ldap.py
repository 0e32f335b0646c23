"""An LDAP client that says whatever a test wants: whole messages, pieces of them, and nonsense."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from saslsspi import Client, Layer, Password, Policy
from saslsspi.der import Lengths, Reader, context, element, enumerated, integer, octet_string, sequence

TIMEOUT: Final = 10.0
BIND_RESPONSE, ENTRY, DONE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x78
SUCCESS, OPERATIONS_ERROR, PROTOCOL_ERROR, SIZE_LIMIT, NO_METHOD, STRONGER_AUTH = 0, 1, 2, 4, 7, 8
CRITICAL_EXTENSION, CONFIDENTIALITY, IN_PROGRESS, NO_OBJECT, BAD_DN = 12, 13, 14, 32, 34
INAPPROPRIATE, BAD_CREDENTIALS, BUSY, UNAVAILABLE, UNWILLING = 48, 49, 51, 52, 53
DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"


@dataclass(frozen=True)
class Response:
    """One message from the server.

    Attributes:
        code: The result code; None for an entry.
        credentials: serverSaslCreds; None is absent.
        octets: The whole message as received.
    """

    id: int
    tag: int
    octets: bytes = field(repr=False)
    code: int | None = None
    text: str = ""
    matched: str = ""
    credentials: bytes | None = None
    name: str | None = None
    value: bytes | None = None
    dn: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)


def request(number: int, operation: bytes, *more: bytes) -> bytes:
    return sequence(integer(number), operation, *more)


def simple_bind(name: str = "", password: str = "", *, version: int = 3) -> bytes:
    method = element(0x80, password.encode())
    return element(0x60, integer(version), octet_string(name.encode()), method)


def sasl_bind(mechanism: str, credentials: bytes | None = None, *, name: str = "", version: int = 3) -> bytes:
    token = [] if credentials is None else [octet_string(credentials)]
    method = element(0xA3, octet_string(mechanism.encode()), *token)
    return element(0x60, integer(version), octet_string(name.encode()), method)


def extended(name: str, value: bytes | None = None) -> bytes:
    return element(0x77, element(0x80, name.encode()), *([] if value is None else [element(0x81, value)]))


def present(attribute: str = "objectClass") -> bytes:
    return element(0x87, attribute.encode())


def equals(attribute: str, value: str, kind: int = 3) -> bytes:
    return element(context(kind), octet_string(attribute.encode()), octet_string(value.encode()))


def search(
    base: str,
    *,
    scope: int = 2,
    filter_: bytes | None = None,
    attributes: tuple[str, ...] = (),
    size_limit: int = 0,
    types_only: bool = False,
) -> bytes:
    return element(
        0x63,
        octet_string(base.encode()),
        enumerated(scope),
        enumerated(0),
        integer(size_limit),
        integer(0),
        element(0x01, b"\xff" if types_only else b"\0"),
        filter_ or present(),
        sequence(*(octet_string(name.encode()) for name in attributes)),
    )


def digest_client() -> Client:
    """Return alice's side of DIGEST-MD5, without a layer."""
    return Client(
        "DIGEST-MD5",
        service="ldap",
        host="localhost",
        credentials=Password("alice", "wonderland"),
        policy=Policy(max_ssf=0),
    )


class RawLdap:
    """A connection; every wait is bounded."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._plain = bytearray()
        self._number = 0
        self.layer: Layer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._socket.close()

    def send_raw(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def send(self, octets: bytes) -> None:
        self.send_raw(octets if self.layer is None else self.layer.wrap(octets))

    def shut(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def start(self, operation: bytes, *more: bytes) -> int:
        """Send a request and return its id."""
        self._number += 1
        self.send(request(self._number, operation, *more))
        return self._number

    def pipeline(self, *operations: bytes) -> list[int]:
        """Send requests in one write, so that they arrive together, and return their ids."""
        numbers = list(range(self._number + 1, self._number + 1 + len(operations)))
        self._number = numbers[-1]
        self.send(b"".join(map(request, numbers, operations)))
        return numbers

    def ask(self, operation: bytes, *more: bytes) -> Response:
        """Send a request and return the one response."""
        number = self.start(operation, *more)
        answer = self.receive()
        assert answer is not None, "the server has closed"
        assert answer.id == number, answer
        return answer

    def find(self, operation: bytes) -> tuple[list[Response], Response]:
        """Search; return the entries and the result."""
        self.start(operation)
        return self.collect()

    def collect(self) -> tuple[list[Response], Response]:
        entries: list[Response] = []
        while True:
            answer = self.receive()
            assert answer is not None, "the server has closed"
            if answer.tag != ENTRY:
                return entries, answer
            entries.append(answer)

    def receive(self) -> Response | None:
        """Return the next message, or None when the server has closed."""
        while True:
            if (size := _whole(self._plain)) is not None:
                octets = bytes(self._plain[:size])
                del self._plain[:size]
                return _parse(octets)
            try:
                received = self._socket.recv(65536)
            except ConnectionResetError:
                return None
            if not received:
                return None
            self._plain += received if self.layer is None else self.layer.unwrap(received)

    def ended(self) -> bool:
        """Whether the server closes without another word."""
        return self.receive() is None

    def read_to_end(self) -> bytes:
        """Return what comes before the server closes, whatever it is."""
        received = bytearray()
        try:
            while octets := self._socket.recv(65536):
                received += octets
        except ConnectionResetError:
            pass
        return bytes(received)

    def start_tls(self, context: ssl.SSLContext) -> Response:
        answer = self.ask(extended(START_TLS))
        if answer.code == SUCCESS:
            self.wrap_tls(context)
        return answer

    def wrap_tls(self, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")

    def who_am_i(self) -> str | None:
        answer = self.ask(extended(WHO_AM_I))
        return None if answer.value is None else answer.value.decode()

    def sasl(
        self,
        *,
        user: str = "alice",
        password: str = "wonderland",
        mechanism: str = "DIGEST-MD5",
        policy: Policy | None = None,
        authzid: str = "",
        service: str = "ldap",
    ) -> Response:
        """Run a whole SASL bind and switch the layer on; return the last response."""
        client = Client(
            mechanism,
            service=service,
            host="localhost",
            credentials=Password(user, password),
            policy=policy or Policy(max_ssf=0),
            authzid=authzid,
        )
        token = client.start()
        while (answer := self.ask(sasl_bind(mechanism, token))).code == IN_PROGRESS:
            assert answer.credentials is not None
            token = client.step(answer.credentials)
        if answer.code == SUCCESS:
            client.succeed(answer.credentials)
            self.layer = client.layer or self.layer
        return answer


def _whole(buffer: bytearray) -> int | None:
    if len(buffer) < 2:
        return None
    size, header = buffer[1], 2
    if size > 0x7F:
        header += size & 0x7F
        size = int.from_bytes(buffer[2:header])
    return size + header if len(buffer) >= size + header else None


def _parse(octets: bytes) -> Response:
    outer = Reader(octets, max_size=len(octets), lengths=Lengths.ANY_DEFINITE)
    message = outer.enter()
    outer.end()
    number = message.integer()
    tag = message.peek()
    assert tag is not None
    inner = message.enter(tag)
    message.end()
    if tag == ENTRY:
        dn = inner.contents(0x04).decode()
        attributes: dict[str, list[str]] = {}
        listed = inner.enter()
        while listed.peek() is not None:
            attribute = listed.enter()
            kind, values = attribute.contents(0x04).decode(), attribute.enter(0x31)
            attributes[kind] = []
            while values.peek() is not None:
                attributes[kind].append(values.contents(0x04).decode())
        return Response(number, tag, octets, dn=dn, attributes=attributes)
    code, matched, text = inner.enumerated(), inner.contents(0x04).decode(), inner.contents(0x04).decode()
    optional = {kind: inner.contents(kind) if inner.peek() == kind else None for kind in (0x87, 0x8A, 0x8B)}
    inner.end()
    name = optional[0x8A]
    return Response(
        number,
        tag,
        octets,
        code=code,
        text=text,
        matched=matched,
        credentials=optional[0x87],
        name=None if name is None else name.decode(),
        value=optional[0x8B],
    )
