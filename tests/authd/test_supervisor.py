"""Workers and who starts them: none outlives it, and none is given up for others that do not come up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from authd.test_service import KINDS, REALM
from interop.authd import Authd, Talk
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(process: int) -> bool:
    """Whether a process is no more, or waits to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_no_worker_outlives_its_supervisor(tmp_path: Path) -> None:
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"alice": derived("alice", "wonderland", kinds=KINDS, realms=[REALM], iterations=4096)})
    with Authd(tmp_path, [place], workers=2) as service:
        workers: set[int] = set()
        while len(workers) < 2:
            with Talk(service.dovecot) as talk:
                workers.add(talk.worker)
        service.process.kill()
        service.process.wait()
        wait_until(lambda: all(map(ended, workers)))
    with Authd(tmp_path, [place]) as again, Talk(again.dovecot) as talk:
        assert talk.plain("alice", "wonderland")[0] == "OK"


EXCHANGED = """
import os, pathlib, signal, sys, time, logging
from saslsspi.services.supervisor import Supervisor
logging.basicConfig()
folder = pathlib.Path(sys.argv[1])

def serve(ready):
    if (folder / "broken").exists():
        raise ZeroDivisionError("here")
    (folder / f"worker-{os.getpid()}").touch()
    ready()
    while True:
        signal.pause()

Supervisor(lambda: (2, serve)).run()
"""


def test_workers_stay_where_those_of_the_new_configuration_do_not_come_up(tmp_path: Path) -> None:
    def workers() -> set[int]:
        return {int(path.name.partition("-")[2]) for path in tmp_path.glob("worker-*")}

    command = [sys.executable, "-c", EXCHANGED, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: len(workers()) == 2)
            first = workers()
            (tmp_path / "broken").touch()
            process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            assert any("no worker comes up" in line for line in iter(process.stderr.readline, ""))
            assert not any(map(ended, first))
            (tmp_path / "broken").unlink()
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: all(map(ended, first)))
            wait_until(lambda: len(workers() - first) == 2)
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(30) == 0
            assert all(map(ended, workers()))
        finally:
            process.kill()
