"""Runs that do not come to their end: a refused trial logon, Ctrl-C, SIGTERM, the first failure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from saslsspi import MemoryAuthority
from saslsspi.__main__ import main
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running


class Asked(NamedTuple):
    """A server, and the names that were asked of its authority."""

    url: str
    names: list[str]


class CountingAuthority(MemoryAuthority):
    def __init__(self) -> None:
        super().__init__({"alice": "wonderland"})
        self.names: list[str] = []

    def lookup(self, question):  # type: ignore[no-untyped-def]  # as its base
        self.names.append(question.username)
        return super().lookup(question)


@pytest.fixture
def server() -> Iterator[Asked]:
    authority = CountingAuthority()
    with running(LdapServer(authority=authority, realm="localhost")) as running_server:
        yield Asked(f"ldap://localhost:{running_server.port}", authority.names)


def reports(folder: Path) -> list[str]:
    return ["--json", str(folder / "r.json"), "--html", str(folder / "r.html"), "--junit", str(folder / "r.xml")]


@pytest.mark.parametrize("spec", ["rfc2831", "rfc5802", "rfc4513"])
def test_a_mistyped_password_costs_one_failed_logon_and_every_report_says_so(
    server: Asked, spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--user", "alice", "--password", "mistyped", "--pause", "0", "--quiet", "--spec", spec]
    assert main(["conformance", server.url, *words, *reports(tmp_path)]) == 3
    assert server.names == ["alice"]
    assert "refuses the trial logon as alice" in capsys.readouterr().out
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert found["exit_status"] == 3
    assert found["results"] == []
    assert "0 of " in found["partial"]
    assert "trial logon" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert ElementTree.parse(tmp_path / "r.xml").getroot().find(".//error") is not None


def test_a_right_password_runs_the_cases(server: Asked, tmp_path: Path) -> None:
    words = ["--user", "alice", "--password", "wonderland", "--pause", "0", "--quiet", "--spec", "rfc2831"]
    assert main(["conformance", server.url, *words, *reports(tmp_path)]) == 0
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert found["partial"] == ""
    assert found["counts"]["pass"] > 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_never_green_and_says_how_far_it_came(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "saslsspi", "conformance", "self", *reports(tmp_path)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # the first case has run
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 3
    assert "interrupted: " in rest
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert found["exit_status"] == 3
    assert f"interrupted: {len(found['results'])} of " in found["partial"]
    assert "interrupted: " in (tmp_path / "r.html").read_text(encoding="utf-8")
    error = ElementTree.parse(tmp_path / "r.xml").getroot().find(".//error")
    assert error is not None
    assert "interrupted: " in error.get("message", "")
