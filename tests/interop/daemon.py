"""Start a real server, wait until it answers, and leave nothing of it behind."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

_PORT_ATTEMPTS: Final = 3


class ServerDidNotStart(RuntimeError):
    """A real server ended, or did not answer in time; the message ends with its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    answers: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that stays in the foreground for as long as the block lasts.

    Args:
        command: The program and its arguments.
        log: Where its output goes.
        answers: Asks the server for a sign of life; it may return False or raise OSError.
        environment: The whole environment; that of this process if None.
        timeout: Seconds to wait for the first answer.

    Raises:
        ServerDidNotStart: it ended or stayed silent.
    """
    with log.open("ab") as output:
        # A session of its own, so that Ctrl-C reaches pytest alone and a server's children can be ended with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_until(answers, process, log, timeout)
        yield process
    finally:
        _end(process)


def enter_on_free_ports(
    cleanup: contextlib.ExitStack, start: Callable[[], contextlib.AbstractContextManager[object]]
) -> None:
    """Run a server until a stack of clean-ups is closed.

    Args:
        start: Takes free ports and returns `running`; called again where another process has taken one first.

    Raises:
        ServerDidNotStart: it ended or stayed silent, each time.
    """
    for _ in range(_PORT_ATTEMPTS - 1):
        with contextlib.suppress(ServerDidNotStart):
            cleanup.enter_context(start())
            return
    cleanup.enter_context(start())


def _wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerDidNotStart(f"{process.args!r} ended with {process.returncode}:\n{_tail(log)}")
        with contextlib.suppress(OSError):
            if answers():
                return
        time.sleep(0.02)
    raise ServerDidNotStart(f"{process.args!r} did not answer within {timeout} s:\n{_tail(log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        # The group outlives its leader as long as a child does, so it is signalled even when the leader has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]
