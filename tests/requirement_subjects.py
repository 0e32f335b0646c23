"""Whether a claim is proved by the package that its requirement is about.

A file of the catalogue that is about one package names its room here. Each test that claims a requirement of such a
file is run, and watched until code of that room runs: a test that passes without it proves nothing about the package,
whatever it says of TLS or of another one. Tests with real peers are left out, and so is what is skipped.

Run as a program it watches the tests that are named, and writes what it found as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

__all__ = ["ABOVE", "SUBJECTS", "strangers"]

SUBJECTS: Final[Mapping[str, str]] = {
    "http-digest": "digest",
    "ms-cssp": "credssp",
    "ms-dpsp-rfc6331": "digest",
    "ms-nlmp": "ntlm",
    "rfc2831": "digest",
    "rfc4178-ms-spng": "negotiate",
    "sspi-isc-credssp": "credssp",
    "sspi-isc-digest": "digest",
}
"""Catalogue file -> the room below saslsspi/packages that its requirements are about."""

ABOVE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("SSPI-ISC-DIGEST-19", "SSPI-ISC-DIGEST-57", "SSPI-ISC-DIGEST-58", "SSPI-ISC-DIGEST-70", "SSPI-ISC-DIGEST-71",
         "SSPI-ISC-DIGEST-99"),
        "names and numbers of the headers, the same for every package",
    ),
    **dict.fromkeys(
        ("SSPI-ISC-DIGEST-06", "SSPI-ISC-DIGEST-118"), "the functions of the page and their arguments"
    ),
    **dict.fromkeys(
        ("SSPI-ISC-DIGEST-66", "SSPI-ISC-DIGEST-67", "SSPI-ISC-DIGEST-97", "SSPI-ISC-DIGEST-109",
         "SSPI-ISC-DIGEST-110"),
        "statuses that the engine gives for a package; a package of the test's own asks for each",
    ),
    "SSPI-ISC-DIGEST-17": "flags without a meaning are tried where they are taken; Digest refuses them, elsewhere",
    "RFC6331-1-01": "the choice of a mechanism, above the packages",
    "RFC2831-3-07": "files of accounts, below the packages",
    "MSSPNG-3.1.5.9-03": "the reader of DER, below the packages",
}  # fmt: skip
"""Requirements of such files that are about a floor above or below the package, and why."""

_ROOMS: Final = Path(__file__).parents[1] / "saslsspi" / "packages"
_SECONDS: Final = 1800


class SubjectWatcher:
    """A pytest plugin that runs the tests with a subject, and keeps those that never touched it.

    Args:
        subjects: Id of a requirement -> room.
    """

    def __init__(self, subjects: Mapping[str, str]) -> None:
        self._subjects = subjects
        self._passed: set[str] = set()
        self.untouched: dict[str, list[str]] = {}

    def _wanted(self, item: pytest.Item) -> dict[str, list[str]]:
        wanted: dict[str, list[str]] = {}
        for marker in item.iter_markers("requirement"):
            for identifier in marker.args:
                if room := self._subjects.get(identifier):
                    wanted.setdefault(room, []).append(identifier)
        return wanted

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave the tests that have a subject."""
        items[:] = [item for item in items if self._wanted(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch one test, its fixtures included."""
        wanted = self._wanted(item)
        missing = {f"{_ROOMS / room}/": room for room in wanted}

        def enters(frame: FrameType, event: str, argument: object) -> None:
            file = frame.f_code.co_filename
            for prefix in [prefix for prefix in missing if file.startswith(prefix)]:
                del missing[prefix]
            if not missing:
                sys.settrace(None)

        threading.settrace(enters)
        sys.settrace(enters)
        try:
            result = yield
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # typeshed does not know that None ends it
        if item.nodeid in self._passed and missing:
            self.untouched[item.nodeid] = sorted(name for room in missing.values() for name in wanted[room])
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the tests that passed: what failed or was skipped says nothing."""
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)


def strangers(subjects: Mapping[str, str], files: Iterable[str]) -> Mapping[str, list[str]]:
    """Run the tests of some files; return those that never touched what they claim to prove, and the ids.

    Args:
        subjects: Id of a requirement -> the room that it is about.
        files: Where tests claim them.
    """
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        task.write_text(json.dumps({"subjects": dict(subjects), "files": sorted(set(files))}))
        command = [sys.executable, __file__, str(task), str(answer)]
        subprocess.run(command, check=True, timeout=_SECONDS, stdout=subprocess.DEVNULL, cwd=_ROOMS.parents[1])
        found: dict[str, list[str]] = json.loads(answer.read_text())
        return found


def _watch(task: Path, answer: Path) -> None:
    given = json.loads(task.read_text())
    watcher = SubjectWatcher(given["subjects"])
    pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not interop", *given["files"]], plugins=[watcher])
    answer.write_text(json.dumps(watcher.untouched))


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), Path(sys.argv[2]))
