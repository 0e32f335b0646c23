"""A client that connects and speaks LDAP (RFC 4513 section 5.2)."""

from __future__ import annotations

from typing import NamedTuple

from saslsspi.der import Lengths, Reader, element, enumerated, integer, octet_string, sequence
from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import Answer, Setting, Transcript
from saslsspi_conformance.outcome import NotApplicable, Reaction
from saslsspi_conformance.peers import ldap_messages as ldap
from saslsspi_conformance.targets.listen.base import ClientStream, ListeningTarget

__all__ = ["LdapClientConversation", "LdapClientTarget", "LdapRequest"]

_SUCCESS, _IN_PROGRESS, _NO_METHOD = 0, 14, 7
_BIND, _UNBIND, _SEARCH, _EXTENDED = 0x60, 0x42, 0x63, 0x77


class LdapClientTarget(ListeningTarget):
    """Whoever connects and speaks LDAP."""

    service = "ldap"
    success_data = True

    def _conversation(
        self, stream: ClientStream, mechanism: str, setting: Setting, transcript: Transcript
    ) -> LdapClientConversation:
        return LdapClientConversation(stream, mechanism, transcript)


class LdapRequest(NamedTuple):
    """One bind of a client.

    Attributes:
        version: Of the protocol.
        name: The DN; b"" as it should be.
        mechanism: "" for a simple bind.
        credentials: None is absent.
    """

    version: int
    name: bytes
    mechanism: str
    credentials: bytes | None


class LdapClientConversation:
    """One connection of a client."""

    unasked = b""

    def __init__(self, stream: ClientStream, mechanism: str, transcript: Transcript) -> None:
        self._stream = stream
        self._mechanism = mechanism
        self._transcript = transcript
        self._bind = 0
        self.requests: list[LdapRequest] = []

    def start(self) -> Answer:
        """Serve searches of the root DSE until the bind comes."""
        while True:
            found = self._next()
            if found is None:
                return Answer(Reaction.CLOSED, None, "the client has gone")
            number, tag, operation = found
            if tag == _SEARCH:
                self._list(number)
            elif tag == _BIND:
                request = _bind(operation)
                self.requests.append(request)
                name, credentials = request.mechanism, request.credentials
                if name == self._mechanism:
                    self._bind = number
                    self._transcript.received(f"bind {name}", credentials)
                    return Answer(Reaction.RESPONSE, credentials)
                self._stream.send(_bind_response(number, _NO_METHOD))
                if name:
                    raise NotApplicable(f"the client wants {name}, the case is about {self._mechanism}")

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge and wait for the next bind."""
        self._transcript.sent("challenge", data)
        self._stream.send(_bind_response(self._bind, _IN_PROGRESS, data))
        found = self._next()
        if found is None or found[1] != _BIND:
            self._transcript.received(
                "ends the connection" if found is None or found[1] == _UNBIND else "another request"
            )
            return Answer(Reaction.CLOSED)
        request = _bind(found[2])
        self.requests.append(request)
        name, credentials = request.mechanism, request.credentials
        self._bind = found[0]
        if name != self._mechanism:
            self._transcript.received(f"bind {name or 'without a mechanism'}: it cancels")
            return Answer(Reaction.FAILURE)
        self._transcript.received("response", credentials)
        return Answer(Reaction.RESPONSE, credentials or b"")

    def succeed(self, data: bytes | None = None, behind: bytes = b"") -> Answer:
        """Send success and see whether the client goes on: it sends a request, or ends the connection."""
        self._transcript.sent("success", data)
        self._stream.send(_bind_response(self._bind, _SUCCESS, data))
        octets = self._stream.receive()
        self._stream.pending = octets + self._stream.pending
        size = ldap.whole(self._stream.pending)
        ends = not octets or (
            size is not None and self._stream.pending[0] == 0x30 and _operation(self._stream.pending[:size]) == _UNBIND
        )
        self._transcript.received("ends the connection" if ends else "goes on to use the connection")
        return Answer(Reaction.CLOSED if ends else Reaction.SUCCESS)

    def receive(self) -> bytes:
        """Return what the client sends."""
        octets, self._stream.pending = self._stream.pending or self._stream.receive(), b""
        self._transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def send(self, octets: bytes) -> Answer:
        """Give octets to the client: it is not known what reached its user, only whether the connection lives."""
        self._transcript.sent("octets", octets)
        self._stream.send(octets)
        raise NotApplicable("what reaches the user of a client cannot be seen from here")

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def _next(self) -> tuple[int, int, bytes] | None:
        while (size := ldap.whole(self._stream.pending)) is None:
            octets = self._stream.receive()
            if not octets:
                return None
            self._stream.pending += octets
        message, self._stream.pending = self._stream.pending[:size], self._stream.pending[size:]
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
        self._stream.send(ldap.message(number, element(0x64, octet_string(b""), sequence(attribute))))
        self._stream.send(ldap.message(number, element(0x65, enumerated(0), octet_string(b""), octet_string(b""))))


def _operation(message: bytes) -> int | None:
    try:
        body = Reader(message, max_size=len(message), lengths=Lengths.ANY_DEFINITE).enter()
        body.integer()
        return body.peek()
    except SaslError:
        return None


def _bind(operation: bytes) -> LdapRequest:
    """Read a bind; what is none is one without a mechanism."""
    try:
        body = Reader(operation, max_size=max(len(operation), 1), lengths=Lengths.ANY_DEFINITE)
        version, name = body.integer(), body.contents(0x04)
        if body.peek() != 0xA3:
            return LdapRequest(version, name, "", None)
        choice = body.enter(0xA3)
        mechanism = choice.contents(0x04).decode("latin-1")
        return LdapRequest(version, name, mechanism, choice.contents(0x04) if choice.peek() == 0x04 else None)
    except SaslError:
        return LdapRequest(0, b"", "", None)


def _bind_response(number: int, code: int, credentials: bytes | None = None) -> bytes:
    parts = [enumerated(code), octet_string(b""), octet_string(b"")]
    parts += [] if credentials is None else [element(0x87, credentials)]
    return sequence(integer(number), element(0x61, *parts))
