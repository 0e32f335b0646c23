"""Verdicts that can be trusted: silence, second tries, twins, live accounts, runs that are gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance.account_server import Account, serving
from saslsspi.__main__ import main
from saslsspi_conformance.case import all_cases
from saslsspi_conformance.transcript import Transcript
from saslsspi_conformance.twins import is_refusal, twin_of

RIGHT = b"\0alice\0wonderland"


def run(url: str, folder: Path, *words: str, password: str = "wonderland") -> tuple[int, Mapping[str, Any]]:
    """Run the cases about PLAIN."""
    file = folder / "report.json"
    account = ["--user", "alice", "--password", password, "--pause", "0", "--quiet", "--json", str(file)]
    status = main(["conformance", url, *account, *(words or ("-k", "plain"))])
    return status, json.loads(file.read_text(encoding="utf-8"))


def of(report: Mapping[str, Any], case: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(result for result in report["results"] if result["case"] == case)
    return found


@pytest.mark.parametrize("bound", [0, 1, 2, 5])
def test_the_bound_of_failed_logons_is_never_passed_and_is_printed(
    bound: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(account := Account()) as url:
        _, report = run(url, tmp_path, "--failed-logons", str(bound), "-k", "plain or imap")
    assert account.suffered <= bound
    assert report["failed_logons"] == {"spent": account.suffered, "bound": bound}
    assert f"{account.suffered} failed logons of alice, of {bound}" in capsys.readouterr().out


def test_a_server_that_refuses_everything_after_the_trial_stays_within_the_bound(tmp_path: Path) -> None:
    """A right logon that is suddenly refused counts too."""
    with serving(account := Account(accepts=lambda message, count: message == RIGHT and count == 1)) as url:
        status, _ = run(url, tmp_path, "--failed-logons", "3", "-k", "plain or imap")
    assert account.suffered <= 3
    assert status != 0


def test_what_answers_only_with_more_time_passes_and_the_report_says_that_it_is_slow(tmp_path: Path) -> None:
    """As Dovecot's penalty: each refusal takes longer than the one before."""
    with serving(Account(delay=lambda count: 0.5 if count > 1 else 0.0)) as url:
        status, report = run(url, tmp_path, "--answer-timeout", "0.2", "--destructive")
    assert {result["verdict"] for result in report["results"]} <= {"pass", "warning", "not applicable", "fail"}
    assert of(report, "plain.plain_no_password")["verdict"] == "pass"
    assert any("is slow" in note for note in report["notes"])
    assert status in (0, 1)


def test_a_server_that_delays_refusals_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Account(delay=lambda count: 1.1 if count == 1 else 0.0)) as url:
        run(url, tmp_path, "--destructive", "-k", "plain_wrong_password")
    assert "it delays refusals" in capsys.readouterr().out


def test_silence_is_no_verdict(tmp_path: Path) -> None:
    with serving(Account(silent=lambda message, count: message.endswith(b"\0"))) as url:
        status, report = run(url, tmp_path, "--answer-timeout", "0.2", "--destructive", "-k", "plain_no_password")
    found = of(report, "plain.plain_no_password")
    assert (status, found["verdict"]) == (3, "could not test")
    assert "no answer within 0.2 s" in found["detail"]
    assert "no answer within 1.2 s" in found["detail"]
    assert found["exchange"]


def test_a_failure_that_is_not_there_the_second_time_does_not_count(tmp_path: Path) -> None:
    """The first try of a wrong password is let in, as by a race; the second one is refused."""
    with serving(Account(accepts=lambda message, count: message == RIGHT or count == 1)) as url:
        status, report = run(url, tmp_path, "--destructive", "-k", "plain_wrong_password")
    found = of(report, "plain.plain_wrong_password")
    assert (status, found["verdict"]) == (0, "pass")
    assert "at a first try: fail, success" in found["detail"]


def test_a_failure_is_tried_twice_and_counts(tmp_path: Path) -> None:
    with serving(account := Account(accepts=lambda message, count: True)) as url:
        status, report = run(url, tmp_path, "--destructive", "-k", "plain_wrong_password")
    assert (status, of(report, "plain.plain_wrong_password")["verdict"]) == (1, "fail")
    assert account.seen.count(b"\0alice\0wrong one") == 2


def test_a_refusal_shows_nothing_where_its_twin_is_refused_too(tmp_path: Path) -> None:
    with serving(Account(accepts=lambda message, count: False)) as url:
        _, report = run(url, tmp_path, "--destructive", "-k", "plain_no_password")
    found = of(report, "plain.plain_no_password")
    assert found["verdict"] == "not applicable"
    assert "plain.plain, right in the one thing, does not succeed here" in found["detail"]


def test_every_case_of_refusal_has_a_twin_that_succeeds() -> None:
    cases = all_cases()
    for case in cases.values():
        if is_refusal(case):
            twin = cases[twin_of(case) or "none"]
            assert not is_refusal(twin), case.name
            assert twin.target is case.target, case.name
            assert twin.carrier in ("", case.carrier), case.name


def test_no_case_names_an_account_that_a_server_need_not_have() -> None:
    """Who is refused because nobody has that name is not refused for the rule."""
    folder = Path(sys.modules["saslsspi_conformance"].__path__[0]) / "cases"
    allowed = {"_KNOWN = Setting(external_identity=", "def _external_refused(", "own_identity"}  # our own server's
    lines = [line for file in folder.rglob("*.py") for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if "chris" in line and not any(text in line for text in allowed)] == []


