"""Workers behind the same sockets: started, started again when one dies, exchanged for new ones on SIGHUP.

The process that starts them serves nobody. A worker that ends takes its own connections with it and no others. On
SIGHUP the configuration is read again; where it cannot be, the workers that are there go on.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # asyncio imports it late, and a service's user need not be able to
import ctypes
import logging
import os
import pwd
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

from saslsspi.errors import NoAuthenticatingAuthority, SaslError

__all__ = ["Supervisor", "become", "tell_systemd"]

_LOG: Final = logging.getLogger("saslsspi.services")
_LOG.addHandler(logging.NullHandler())
_SIGNALS: Final = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_ENDS: Final = {signal.SIGTERM, signal.SIGINT}
_LOOK: Final = 0.1  # seconds
_PR_SET_PDEATHSIG: Final = 1
_GRACE: Final = 10.0  # seconds that a worker has to end its exchanges
_PAUSE: Final = 1.0  # seconds before a worker that died is started again

Work = Callable[[Callable[[], None]], None]
"""Serves until SIGTERM; calls what it is given once it serves."""


def tell_systemd(state: str) -> None:
    """Say something to the service manager, as sd_notify(3) does; nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def become(user: str) -> None:
    """Give up root for a user; does nothing where there is no user, or no root.

    Raises:
        NoAuthenticatingAuthority: there is no such user.
    """
    if not user or os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NoAuthenticatingAuthority(f"there is no user {user} on this machine") from None
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


class Supervisor:
    """Keeps workers running.

    Args:
        make: Reads the configuration and returns how many workers there are to be, and what each does.
    """

    def __init__(self, make: Callable[[], tuple[int, Work]]) -> None:
        self._make = make
        self._workers: set[int] = set()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            SaslError: the configuration cannot be used, before anything was started.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        count, work = self._make()
        self._start(count, work)
        tell_systemd("READY=1")
        while True:
            came = signal.sigwait(_SIGNALS)
            if came == signal.SIGCHLD:
                for _ in range(self._buried()):
                    time.sleep(_PAUSE)
                    self._start(1, work)
            elif came == signal.SIGHUP:
                count, work = self._exchanged(count, work)
            else:
                tell_systemd("STOPPING=1")
                self._end(set(self._workers))
                return

    def _exchanged(self, count: int, work: Work) -> tuple[int, Work]:
        """Start workers with what the configuration says now, and end those before."""
        tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        before = set(self._workers)
        try:
            made = self._make()
        except SaslError as error:
            _LOG.error("the configuration stays as it was: %s", error)
            made = count, work
        except Exception:  # a driver's, or a module's of the administrator's own
            _LOG.exception("the configuration stays as it was")
            made = count, work
        else:
            if self._start(*made):
                self._end(before)
            else:
                _LOG.error("the configuration stays as it was: no worker comes up with the new one")
                self._end(self._workers - before)
                made = count, work
        tell_systemd("READY=1")
        return made

    def _start(self, count: int, work: Work) -> int:
        """Start workers, wait until each serves or has died, or nothing is to be served, and return how many serve."""
        serving = 0
        for _ in range(count):
            reading, writing = os.pipe()
            worker = os.fork()
            if worker == 0:
                os.close(reading)
                _work(work, writing)
            os.close(writing)
            self._workers.add(worker)
            # What a worker opens first may be slow, or hang. Nothing comes from one that has died.
            while not (said := select.select([reading], [], [], _LOOK)[0]) and not signal.sigpending() & _ENDS:
                pass
            serving += bool(said and os.read(reading, 1))
            os.close(reading)
        return serving

    def _buried(self) -> int:
        """Return how many workers have died since; those that were told to are not counted."""
        died = 0
        while True:
            try:
                worker, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return died
            if not worker:
                return died
            if worker in self._workers:
                self._workers.discard(worker)
                _LOG.warning("worker %d ended with status %d; another one is started", worker, status)
                died += 1

    def _end(self, workers: set[int]) -> None:
        """End workers: those that do not within some seconds are killed."""
        self._workers -= workers
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        left = set(workers)
        while left:
            left = {worker for worker in left if not _ended(worker)}
            if left and time.monotonic() > deadline:
                for worker in left:
                    os.kill(worker, signal.SIGKILL)
            time.sleep(0.02)


def _ended(worker: int) -> bool:
    try:
        return os.waitpid(worker, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _end_with(supervisor: int) -> None:
    """Be told to end when the supervisor is no more, even where it was killed; elsewhere than on Linux nobody tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != supervisor:
            raise NoAuthenticatingAuthority("the supervisor has gone")


def _work(work: Work, writing: int) -> None:
    """Be a worker, and never return."""
    status = 1
    try:
        _end_with(os.getppid())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's

        def ready() -> None:
            os.write(writing, b"1")
            os.close(writing)

        work(ready)
        status = 0
    except Exception:
        _LOG.exception("a worker failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
