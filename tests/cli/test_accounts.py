"""`saslsspi accounts`: what it prints, and what it refuses in words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from saslsspi.__main__ import main


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'accounts.db'}"


def run(monkeypatch: pytest.MonkeyPatch, *words: str, password: str = "wonderland") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    return main(["accounts", *words])


def test_an_account_from_its_making_to_its_end(
    store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = ["--kind", "ha1", "--kind", "nt_hash", "--realm", "example.test", "--domain", "WORK", "--group", "staff"]
    assert run(monkeypatch, "add", store, "alice", "--password-file", "-", *kinds) == 0
    assert capsys.readouterr().out == "alice may log on with ha1, nt_hash\n"
    assert run(monkeypatch, "passwd", store, "alice", "--password-file", "-", password="other") == 0
    assert capsys.readouterr().out == "alice may log on with ha1, nt_hash\n"
    assert run(monkeypatch, "list", store, "--json") == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["accounts"] == [
        {
            "user": "alice", "domain": "WORK", "kinds": ["ha1", "nt_hash"], "realms": ["example.test"],
            "may_act_as": [], "groups": ["staff"],
        }
    ]  # fmt: skip
    assert run(monkeypatch, "remove", store, "alice") == 0
    assert run(monkeypatch, "list", store) == 0
    assert "alice" not in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "{store}", "alice", "--password-file", "-"], "passwd"),
        (["add", "{store}", "bob"], "--password-file"),
        (["add", "htdigest:{folder}/a", "bob", "--password-file", "-"], "--realm"),
        (["passwd", "{store}", "bob", "--password-file", "-"], "`add`"),
        (["remove", "{store}", "bob"], "there is no bob"),
        (["list", "{folder}/users"], "FORM:"),
        (["add", "dovecot:{folder}/a", "bob", "--password-file", "-"], "imported and exported"),
        (["export", "{store}", "sasldb:{folder}/a"], "read alone"),
        (["list", "nothing://x"], "SQLAlchemy"),
    ],
)
def test_what_is_refused_says_what_to_do(
    words: list[str], says: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(monkeypatch, "add", store, "alice", "--password-file", "-")
    capsys.readouterr()
    assert run(monkeypatch, *(word.format(store=store, folder=tmp_path) for word in words)) != 0
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("hashed", ["{BLF-CRYPT}$2y$05$secretsecret", "{SSHA}c2VjcmV0", "$6$secret"])
def test_a_hash_that_nothing_verifies_with_is_refused_and_not_shown(
    hashed: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users").write_text(f"alice:{hashed}\n")
    assert run(monkeypatch, "import", store, f"dovecot:{tmp_path / 'users'}") != 0
    said = capsys.readouterr().err
    assert "secret" not in said.lower().replace("c2vjcmv0", "secret")


@pytest.mark.parametrize("attribute", ["userPassword: {SCRAM-SHA-256}", "authPassword: SCRAM-SHA-256$"])
def test_values_of_a_directory_are_read(attribute: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    keys = "4096:QSXCR+Q6sek8bf92QSXC$" + "A" * 43 + "=:" + "B" * 42 + "A="
    (tmp_path / "users.ldif").write_text(f"dn: uid=alice,dc=x\nuid: alice\n{attribute}{keys}\n\ndn: dc=x\n")
    assert run(monkeypatch, "import", store, f"ldif:{tmp_path / 'users.ldif'}") == 0
    capsys.readouterr()
    assert run(monkeypatch, "list", store, "--json") == 0
    assert [one["kinds"] for one in json.loads(capsys.readouterr().out)["accounts"]] == [["scram-sha-256"]]
