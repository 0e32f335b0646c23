"""`conformance listen`: a port on loopback where somebody's clients are awaited, and what is run to make them come."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi_conformance.case_run import Setting
from saslsspi_conformance.runner.selection import Targets
from saslsspi_conformance.targets.listen.base import Listener, ListeningTarget
from saslsspi_conformance.targets.listen.ldap import LdapClientTarget
from saslsspi_conformance.targets.listen.mail import MailClientTarget

__all__ = ["Listener", "listening"]

_NOOP: Final = {"ldap": b""} | {
    protocol.name: protocol.command(protocol.noop, b".") for protocol in LINE_PROTOCOLS.values()
}


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
        protocol: ldap, or the name of a protocol of lines.
        meeting: Who is awaited.
        port: 0 takes a free one.
        command: What to run for each case; {port} and {mechanism} in it are replaced. "" leaves it to people.

    Raises:
        OSError: the port is taken, or there is no such command.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        listener.settimeout(meeting.timeout * 0.9)
        found = listener.getsockname()[1]
        if command:
            starter = _Starter(command, found, protocol)
            stack.callback(starter.end)
            meeting = replace(meeting, begin=starter, repeats=True)
        else:
            where = f"{protocol}://{meeting.host}:{found}"
            print(f"listening on {where}: connect as {meeting.account.user}, once for each case", file=sys.stderr)
        target: ListeningTarget
        if protocol == "ldap":
            target = LdapClientTarget(listener, meeting)
        else:
            target = MailClientTarget(listener, meeting, protocol)
        yield Targets(name=f"{protocol} clients on port {found}", clients={"": target, protocol: target})
