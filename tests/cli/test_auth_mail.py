"""`auth` and `serve` over SMTP, IMAP and POP3, one against the other."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.mail_world import scripted
from saslsspi.__main__ import main
from saslsspi.testbed.certificates import Certificates, make_certificates

TREE = Path(__file__).resolve().parents[2]
PROTOCOLS = ("smtp", "imap", "pop3")
ALICE = ("--user", "alice", "--json")
DIGEST = ("--mechanism", "DIGEST-MD5")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


@pytest.fixture(scope="module")
def urls(certificates: Certificates) -> Iterator[dict[str, str]]:
    words = ["serve", "--account", "alice:wonderland", "--realm", "example.test", "--cert", str(certificates.server)]
    words += ["--ca", str(certificates.authority), "--allow-anonymous"]
    for name in PROTOCOLS:
        words += [f"--{name}", "0"]
    command = [sys.executable, "-m", "saslsspi", *words]
    with subprocess.Popen(
        command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stdout is not None
        found = {}
        for _ in range(2 * len(PROTOCOLS)):
            line = process.stdout.readline()
            match = re.fullmatch(r"listening on ((\w+)://)127\.0\.0\.1(:[1-9]\d*)\n", line)
            assert match, line
            found[match[2]] = f"{match[1]}localhost{match[3]}"
        yield found
        process.terminate()
        output, errors = process.communicate(timeout=10)
        watchdog.cancel()
    assert (process.returncode, errors) == (0, "")
    for name in PROTOCOLS:
        assert re.search(rf"^{name} 127\.0\.0\.1:\d+ DIGEST-MD5 identity=alice authcid=alice .*ssf=112$", output, re.M)
    assert output.endswith("stopped\n")
    assert "wonderland" not in output


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SASLSSPI_PASSWORD", "wonderland")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_auth_works_under_the_layer_and_tells_what_was_negotiated(
    name: str, urls: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["auth", urls[name], *ALICE, *DIGEST, "--min-ssf", "56", "--cipher", "3des"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["mechanism"], document["cipher"], document["ssf"]) == ("DIGEST-MD5", "3des", 112)
    assert (document["realm"], document["tls"], document["identity"]) == ("example.test", "", None)
    assert document["operation"] == {"smtp": "EHLO", "imap": "NOOP", "pop3": "STAT"}[name]
    assert document["answer"]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("starttls", [True, False])
def test_auth_binds_to_the_tls_channel(
    name: str, starttls: bool, urls: dict[str, str], certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    url, more = (urls[name], ["--starttls"]) if starttls else (urls[f"{name}s"], [])
    trust = ("--ca", str(certificates.authority))
    assert main(["auth", url, *ALICE, *trust, *more, "--channel-binding", "tls-server-end-point"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["channel_binding"] == "tls-server-end-point"
    assert document["mechanism"].endswith("-PLUS")
    assert document["tls"].startswith("TLSv1.")
    assert main(["auth", url, *ALICE, *trust, *more, "--mechanism", "PLAIN"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] == "PLAIN"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_external_takes_the_certificate_and_anonymous_nothing(
    name: str, urls: dict[str, str], certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = ("--starttls", "--ca", str(certificates.authority), "--cert", str(certificates.client))
    assert main(["auth", urls[name], *trust, "--mechanism", "EXTERNAL", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] == "EXTERNAL"
    assert main(["auth", urls[name], "--mechanism", "ANONYMOUS", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] == "ANONYMOUS"


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--password", "looking-glass", *DIGEST), 1, "refuses DIGEST-MD5"),
        ((*DIGEST, "--channel-binding", "require"), 1, "the policy requires them"),
        ((*DIGEST, "--min-ssf", "129"), 1, "129"),
        (("--mechanism", "PLAIN"), 1, "PLAIN"),
        (("--starttls",), 3, "certificate verify failed"),
    ],
)
def test_what_goes_wrong_has_its_exit_status_and_a_reason(
    name: str,
    options: tuple[str, ...],
    status: int,
    said: str,
    urls: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["auth", urls[name], *ALICE, *options]) == status
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["authenticated"] is False
    assert said in document["text"]
    assert printed.err == ""
    assert "looking-glass" not in printed.out


def test_the_certificate_is_that_of_the_named_host(
    urls: dict[str, str], certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["auth", urls["imaps"], *ALICE, "--ca", str(certificates.authority), "--host", "mail.example.test"]
    assert main(words) == 3
    assert "mail.example.test" in json.loads(capsys.readouterr().out)["text"]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_server_that_is_not_there_is_a_broken_connection(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", f"{name}://127.0.0.1:1", "--user", "alice"]) == 3
    assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("smtp", "the server says '/1.0 400 Bad Request'"),
        ("imap", "unexpected response: b'HTTP/1.0 400 Bad Request'"),
        ("pop3", "the server says 'HTTP/1.0 400 Bad Request'"),
        ("ldap", "an LDAP message begins with 0x30, and not with 0x48"),
        ("ldaps", "socket ssl wrapping error: [SSL: "),
        ("imaps", "[SSL: "),
    ],
)
def test_a_server_of_another_protocol_is_a_broken_one(
    scheme: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(lambda peer: peer.say(b"HTTP/1.0 400 Bad Request")) as (port, _):
        words = ["auth", f"{scheme}://localhost:{port}", "--user", "alice", "--password", "wonderland"]
        assert main(words) == 3
    printed = capsys.readouterr().err
    assert said in printed
    assert '("' not in printed
