"""`conformance listen`: clients of anybody connect to a loopback port, and each connection is one case."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from saslsspi_conformance.case_run import DEFAULT, ClientConversation, Setting, TargetAccount, Transcript
from saslsspi_conformance.outcome import CaseError, NotApplicable
from saslsspi_conformance.runner.selection import Targets

__all__ = ["ClientStream", "Listener", "ListeningTarget", "listening"]


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
    """

    account: TargetAccount
    host: str
    timeout: float
    mechanisms: tuple[str, ...]
    begin: Callable[[str, Setting], None] = lambda mechanism, setting: None
    local: bool = False


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
        connection.settimeout(self._meeting.timeout / 4)
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

    def line(self) -> bytes | None:
        """Return the next line without its end, None when the client has gone."""
        while b"\n" not in self.pending:
            octets = self.receive()
            if not octets:
                return None
            self.pending += octets
        line, _, self.pending = self.pending.partition(b"\n")
        return line.rstrip(b"\r")

    def close(self) -> None:
        """Close."""
        self._socket.close()


_NOOP: Final = {"ldap": b"", "imap": b". NOOP\r\n", "smtp": b"NOOP\r\n", "pop3": b"NOOP\r\n"}


class _Starter:
    """Runs a command for each case; a client that reads its input finds something harmless to do there."""

    def __init__(self, command: str, port: int, protocol: str) -> None:
        self._input = _NOOP[protocol]
        self._words = [word.replace("{port}", str(port)) for word in shlex.split(command)]
        self._running: subprocess.Popen[bytes] | None = None

    def __call__(self, mechanism: str, setting: Setting) -> None:
        self.end()
        words = [word.replace("{mechanism}", mechanism) for word in self._words]
        quiet = subprocess.DEVNULL
        self._running = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)  # noqa: S603  # the user's own
        assert self._running.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._running.stdin.write(self._input)
            self._running.stdin.flush()

    def end(self) -> None:
        """End the client of the case before."""
        if self._running is None:
            return
        try:
            self._running.wait(0.1)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        with contextlib.suppress(BrokenPipeError):
            assert self._running.stdin is not None
            self._running.stdin.close()


@contextlib.contextmanager
def listening(protocol: str, meeting: Listener, *, port: int = 0, command: str = "") -> Iterator[Targets]:
    """Listen on a loopback port and say which, on standard error.

    Args:
        protocol: ldap, imap, smtp or pop3.
        meeting: Who is awaited.
        port: 0 takes a free one.
        command: What to run for each case; {port} and {mechanism} in it are replaced. "" leaves it to people.

    Raises:
        OSError: the port is taken, or there is no such command.
    """
    from saslsspi_conformance.targets.listen.ldap import LdapClientTarget
    from saslsspi_conformance.targets.listen.mail import MailClientTarget

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        listener.settimeout(meeting.timeout * 0.9)
        found = listener.getsockname()[1]
        if command:
            starter = _Starter(command, found, protocol)
            stack.callback(starter.end)
            meeting = replace(meeting, begin=starter)
        else:
            where = f"{protocol}://{meeting.host}:{found}"
            print(f"listening on {where}: connect as {meeting.account.user}, once for each case", file=sys.stderr)
        target: ListeningTarget
        if protocol == "ldap":
            target = LdapClientTarget(listener, meeting)
        else:
            target = MailClientTarget(listener, meeting, protocol)
        yield Targets(name=f"{protocol} clients on port {found}", clients={"": target, protocol: target})
