import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saslsspi.__main__ import main

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture
def serving() -> Iterator[subprocess.Popen[str]]:
    words = ["serve", "--ldap", "0", "--imap", "0", "--account", "alice:wonderland", "--realm", "example.test"]
    command = [sys.executable, "-m", "saslsspi", *words, "--min-ssf", "1"]
    with subprocess.Popen(
        command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        process.kill()


def test_serve_tells_its_ports_and_every_logon_and_stops_cleanly(
    serving: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert serving.stdout is not None
    listening = serving.stdout.readline()
    found = re.fullmatch(r"listening on (ldap://127\.0\.0\.1:[1-9]\d*)\n", listening)
    assert found, listening
    assert serving.stdout.readline().startswith("listening on imap://")
    words = ["auth", found[1], "--user", "alice", "--password", "wonderland", "--mechanism", "DIGEST-MD5", "--json"]
    assert main([*words, "--cipher", "rc4"]) == 0
    assert json.loads(capsys.readouterr().out)["ssf"] == 128
    told = serving.stdout.readline()
    assert re.match(r"ldap 127\.0\.0\.1:\d+ DIGEST-MD5 identity=u:alice ", told), told
    assert "qop=auth-conf cipher=rc4 ssf=128" in told
    assert main([*words, "--max-ssf", "0"]) == 1, "the server's policy wants a layer"

    serving.send_signal(signal.SIGTERM)
    output, errors = serving.communicate(timeout=10)
    assert (serving.returncode, output, errors) == (0, "stopped\n", "")


def test_serve_tells_why_a_logon_failed(serving: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert serving.stdout is not None
    urls = [serving.stdout.readline().removeprefix("listening on ").strip() for _ in range(2)]
    for url in urls:
        words = ["auth", url, "--user", "alice", "--password", "not hers", "--mechanism", "DIGEST-MD5"]
        assert main(words) == 1
        capsys.readouterr()
        protocol = url.partition(":")[0]
        assert serving.stdout.readline().startswith(f"{protocol} DIGEST-MD5 refused: SEC_E_LOGON_DENIED"), url


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--account", "a:b"), "--ldap PORT"),
        (("--ldap", "0"), "--account"),
        (("--ldap", "0", "--account", "a:b", "--mechanism", "NO-SUCH"), "NO-SUCH"),
        (("--ldap", "0", "--account", "a:b", "--ldaps", "0"), "--cert"),
        (("--account", "a:b", "--cert", "x"), "--ldap PORT"),
        (("--ldap", "0", "--account", "a:b", "--cert", "/no/such/file"), "/no/such/file"),
        (("--ldap", "0", "--account", "a:b", "--address", "192.0.2.1"), "cannot listen"),
    ],
)
def test_serve_that_cannot_says_what_is_missing(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *words]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
