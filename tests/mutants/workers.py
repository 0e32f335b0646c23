"""Run tests in processes of their own that have the libraries loaded already, several at a time.

The process that forks has imported what the tests import, but for the tree itself: so a mutant costs what its tests
cost and the import of what is ours, which it must import anew.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from mutants.site import sitecustomize
from mutants.table import HERE, ROOT

__all__ = ["HUNG", "Job", "preload", "results"]

HUNG: Final = -1
_SECONDS: Final = 120
"""After so long a run hangs: a mutant may make a loop endless, and then its tests have noticed."""

_LIBRARIES: Final = (
    "pytest", "hypothesis", "hypothesis.strategies", "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.rsa", "cryptography.hazmat.primitives.ciphers.algorithms",
    "OpenSSL.SSL", "pyasn1.codec.ber.decoder", "ldap3", "requests", "httpx",
    "aiosmtplib", "aiosmtpd.controller", "sqlalchemy.ext.asyncio", "redis.asyncio", "jwt",
    "xml.etree.ElementTree",
)  # fmt: skip

_Key = TypeVar("_Key")


class Job(NamedTuple):
    """What one process does.

    Attributes:
        run: Returns the exit status, below 128.
        file: The file of the tree that has another text there; None for none.
        text: That text.
    """

    run: Callable[[], int]
    file: str | None = None
    text: str = ""


def preload() -> None:
    """Import the libraries that the tests use, each where it is there."""
    for library in _LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError:
            continue
    if ours := [name for name in sys.modules if name.partition(".")[0].startswith("saslsspi")]:
        raise SystemExit(f"{ours[0]} is imported before it is broken")


def results(jobs: Iterable[tuple[_Key, Job]], at_once: int) -> Iterator[tuple[_Key, int]]:
    """Run jobs, `at_once` at a time, and tell each one's exit status as it ends; HUNG where it did not."""
    waiting, running = iter(jobs), dict[int, tuple[_Key, float]]()
    with tempfile.TemporaryDirectory() as directory:
        while True:
            while len(running) < at_once and (job := next(waiting, None)) is not None:
                running[_start(job[1], Path(directory))] = job[0], time.monotonic() + _SECONDS
            if not running:
                return
            for pid, (key, until) in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended and time.monotonic() < until:
                    continue
                if not ended:
                    os.killpg(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                del running[pid]
                yield key, os.waitstatus_to_exitcode(status) if ended else HUNG
            time.sleep(0.01)


def _start(job: Job, directory: Path) -> int:
    if pid := os.fork():
        return pid
    status = 125
    try:
        os.setsid()  # what the tests start ends with them
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.chdir(ROOT)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        if job.file is not None:
            text = directory / f"{os.getpid()}.py"
            text.write_text(job.text, encoding="utf-8")
            os.environ[sitecustomize.FILE] = os.path.realpath(ROOT / job.file)
            os.environ[sitecustomize.TEXT] = str(text)
            os.environ["PYTHONPATH"] = str(HERE / "site")
            sitecustomize.install()
        status = job.run()
    finally:
        os._exit(status)
