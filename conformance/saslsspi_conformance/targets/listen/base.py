"""What listening targets share: clients of anybody connect to a loopback port, and each connection is one case."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from saslsspi_conformance.case_run import DEFAULT, ClientConversation, Setting, TargetAccount, Transcript
from saslsspi_conformance.outcome import CaseError, NotApplicable

__all__ = ["ClientStream", "Listener", "ListeningTarget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where clients are awaited, and what they were told.

    Attributes:
        account: Whose password the client is given.
        host: The name that the client is expected to know us by.
        timeout: How long to wait for a client, in seconds.
        mechanisms: The mechanisms that cases may be about; a connection is offered the one of its case.
        begin: Makes a client connect, as often as it is called; where people do that themselves it does nothing.
        local: Whether it is our own client, so that what is under it is known.
        answer_timeout: How long to wait for each answer of a client, in seconds.
        repeats: Whether a client can be made to come again, so that a case may be tried twice.
    """

    account: TargetAccount
    host: str
    timeout: float
    mechanisms: tuple[str, ...]
    begin: Callable[[str, Setting], None] = lambda mechanism, setting: None
    local: bool = False
    answer_timeout: float = 5.0
    repeats: bool = False


class ListeningTarget(ABC):
    """Whoever connects."""

    name = "clients"
    service: str
    success_data = False
    initial_response = True

    def __init__(self, listener: socket.socket, meeting: Listener) -> None:
        self._listener = listener
        self._meeting = meeting
        self.account = meeting.account
        self.host = meeting.host
        self.local = meeting.local
        self.patience = 1.0
        self.repeats = meeting.repeats

    def mechanisms(self) -> tuple[str, ...]:
        """What cases may be about."""
        return self._meeting.mechanisms

    def meet(self, mechanism: str, setting: Setting, transcript: Transcript) -> ClientConversation:
        """Wait for a client."""
        if not self.local and replace(setting, initial_responses=True) != DEFAULT:
            raise NotApplicable("the client has a configuration of its own")
        self._meeting.begin(mechanism, setting)
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            raise CaseError("no client has connected") from None
        connection.settimeout(self._meeting.answer_timeout * self.patience)
        return self._conversation(ClientStream(connection), mechanism, setting, transcript)

    @abstractmethod
    def _conversation(
        self, stream: ClientStream, mechanism: str, setting: Setting, transcript: Transcript
    ) -> ClientConversation:
        """Make the conversation of a connection."""


class ClientStream:
    """The octets of one connection; what was read too far is kept.

    Attributes:
        pending: What came and was not taken yet.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.pending = b""

    def send(self, octets: bytes) -> None:
        """Send; a client that has gone shows when we read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(octets)

    def receive(self) -> bytes:
        """Return what comes next, b"" when the client has gone; raises TimeoutError."""
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            raise TimeoutError("the client says nothing") from None

    def readline(self, limit: int = -1, /) -> bytes:
        """Return the next line with its end, or what there is of it when the client has gone."""
        while (end := self.pending.find(b"\n") + 1) == 0 and (octets := self.receive()):
            self.pending += octets
        return self._taken(end or len(self.pending))

    def read(self, size: int, /) -> bytes:
        """Return so many octets, fewer when the client has gone."""
        while len(self.pending) < size and (octets := self.receive()):
            self.pending += octets
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        octets, self.pending = self.pending[:size], self.pending[size:]
        return octets

    def close(self) -> None:
        """Close."""
        self._socket.close()
