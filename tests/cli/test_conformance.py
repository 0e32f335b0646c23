"""`saslsspi conformance`: what it runs, what it says, how it ends."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.liar import lying
from saslsspi import MemoryAuthority
from saslsspi.__main__ import main
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail.imap import ImapServer
from saslsspi_conformance.case import all_cases

ONE = "rfc2831.response.wrong_host"
HARMLESS = ("--destructive", "--pause", "0", "--user", "alice", "--password", "wonderland")


@pytest.fixture(scope="module")
def liar() -> Iterator[str]:
    with lying() as url:
        yield url


def run(*words: str) -> int:
    return main(["conformance", *words])


def report(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def verdicts(file: Path) -> dict[str, str]:
    return {result["case"]: result["verdict"] for result in report(file)["results"]}


def test_self_runs_every_case_without_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert run("self", "--quiet", "--json", str(file)) == 0
    found = report(file)
    assert {result["case"] for result in found["results"]} == set(all_cases())
    assert found["seconds"] < 60
    skipped = {result["case"]: result["detail"] for result in found["results"] if result["verdict"] != "pass"}
    # There is nothing to test for these: CRAM-MD5 is no mechanism of ours, and our SMTP server sends no such codes.
    assert all("CRAM-MD5" in reason or "ENHANCEDSTATUSCODES" in reason for reason in skipped.values()), skipped
    assert "cases against self" in capsys.readouterr().out


def test_without_a_case_that_matches_it_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("self", "--section", "9.9.9") == 2
    assert "nothing matches" in capsys.readouterr().err
    assert run("self", "-k", "no_such_case") == 2
    assert run("--list", "--requirement", "RFC9999-1-01") == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["http://localhost/"],
        ["imap://localhost"],
        ["self", "ldap"],
        ["listen"],
        ["self", "--expect", "/no/such/file"],
    ],
)
def test_wrong_usage_is_2(words: list[str]) -> None:
    assert run(*words) == 2


def test_an_unknown_case_in_the_expectations_is_wrong_usage(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("no.such_case  # whatever\n", encoding="utf-8")
    assert run("self", "--section", "1", "--expect", str(known)) == 2


def test_a_server_that_cannot_be_reached_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert run(f"imap://localhost:{port}", *HARMLESS, "-k", "wrong_host", "--quiet") == 3
    printed = capsys.readouterr()
    assert re.fullmatch(r"saslsspi conformance: imap://localhost:\d+ cannot be tested: .*refused\n", printed.err)
    assert not printed.out
    assert run(f"imap://localhost:{port}", *HARMLESS, "--json", "-") == 3
    assert "cannot be tested" in json.loads(capsys.readouterr().out)["error"]


@contextlib.contextmanager
def _answering(*answers: bytes) -> Iterator[int]:
    """A server that has the same answers for every client, one at once and one for each thing it hears."""

    def serve(connection: socket.socket) -> None:
        with connection:
            for answer in answers:
                connection.sendall(answer)
                if not connection.recv(1000):
                    return
            while connection.recv(1000):
                pass

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("protocol", ["imap", "smtp", "pop3", "ldap"])
def test_a_server_of_another_protocol_is_3(protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _answering(b"HTTP/1.0 400 Bad Request\r\n\r\n") as port:
        assert run(f"{protocol}://localhost:{port}", *HARMLESS, "--quiet", "--timeout", "2") == 3
    assert "cannot be tested" in capsys.readouterr().err


def test_a_server_without_the_tls_that_is_asked_for_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    with _answering(b"* OK\r\n", b"a BAD what?\r\n", b"a BAD what?\r\n") as port:
        assert run(f"imap://localhost:{port}", *HARMLESS, "--quiet", "--starttls") == 3
    assert "does not begin TLS" in capsys.readouterr().err


def test_section_takes_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list", "--spec", "rfc2831", "--section", "2.1.2", "--json", "-") == 0
    listed = json.loads(capsys.readouterr().out)
    requirements = {identifier for case in listed for identifier in case["requirements"]}
    assert any(identifier.startswith("RFC2831-2.1.2.1-") for identifier in requirements)
    assert all(any("-2.1.2" in identifier for identifier in case["requirements"]) for case in listed)


def test_level_leaves_out_what_binds_less(capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for words in ([], ["--level", "should"], ["--level", "must"]):
        assert run("--list", "--json", "-", *words) == 0
        counts.append(len(json.loads(capsys.readouterr().out)))
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3


def test_list_names_requirement_level_and_what_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("self", "--list", "-k", "x") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(ONE + " "))
    assert re.search(r"server +RFC2831-2\.1\.2-38 +SHOULD +A rightly computed response", line)


def test_a_dry_run_touches_nothing_and_counts_failed_logons(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("imap://no-such-host.invalid", "--dry-run", "--section", "2.1.3") == 0
    assert re.search(r"\d+ cases would run; [1-9]\d* of them cost", capsys.readouterr().out)


def test_a_failure_says_all_that_one_needs_and_no_secret(liar: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(liar, *HARMLESS, "--quiet", "-k", "test_nothing or replay and rfc2831.response") == 1
    printed = capsys.readouterr().out
    assert "FAIL rfc2831.response.replay" in printed
    assert re.search(
        r"RFC2831-2\.1\.2-23 \([A-Z ]+, section 2\.1\.2 Step Two \(digest-response\)\)\n    [A-Z]", printed
    )
    assert "seen: success" in printed
    assert "right: connection closed or failure" in printed
    assert re.search(r'-> response .*username="alice"', printed)
    assert re.search(r"<- challenge .*nonce=", printed)
    assert "wonderland" not in printed


def test_passwords_are_masked_in_every_report(liar: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "html", "junit")}
    options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    run(liar, *HARMLESS, "-k", "plain", *options)
    texts = [capsys.readouterr().out, *(file.read_text(encoding="utf-8") for file in files.values())]
    assert all("wonderland" not in text and "d29uZGVybGFuZ" not in text for text in texts)
    assert "*****" in texts[1]


def test_a_derived_requirement_is_a_warning(liar: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    run(liar, *HARMLESS, "--quiet", "--json", str(file), "-k", "rfc2831.response")
    found = verdicts(file)
    assert found["rfc2831.response.without_nc"] == "warning"
    assert found["rfc2831.response.username_twice"] == "fail"


def test_strict_makes_a_should_count(liar: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    only = ("--quiet", "--json", str(file), "-k", "wrong_host and not ours")
    assert run(liar, *HARMLESS, *only) == 0
    assert verdicts(file) == {ONE: "warning"}
    assert run(liar, *HARMLESS, "--strict", *only) == 1
    assert verdicts(file) == {ONE: "fail"}


def test_expected_failures_are_no_failures_and_an_unexpected_pass_is_told(liar: str, tmp_path: Path) -> None:
    known, file = tmp_path / "known.txt", tmp_path / "report.json"
    known.write_text("# what we know\nrfc2831.response.replay  # it never looks\n", encoding="utf-8")
    words = ("--quiet", "--json", str(file), "--expect", str(known), "-k")
    assert run(liar, *HARMLESS, *words, "replay and rfc2831.response") == 0
    assert report(file)["results"][0]["verdict"] == "known failure"
    assert "it never looks" in report(file)["results"][0]["detail"]
    known.write_text("rfc2831.syntax.any_order\n", encoding="utf-8")
    assert run(liar, *HARMLESS, *words, "any_order") == 1
    assert verdicts(file) == {"rfc2831.syntax.any_order": "unexpected pass"}


def test_few_failed_logons_are_spent_on_an_account(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    account = ("--user", "alice", "--password", "wonderland", "--failed-logons", "2", "--pause", "0")
    with running(ImapServer(authority=MemoryAuthority({"alice": "wonderland"}))) as server:
        run(f"imap://localhost:{server.port}", *account, "--quiet", "--json", str(file), "--section", "2.1.2")
    assert sum(verdict == "not run" for verdict in verdicts(file).values()) > 10
    assert report(file)["failed_logons"] == {"spent": 2, "bound": 2}


def test_a_case_has_a_time_limit(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    listed = b"* CAPABILITY IMAP4rev1 AUTH=DIGEST-MD5\r\na OK\r\n"
    with _answering(b"* OK\r\n", listed, listed) as port:
        url = f"imap://localhost:{port}"
        assert run(url, *HARMLESS, "--quiet", "--timeout", "0.4", "-k", "wrong_host", "--json", str(file)) == 3
    assert report(file)["seconds"] < 15  # without the limit it would have been 20 for each case, however fast this is


def test_an_account_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with running(ImapServer(authority=MemoryAuthority({"bob": "builder"}))) as server:
        words = ("--quiet", "-k", "right_response or authzid_permitted")
        assert run(f"imap://localhost:{server.port}", *HARMLESS, *words) == 1
        assert "Not one logon succeeded" in capsys.readouterr().out
    with running(ImapServer(authority=MemoryAuthority({"alice": "wonderland"}))) as server:
        run(f"imap://localhost:{server.port}", *HARMLESS, *words)
        assert "Not one logon" not in capsys.readouterr().out


def test_x_ends_at_the_first_failure(liar: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert run(liar, *HARMLESS, "-x", "--quiet", "--json", str(file), "--spec", "rfc2831") == 1
    assert list(verdicts(file).values()).count("fail") == 1


def test_junit_has_a_testcase_for_each_case(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    assert run("self", "--quiet", "--junit", str(file), "-k", "gssapi.client") == 0
    cases = ElementTree.parse(file).getroot().findall(".//testcase")
    properties = {entry.get("name") for entry in cases[0].iter("property")}
    assert len(cases) > 20
    assert {"requirement", "verdict"} <= properties


def test_a_plugin_of_pytest_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        "def pytest_runtest_logreport(report):",
        "    with open('ran.txt', 'a') as file:",
        "        print(report.when, file=file)",
        "",
    )
    (tmp_path / "counting_plugin.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run("self", "--quiet", "-p", "counting_plugin", "-k", "any_order") == 0
    assert (tmp_path / "ran.txt").read_text(encoding="utf-8").split() == ["setup", "call", "teardown"]


def test_the_page_is_one_file_without_outside_resources(liar: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    run(liar, *HARMLESS, "--quiet", "--html", str(file), "--spec", "rfc2831")
    page = file.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)|(src|href)=\"(?!#)|@import|url\(", page)
    assert "RFC2831-2.1.2-23" in page
    assert "Not conformant" in page
    assert page.count("<details") == len(re.findall("<summary>", page)) > 100


def test_progress_is_a_line_for_each_case_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("self", "-k", "gssapi.client") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("pass ") for line in lines) == len(lines) - 1


def test_json_on_standard_output_is_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("self", "--json", "-", "-k", "any_order") == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"pass": 1}
