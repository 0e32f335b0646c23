import json

import pytest

from saslsspi import Password
from saslsspi.__main__ import main
from saslsspi.cli import demo_ldap

# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

ONLY_DIGEST = ("demo", "--mechanism", "DIGEST-MD5")


def test_the_demo_binds_with_digest_at_every_layer_and_looks_at_the_wire(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ONLY_DIGEST, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["succeeded"] is True
    assert [(row["qop"], row["cipher"], row["ssf"], row["clear"]) for row in document["rows"]] == [
        ("auth", "", 0, True),
        ("auth-int", "", 1, True),
        ("auth-conf", "rc4", 128, False),
        ("auth-conf", "3des", 112, False),
    ]
    for row in document["rows"]:
        assert (row["mechanism"], row["package"], row["problem"]) == ("DIGEST-MD5", "WDigest", "")
        assert (row["authcid"], row["identity"], row["round_trips"], row["found"]) == ("alice", "u:alice", 2, 300)


def test_the_demo_prints_a_table_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ONLY_DIGEST) == 0
    printed = capsys.readouterr().out.splitlines()
    row = next(line for line in printed if "3des" in line)
    assert row.split()[:6] == ["DIGEST-MD5", "WDigest", "auth-conf", "3des", "112", "alice"]
    assert row.split()[-2:] == ["sealed", "ok"]
    assert "All 4 succeeded" in printed[-2]


def test_a_mechanism_that_needs_tls_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--mechanism", "PLAIN", "--mechanism", "EXTERNAL", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["tls"], row["clear"], row["identity"]) for row in rows] == [(True, False, "u:alice")] * 2


def test_one_failure_fails_the_demo_and_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(demo_ldap.Connection):
        def __init__(self, server: object, **options: object) -> None:
            super().__init__(server, **(options | {"credentials": Password("alice", "forgotten")}))

    monkeypatch.setattr(demo_ldap, "Connection", Forgetful)
    assert main(ONLY_DIGEST) == 1
    printed = capsys.readouterr().out
    assert printed.count("failed") >= 4
    assert "SEC_E_LOGON_DENIED" in printed
    assert "forgotten" not in printed


def test_a_layer_that_does_not_hide_the_text_fails_the_demo() -> None:
    found = {f"entry{number:05}" for number in range(300)}
    assert demo_ldap._problem(found, encrypted=True, clear=False) == ""
    assert "readable" in demo_ldap._problem(found, encrypted=True, clear=True)
    assert "found 299" in demo_ldap._problem(found - {"entry00007"}, encrypted=False, clear=True)