def test_masks_hide_what_we_sent_and_its_echo_and_no_word_of_a_server() -> None:
    transcript = Transcript(("bad",))
    transcript.sent("response", b"\0alice\0bad")
    transcript.sent("", b"a AUTHENTICATE PLAIN AGFsaWNlAGJhZA==")
    transcript.received("", b"a NO bad protocol")
    transcript.received("", b"a NO no such: AGFsaWNlAGJhZA==")
    texts = [step.text for step in transcript.steps]
    assert texts[0].endswith("alice\\x00*****")
    assert texts[1].endswith("PLAIN *****")
    assert texts[2].endswith("a NO bad protocol")
    assert texts[3].endswith("a NO no such: *****")


def test_a_run_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    with serving(account := Account(accepts=lambda message, count: True)) as url:
        status, first = run(url, tmp_path, "--failed-logons", "2", "-x", "-k", "plain")
        assert (status, bool(first["partial"])) == (1, True)
        report = tmp_path / "report.json"
        report.rename(tmp_path / "first.json")
        asked = len(account.seen)
        status, second = run(url, tmp_path, "--resume", str(tmp_path / "first.json"), "-k", "plain")
    cases = [result["case"] for result in second["results"]]
    assert status == 1
    assert second["partial"] == ""
    assert cases[: len(first["results"])] == [result["case"] for result in first["results"]]
    assert len(account.seen) > asked
    assert second["failed_logons"]["spent"] >= first["failed_logons"]["spent"]


def test_a_report_of_another_target_is_not_gone_on_with(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"target": "imap://other:143"}), encoding="utf-8")
    with serving(Account()) as url:
        assert main(["conformance", url, "--user", "alice", "--password", "x", "--resume", str(other)]) == 2


def test_a_run_that_is_killed_leaves_reports_that_say_so(tmp_path: Path) -> None:
    files = {name: tmp_path / f"r.{name}" for name in ("json", "html", "junit")}
    words = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    command = [sys.executable, "-m", "saslsspi", "conformance", "self", *words]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode != 0
    for file in files.values():
        assert "not come to its end" in file.read_text(encoding="utf-8"), file
    assert json.loads(files["json"].read_text(encoding="utf-8"))["exit_status"] == 3


EXEC = ["--user", "alice", "--realm", "example.test", "-k", "right_response or replay and not layer"]


@pytest.mark.parametrize(
    ("defect", "status", "verdict"),
    [("", 0, "pass"), ("return b'done =\\n' if token else b'more bm9uY2U9IngiCg==\\n'", 1, "fail")],
    ids=["our own server", "one that lets everybody in"],
)
def test_a_program_that_speaks_the_line_protocol_is_judged(
    defect: str, status: int, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SASLSSPI_PASSWORD", "wonderland")
    file = tmp_path / "report.json"
    ours = [
        "-m",
        "saslsspi",
        "server",
        "{mechanism}",
        "--service",
        "{service}",
        "--host",
        "{host}",
        "--realm",
        "{realm}",
    ]
    program = [*ours, "--account", "alice:wonderland"]
    if defect:
        script = tmp_path / "server.py"
        lines = ["import sys", "def answer(token):", f"    {defect}", "for line in sys.stdin.buffer:"]
        lines += ["    sys.stdout.buffer.write(answer(line.strip() != b'-'))", "    sys.stdout.buffer.flush()"]
        script.write_text("\n".join(lines), encoding="utf-8")
        program = [str(script)]
    words = ["exec", "--side", "server", *EXEC, "--quiet", "--json", str(file), "--", sys.executable, *program]
    assert main(["conformance", *words]) == status
    found = json.loads(file.read_text(encoding="utf-8"))
    assert of(found, "rfc2831.response.replay")["verdict"] == verdict


def test_a_program_that_says_something_else_could_not_be_tested(tmp_path: Path) -> None:
    words = ["exec", "--side", "client", "--user", "alice", "--password", "x", "-k", "right_proof", "--quiet"]
    assert main(["conformance", *words, "--", sys.executable, "-c", "print('hello')"]) == 3


def test_exec_says_which_side_it_needs() -> None:
    assert main(["conformance", "exec", "--user", "alice", "--password", "x", "--", "true"]) == 2


def test_a_report_begins_with_what_fails_and_says_when_and_how_it_was_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, words = tmp_path / "r.html", ("--destructive", "-k", "plain and not client")
    with serving(account := Account(accepts=lambda message, count: True)) as url:
        status, first = run(url, tmp_path, *words, "--html", str(page))
        (tmp_path / "report.json").rename(tmp_path / "before.json")
        printed = capsys.readouterr().out.splitlines()
        account.accepts = lambda message, count: message in (RIGHT, b"alice" + RIGHT)
        run(url, tmp_path, *words, "--compare", str(tmp_path / "before.json"))
    assert status == 1
    failing = [line for line in printed if line.startswith("fail: plain.plain_wrong_password (RFC4616-2-06, section 2")]
    assert failing
    assert "--destructive" in first["command"]
    assert "wonderland" not in first["command"]
    assert re.match(r"20\d\d-\d\d-\d\dT", first["date"])
    text = page.read_text(encoding="utf-8")
    assert text.index("What fails") < text.index("plain.plain_wrong_password") < text.index("<table>")
    assert "plain.plain_wrong_password: fail before, pass now" in capsys.readouterr().out
