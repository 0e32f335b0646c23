"""docs/how-to/ci.md: its lines judge a server, and the names and statuses in it exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from saslsspi import MemoryAuthority
from saslsspi.__main__ import main
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail.imap import ImapServer

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
LINES = re.findall(r"saslsspi (conformance imap://127\.0\.0\.1:1430 .*\n(?: +--expect.*\n)?)", PAGE)
KNOWN = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_both_files_say_the_same() -> None:
    assert len(LINES) == 3
    assert " ".join(LINES[0].split()) == " ".join(LINES[1].split())


@pytest.mark.slow
@pytest.mark.parametrize("line", [LINES[0], LINES[2]], ids=["judge", "compare"])
def test_a_line_judges_a_server(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SASLSSPI_PASSWORD", "wonderland")
    Path("known-failures.txt").write_text("", encoding="utf-8")
    with running(ImapServer(authority=MemoryAuthority({"alice": "wonderland"}), realm="localhost")) as server:
        words = shlex.split(line.replace("1430", str(server.port)))
        narrow = ["--spec", "rfc2831", "-k", "username_twice", "--quiet"]
        if "--compare" in words:
            assert main([*words[: words.index("--compare")], "--json", "main.json", *narrow]) == 0
        assert main([*words, *narrow]) == 0
    if "--junit" in words:
        assert {path.suffix for path in tmp_path.glob("sasl.*")} == {".xml", ".json", ".html"}


def test_known_failures_are_names_of_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "imap://127.0.0.1:1", "--user", "alice", "--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert KNOWN is not None
    assert {line.split()[0] for line in KNOWN[1].splitlines()} <= listed


def test_every_exit_status_is_told() -> None:
    assert re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE) == ["0", "1", "2", "3"]
