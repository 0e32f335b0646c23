"""`conformance listen ldap`: clients of anybody connect, and each connection is one case."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

from saslsspi.der import Lengths, Reader, element, enumerated, integer, octet_string, sequence
from saslsspi.errors import SaslError
from saslsspi_conformance.bench import Account, Answer, Setting, Transcript
from saslsspi_conformance.case import CaseError, NotApplicable, Outcome
from saslsspi_conformance.players import ldap_messages as ldap
from saslsspi_conformance.selection import Targets
from saslsspi_conformance.targets.wire import check_setting

__all__ = ["LdapClientConversation", "LdapClientTarget", "listening"]

_SUCCESS, _IN_PROGRESS, _NO_METHOD = 0, 14, 7
_BIND, _UNBIND, _SEARCH, _EXTENDED = 0x60, 0x42, 0x63, 0x77


@contextlib.contextmanager
def listening(account: Account, port: int, host: str, timeout: float) -> Iterator[Targets]:
    """Listen on a loopback port and say which, on standard error.

    Args:
        account: Whose password the client is given.
        port: 0 takes a free one.
        host: The name that the client is expected to know us by.
        timeout: How long to wait for a client, in seconds.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(timeout * 0.9)
        found = listener.getsockname()[1]
        print(f"listening on ldap://{host}:{found}: connect as {account.user}, once for each case", file=sys.stderr)
        yield Targets(name=f"clients on port {found}", clients={"": LdapClientTarget(listener, account, host, timeout)})


class LdapClientTarget:
    """Whoever connects."""

    name = "clients"
    service = "ldap"
    success_data = True
    initial_response = True
    local = False

    def __init__(self, listener: socket.socket, account: Account, host: str, timeout: float) -> None:
        self._listener = listener
        self._timeout = timeout
        self.account = account
        self.host = host

    def mechanisms(self) -> tuple[str, ...]:
        """What we offer."""
        return ("DIGEST-MD5",)

    def meet(self, mechanism: str, setting: Setting, transcript: Transcript) -> LdapClientConversation:
        """Wait for a client."""
        check_setting(setting)
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            raise CaseError("no client has connected") from None
        connection.settimeout(self._timeout / 4)
        return LdapClientConversation(connection, mechanism, transcript)


class LdapClientConversation:
    """One connection of a client."""

    def __init__(self, connection: socket.socket, mechanism: str, transcript: Transcript) -> None:
        self._socket = connection
        self._mechanism = mechanism
        self._transcript = transcript
        self._pending = b""
        self._bind = 0
        self._layered = False

    def start(self) -> Answer:
        """Serve searches of the root DSE until the bind comes."""
        while True:
            found = self._next()
            if found is None:
                return Answer(Outcome.CLOSED, None, "the client has gone")
            number, tag, operation = found
            if tag == _SEARCH:
                self._list(number)
            elif tag == _BIND:
                name, credentials = _sasl_bind(operation)
                if name == self._mechanism:
                    self._bind = number
                    self._transcript.received(f"bind {name}", credentials)
                    return Answer(Outcome.RESPONSE, credentials)
                self._send(_bind_response(number, _NO_METHOD))
                if name:
                    raise NotApplicable(f"the client wants {name}, the case is about {self._mechanism}")

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge and wait for the next bind."""
        self._transcript.sent("challenge", data)
        self._send(_bind_response(self._bind, _IN_PROGRESS, data))
        found = self._next()
        if found is None or found[1] != _BIND:
            self._transcript.received(
                "ends the connection" if found is None or found[1] == _UNBIND else "another request"
            )
            return Answer(Outcome.CLOSED)
        name, credentials = _sasl_bind(found[2])
        self._bind = found[0]
        if name != self._mechanism:
            self._transcript.received(f"bind {name or 'without a mechanism'}: it cancels")
            return Answer(Outcome.FAILURE)
        self._transcript.received("response", credentials)
        return Answer(Outcome.RESPONSE, credentials or b"")

    def succeed(self, data: bytes | None = None) -> Answer:
        """Send success and see whether the client goes on: it sends a request, or ends the connection."""
        self._transcript.sent("success", data)
        self._send(_bind_response(self._bind, _SUCCESS, data))
        octets = self._receive()
        self._pending = octets + self._pending
        size = ldap.whole(self._pending)
        ends = not octets or (
            size is not None and self._pending[0] == 0x30 and _operation(self._pending[:size]) == _UNBIND
        )
        self._transcript.received("ends the connection" if ends else "goes on to use the connection")
        return Answer(Outcome.CLOSED if ends else Outcome.SUCCESS)

    def receive(self) -> bytes:
        """Return what the client sends."""
        octets, self._pending = self._pending or self._receive(), b""
        self._transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def send(self, octets: bytes) -> Answer:
        """Give octets to the client: it is not known what reached its user, only whether the connection lives."""
        self._transcript.sent("octets", octets)
        with contextlib.suppress(OSError):
            self._socket.sendall(octets)
        raise NotApplicable("what reaches the user of a client cannot be seen from here")

    def close(self) -> None:
        """Close."""
        self._socket.close()

    def _send(self, octets: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(octets)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            raise TimeoutError("the client says nothing") from None

    def _next(self) -> tuple[int, int, bytes] | None:
        while (size := ldap.whole(self._pending)) is None:
            octets = self._receive()
            if not octets:
                return None
            self._pending += octets
        message, self._pending = self._pending[:size], self._pending[size:]
        try:
            body = Reader(message, max_size=len(message), lengths=Lengths.ANY_DEFINITE).enter()
            number, tag = body.integer(), body.peek()
            assert tag is not None
            return number, tag, body.contents(tag)
        except SaslError:
            return None

    def _list(self, number: int) -> None:
        values = element(0x31, octet_string(self._mechanism.encode()))
        attribute = sequence(octet_string(b"supportedSASLMechanisms"), values)
        self._send(ldap.message(number, element(0x64, octet_string(b""), sequence(attribute))))
        self._send(ldap.message(number, element(0x65, enumerated(0), octet_string(b""), octet_string(b""))))


def _operation(message: bytes) -> int | None:
    try:
        body = Reader(message, max_size=len(message), lengths=Lengths.ANY_DEFINITE).enter()
        body.integer()
        return body.peek()
    except SaslError:
        return None


def _sasl_bind(operation: bytes) -> tuple[str, bytes | None]:
    """The mechanism and the credentials of a bind; "" for a simple one."""
    try:
        body = Reader(operation, max_size=max(len(operation), 1), lengths=Lengths.ANY_DEFINITE)
        body.integer()
        body.contents(0x04)
        if body.peek() != 0xA3:
            return "", None
        choice = body.enter(0xA3)
        name = choice.contents(0x04).decode("latin-1")
        return name, choice.contents(0x04) if choice.peek() == 0x04 else None
    except SaslError:
        return "", None


def _bind_response(number: int, code: int, credentials: bytes | None = None) -> bytes:
    parts = [enumerated(code), octet_string(b""), octet_string(b"")]
    parts += [] if credentials is None else [element(0x87, credentials)]
    return sequence(integer(number), element(0x61, *parts))
