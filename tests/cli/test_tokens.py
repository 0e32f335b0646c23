"""Tokens on the command line: `serve --token`, `auth --token-file` and `--token-command`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saslsspi.__main__ import main
from saslsspi.testbed.certificates import Certificates, make_certificates

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


@pytest.fixture(scope="module")
def url(certificates: Certificates) -> Iterator[str]:
    words = ["serve", "--imap", "0", "--token", "alice:T0ken", "--cert", str(certificates.server)]
    with subprocess.Popen(
        [sys.executable, "-m", "saslsspi", *words],
        cwd=TREE,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stdout is not None
        found = re.search(r"imap://127\.0\.0\.1(:\d+)", process.stdout.readline())
        assert found
        yield f"imap://localhost{found[1]}"
        watchdog.cancel()
        process.kill()


def auth(url: str, certificates: Certificates, *words: str) -> int:
    return main(["auth", url, "--starttls", "--ca", str(certificates.authority), "--user", "alice", "--json", *words])


@pytest.mark.parametrize("mechanism", [(), ("--mechanism", "XOAUTH2")])
def test_a_file_holds_a_token(
    url: str, certificates: Certificates, tmp_path: Path, mechanism: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("T0ken\n")
    assert auth(url, certificates, "--token-file", str(tmp_path / "token"), *mechanism) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] in {"OAUTHBEARER", "XOAUTH2"}


def test_a_command_is_run_again_for_a_token_that_has_expired(
    url: str, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints an old token at first, and the new one from then on; it would print an old one a third time."""
    script = tmp_path / "give.py"
    script.write_text(
        f"import pathlib\nruns = pathlib.Path({str(tmp_path / 'runs')!r})\n"
        "count = len(runs.read_text()) if runs.exists() else 0\nruns.write_text('x' * (count + 1))\n"
        "print(['expired', 'T0ken', 'never'][count])\n"
    )
    assert auth(url, certificates, "--token-command", f"{sys.executable} {script}") == 0
    assert json.loads(capsys.readouterr().out)["authenticated"]
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_refusal_says_why(
    url: str, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("S3cret\n")
    assert auth(url, certificates, "--token-file", str(tmp_path / "token")) == 1
    printed = capsys.readouterr().out
    assert "invalid_token" in json.loads(printed)["text"] or "401" in json.loads(printed)["text"]
    assert "S3cret" not in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--token-file", "/no/such/file"), "/no/such/file"),
        (("--token-command", "/no/such/program S3cret"), "/no/such/program gave no token"),
        (("--token-command", f"{sys.executable} -c pass"), "printed nothing"),
        (("--token-command", f"{sys.executable} -c 1/0"), "exit status 1"),
    ],
)
def test_where_there_is_no_token_it_says_so(
    url: str, certificates: Certificates, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert auth(url, certificates, *words) == 1
    told = json.loads(capsys.readouterr().out)["text"]
    assert said in told
    assert "S3cret" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--user", "a", "--token-file", "x", "--password", "y"), "exclude each other"),
        (("--user", "a", "--token-file", "x", "--token-command", "y"), "exclude each other"),
        (("--user", "a", "--token-command", ""), "empty"),
        (("--token-file", "x"), "--token-file needs --user"),
    ],
)
def test_what_does_not_go_together_is_said(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["auth", "imap://localhost:1", *words]) == 2
    assert said in capsys.readouterr().err
