"""`auth --trace`: steps and tokens on standard error, secrets nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from saslsspi import MemoryAuthority
from saslsspi.__main__ import main
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[LdapServer]:
    made = LdapServer(authority=MemoryAuthority({"alice": "wonderland"}), realm="example.test")
    with running(made):
        yield made


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SASLSSPI_PASSWORD", "wonderland")


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        ("DIGEST-MD5", ["DIGEST-MD5 initiate step", "WDigest initiate step", "nonce", "qop auth-conf"]),
        ("NTLM", ["NTLM initiate step 1", "CHALLENGE", "cipher rc4"]),
        ("SCRAM-SHA-256", ["SCRAM-SHA-256 initiate step 2"]),
    ],
)
def test_a_logon_is_told_step_by_step(
    mechanism: str, words: list[str], server: LdapServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"ldap://localhost:{server.port}"
    assert main(["auth", url, "--user", "alice", "--mechanism", mechanism, "--trace", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["authenticated"] is True
    assert captured.err.lower().count("octets") >= 2
    for word in words:
        assert word.lower() in captured.err.lower()
    assert "wonderland" not in captured.err


def test_a_failure_is_told_with_its_status(
    server: LdapServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SASLSSPI_PASSWORD", "looking-glass")
    url = f"ldap://localhost:{server.port}"
    assert main(["auth", url, "--user", "alice", "--mechanism", "SCRAM-SHA-256", "--trace"]) != 0
    assert "looking-glass" not in capsys.readouterr().err
