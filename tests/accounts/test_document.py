"""docs/authority.md: its authority serves what the page says, and strangers learn nothing."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from accounts.test_who_exists import attempt
from saslsspi import derive_scram_keys, format_scram_keys
from saslsspi.accounts import Authority
from saslsspi.errors import LogonDenied
from saslsspi.sasl.acceptance import offer
from saslsspi.sasl.registry import find_mechanism

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "authority.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
MECHANISMS = ["DIGEST-MD5", "SCRAM-SHA-256", "NTLM", "PLAIN"]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    for block in BLOCKS:
        exec(compile(block, "docs/authority.md", "exec"), names)  # our own document
    return names


@pytest.fixture(scope="module")
def authority(page: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Authority:
    path = tmp_path_factory.mktemp("accounts") / "users.db"
    page["add_user"](path, "alice", "wonderland")
    page["add_user"](path, "jörg", "grüße")
    made: Authority = page["SqliteAuthority"](path)
    return made


def test_the_authority_has_twenty_lines() -> None:
    assert len(BLOCKS[0].partition("class SqliteAuthority")[2].splitlines()) <= 20


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("username", "password"), [("alice", "wonderland"), ("jörg", "grüße")])
def test_everybody_logs_on(
    page: dict[str, Any], authority: Authority, mechanism: str, username: str, password: str
) -> None:
    assert page["logs_on"](authority, mechanism, username, password) == username


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_stranger_costs_and_sees_what_a_wrong_password_does(authority: Authority, mechanism: str) -> None:
    found = find_mechanism(mechanism)
    attempt(found, authority, "alice", "wonderland")
    assert attempt(found, authority, "alice", "guess") == attempt(found, authority, "ghost", "guess")


def test_what_is_offered_follows_from_what_is_stored(authority: Authority) -> None:
    from saslsspi import Policy

    names = offer(Policy(), external_ssf=256, secrets=authority.secrets).names
    assert {"DIGEST-MD5", "SCRAM-SHA-256", "NTLM", "PLAIN"} <= set(names)
    assert not {"SCRAM-SHA-1", "SCRAM-SHA-512"} & set(names)


def test_a_query_of_ones_own(page: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "members.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE members (login, verifier, blocked)")
        keys = format_scram_keys(derive_scram_keys("wonderland"))
        database.executemany("INSERT INTO members VALUES (?, ?, ?)", [("alice", keys, False), ("bob", keys, True)])
        database.commit()
    authority = page["of_my_table"](f"sqlite:///{file}")
    assert page["logs_on"](authority, "SCRAM-SHA-256", "alice", "wonderland") == "alice"
    with pytest.raises(LogonDenied):
        page["logs_on"](authority, "SCRAM-SHA-256", "bob", "wonderland")
