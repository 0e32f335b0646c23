"""CREDSSP on the command line: the line protocol between two processes, and `auth` against `serve`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from cli.driver import Process, cross, encoded
from saslsspi.__main__ import main
from saslsspi.testbed.certificates import make_certificates

# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

TREE = Path(__file__).resolve().parents[2]
PLACE = ("--service", "ldap", "--host", "localhost")
CLIENT = ("client", "CREDSSP", *PLACE, "--user", "alice")
SERVER = ("server", "CREDSSP", *PLACE, "--account", "alice:wonderland")


@pytest.mark.parametrize(
    ("options", "qop", "ssf"),
    [(("--max-ssf", "0"), "auth", 0), (("--max-ssf", "1", "--min-ssf", "1"), "auth-int", 1), ((), "auth-conf", 256)],
)
def test_two_processes_agree_on_a_layer_and_use_it(options: tuple[str, ...], qop: str, ssf: int) -> None:
    with Process(*CLIENT, *options) as ours, Process(*SERVER) as theirs:
        _, second = cross(ours, theirs, ours.read())
        first = ours.say("-")  # the carrier's success
        for record in (first.record, second.record):
            assert (record["qop"], record["ssf"], record["authcid"]) == (qop, ssf, "alice")
            assert record["max_send"] == (65536 if ssf else 0)
        if ssf:
            text = bytes(100_000)
            wire = ours.say(f"wrap {encoded(text)}").token
            assert theirs.say(f"unwrap {wire}").token == encoded(text)
        assert ours.end()[0] == theirs.end()[0] == 0


def test_certificates_and_delegation_are_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_certificates(tmp_path, "x")
    trusting = (*CLIENT, "--delegate", "--ca", str(made.authority))
    with Process(*trusting) as ours, Process(*SERVER, "--cert", str(made.server)) as theirs:
        _, second = cross(ours, theirs, ours.read())
        assert second.word == "done"
        assert "wonderland" not in json.dumps(second.record)
    for words in (
        [*SERVER, "--cert", str(tmp_path / "none.pem")],
        [*CLIENT, "--password", "x", "--ca", str(tmp_path / "none.pem")],
    ):
        assert main(words) == 2
        assert "none.pem" in capsys.readouterr().err


def test_a_wrong_password_is_told_in_one_more_message() -> None:
    with Process(*CLIENT, "--password", "wrong") as ours, Process(*SERVER) as theirs:
        line = ours.read()
        for _ in range(2):
            line = ours.say(theirs.say(line.token).token)
        told = theirs.say(line.token)
        assert told.word == "more"
        failed = ours.say(told.token)
        assert (failed.word, failed.record["status"]) == ("fail", "SEC_E_LOGON_DENIED")
        assert "STATUS_LOGON_FAILURE" in failed.record["text"]
        refused = theirs.say("=")
        assert (refused.word, refused.record["status"]) == ("fail", "SEC_E_LOGON_DENIED")
        assert ours.end()[0] == theirs.end()[0] == 1


def test_a_version_that_does_not_exist_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*CLIENT, "--credssp-min-version", "7"])
    assert caught.value.code == 2
    assert "--credssp-min-version" in capsys.readouterr().err


@pytest.fixture(scope="module")
def serving() -> Iterator[subprocess.Popen[str]]:
    words = ["serve", "--ldap", "0", "--account", "alice:wonderland", "--mechanism", "CREDSSP"]
    with subprocess.Popen(
        [sys.executable, "-m", "saslsspi", *words],
        cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        watchdog = Timer(30, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        process.kill()


def test_auth_logs_on_to_serve_at_every_layer(
    serving: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert serving.stdout is not None
    found = re.fullmatch(r"listening on (ldap://\S+)\n", serving.stdout.readline())
    assert found
    words = ["auth", found[1], "--mechanism", "CREDSSP", "--user", "alice", "--password", "wonderland", "--json"]
    for options, qop in (
        (["--max-ssf", "0"], "auth"),
        (["--min-ssf", "1", "--max-ssf", "1"], "auth-int"),
        (["--min-ssf", "128", "--delegate"], "auth-conf"),
    ):
        assert main([*words, *options]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["mechanism"], told["qop"], told["identity"]) == ("CREDSSP", qop, "u:alice")
        line = serving.stdout.readline()
        assert f"CREDSSP identity=u:alice authcid=alice realm=- qop={qop} " in line
    assert main([*words[:-2], "wrong"]) == 1
    assert "STATUS_LOGON_FAILURE" in capsys.readouterr().err
