"""Whom a question means: one rule of realms and Windows domains, over every authority that holds accounts."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

import saslsspi.accounts as accounts_door
from saslsspi import Account, Authority, Chain, MemoryAuthority, Question, Secret
from saslsspi.accounts import (
    Delegating,
    FileAuthority,
    HtdigestAuthority,
    PasswordVerifier,
    SqlAuthority,
    TokenAuthority,
    format_scram_keys,
    user_hash,
)
from saslsspi.accounts.authority import SingleAccount
from saslsspi.accounts.fitting import fitting
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import StoredAccount, derived

REALM, OTHER = "example.test", "other.test"
SCRAM, NTLM, DIGEST = (Secret.SCRAM_SHA_256, Secret.PASSWORD), (Secret.NT_HASH, Secret.PASSWORD), (Secret.HA1,)
KEYS = (Secret.SCRAM_SHA_256, Secret.NT_HASH)


def stored(name: str, domain: str = "", realms: Iterable[str] = (), kinds: tuple[Secret, ...] = KEYS) -> StoredAccount:
    realms = list(realms)
    made = (*kinds, Secret.HA1) if realms else kinds
    return derived(name, "wonderland", kinds=made, realms=realms, iterations=4096, domain=domain)


PEOPLE = [
    stored("alice", "WORK", [REALM]),
    stored("bob"),
    stored("carol", realms=[REALM, OTHER], kinds=()),
]  # fmt: skip


def in_memory(people: list[StoredAccount], folder: Path) -> Authority:
    return MemoryAuthority([account for one in people for account in one.accounts])


def in_toml(people: list[StoredAccount], folder: Path) -> Authority:
    store_at(str(folder / "a.toml")).write({one.username: one for one in people})
    return FileAuthority(folder / "a.toml")


def in_htdigest(people: list[StoredAccount], folder: Path) -> Authority:
    file = folder / "a.htdigest"
    file.write_text("".join(
        f"{one.username}:{realm}:{octets.hex()}\n" for one in people for realm, octets in one.ha1.items()
    ))  # fmt: skip
    file.chmod(0o600)
    return HtdigestAuthority(file)


def in_sql(people: list[StoredAccount], folder: Path) -> Authority:
    store_at(f"sqlite:///{folder}/a.db").write({one.username: one for one in people})
    return SqlAuthority(sqlalchemy.create_engine(f"sqlite:///{folder}/a.db", poolclass=sqlalchemy.NullPool))


def in_sql_awaited(people: list[StoredAccount], folder: Path) -> Authority:
    in_sql(people, folder)
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/a.db", poolclass=sqlalchemy.NullPool)
    return SqlAuthority(engine, secrets=(*KEYS, Secret.HA1))


def in_a_table_of_ones_own(people: list[StoredAccount], folder: Path) -> Authority:
    engine = sqlalchemy.create_engine(f"sqlite:///{folder}/own.db", poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE t (username, realm, domain, ha1, nt_hash, scram_sha_256)"))
        for account in (account for one in people for account in one.accounts):
            keys = account.scram.get("SHA-256")
            row = {
                "u": account.username, "r": account.realm, "d": account.domain, "h": account.ha1, "n": account.nt_hash,
                "s": format_scram_keys(keys) if keys else None,
            }  # fmt: skip
            connection.execute(sqlalchemy.text("INSERT INTO t VALUES (:u, :r, :d, :h, :n, :s)"), row)
    query = "SELECT * FROM t WHERE username = :username OR (lower(username) = :folded AND :any_case)"
    return ByHand(engine, query)


class ByHand(SqlAuthority):
    """A query that takes names as the question compares them, which the table of ours does by itself."""

    def __init__(self, engine: sqlalchemy.Engine, query: str) -> None:
        self._both = query.replace(":any_case", "0"), query.replace(":any_case", "1")
        super().__init__(engine, query=self._both[0], secrets=(*KEYS, Secret.HA1))

    def lookup(self, question: Question) -> Any:
        self._query = self._both[question.any_case]
        return super().lookup(question)


def in_a_chain(people: list[StoredAccount], folder: Path) -> Authority:
    nobody = MemoryAuthority({"mallory": "x"})
    return Chain(nobody, MemoryAuthority([account for one in people for account in one.accounts]))


def around(people: list[StoredAccount], folder: Path) -> Authority:
    return Delegating(in_memory(people, folder))


Make = Callable[[list[StoredAccount], Path], Authority]
ALL: list[Make] = [
    in_memory, in_toml, in_htdigest, in_sql, in_sql_awaited, in_a_table_of_ones_own, in_a_chain, around,
]  # fmt: skip
SEVERAL_OF_A_NAME: list[Make] = [in_memory, in_a_table_of_ones_own, in_a_chain, around]
# Those that answer about no account of their own.
OTHERS = {PasswordVerifier, TokenAuthority, SingleAccount}


def asked(authority: Authority, *question: Any, **more: Any) -> Account | None:
    answer = authority.lookup(Question(*question, **more))

    async def awaited() -> Account | None:
        return await answer  # type: ignore[misc]  # it is to be awaited

    return asyncio.run(awaited()) if inspect.isawaitable(answer) else answer


def test_every_authority_of_ours_is_tried(tmp_path: Path) -> None:
    def below(kind: type) -> Iterable[type]:
        return itertools.chain([kind], *(below(each) for each in kind.__subclasses__()))

    tried = {type(make(PEOPLE, folder)) for make in ALL if not (folder := tmp_path / make.__name__).mkdir()}
    public = {getattr(accounts_door, name) for name in accounts_door.__all__}
    found = {kind for kind in below(Authority) if kind.__module__.startswith("saslsspi.accounts") and kind in public}
    found = {kind for kind in found if not issubclass(kind, (*OTHERS, Delegating)) or kind is Delegating}
    assert found - {Authority} <= tried


# Who is asked for, the realm or domain that is named, and who is meant.
CASES = [
    # A domain is no realm: where names are not compared as Windows does it, it excludes nobody.
    (SCRAM, False, "alice", REALM, "alice"),
    (SCRAM, False, "alice", "", "alice"),
    (SCRAM, False, "alice", "WORK", "alice"),
    (SCRAM, False, "ALICE", REALM, None),
    (SCRAM, False, "bob", REALM, "bob"),
    (SCRAM, False, "carol", REALM, None),  # she has no such keys
    # Where they are, it is the one that the client names, if both name one.
    (NTLM, True, "alice", "WORK", "alice"),
    (NTLM, True, "ALICE", "work", "alice"),
    (NTLM, True, "alice", "", "alice"),
    (NTLM, True, "alice", "HOME", None),
    (NTLM, True, "Bob", "HOME", "bob"),
    (NTLM, True, "nobody", "WORK", None),
    # A realm is served or not.
    (DIGEST, False, "alice", REALM, "alice"),
    (DIGEST, False, "carol", REALM, "carol"),
    (DIGEST, False, "carol", OTHER, "carol"),
    (DIGEST, False, "alice", OTHER, None),
    (DIGEST, False, "carol", "", None),
    (DIGEST, False, "bob", REALM, None),
]


@pytest.mark.parametrize("make", ALL)
def test_one_rule(make: Make, tmp_path: Path) -> None:
    authority = make(PEOPLE, tmp_path)
    for secrets, any_case, username, realm, meant in CASES:
        if make is in_htdigest and secrets is not DIGEST:
            continue
        found = asked(authority, username, realm, secrets, any_case)
        assert (found.username if found else None) == meant, (username, realm, secrets)
        if found is not None and secrets is DIGEST:
            assert found.realm == realm


@pytest.mark.parametrize("make", [make for make in ALL if make is not in_a_table_of_ones_own])
def test_a_hidden_name_is_one_of_the_realm(make: Make, tmp_path: Path) -> None:
    authority = make(PEOPLE, tmp_path)
    for realm, meant in ((REALM, "carol"), (OTHER, "carol"), ("third.test", None)):
        found = asked(authority, user_hash("carol", realm, "md5"), realm, DIGEST, hashed_with="md5")
        assert (found.username if found else None) == meant


@pytest.mark.parametrize("make", SEVERAL_OF_A_NAME)
def test_two_users_of_one_name_are_told_apart_by_the_domain_or_not_at_all(make: Make, tmp_path: Path) -> None:
    authority = make([stored("alice", "WORK"), stored("alice", "LAB")], tmp_path)
    for secrets, any_case, realm, domain in (
        (SCRAM, False, "LAB", "LAB"), (SCRAM, False, "WORK", "WORK"), (SCRAM, False, REALM, None),
        (SCRAM, False, "", None), (NTLM, True, "lab", "LAB"), (NTLM, True, "", None), (NTLM, True, "HOME", None),
    ):  # fmt: skip
        found = asked(authority, "alice", realm, secrets, any_case)
        assert (found.domain if found else None) == domain, realm
    third = tmp_path / "third"
    third.mkdir()
    authority = make([stored("alice", "WORK"), stored("alice", "LAB"), stored("alice")], third)
    found = asked(authority, "alice", REALM, SCRAM)
    assert found is not None
    assert found.domain == "", "who has no domain is nobody's of another one"


def test_who_is_written_as_the_client_wrote_it_goes_first() -> None:
    people = [Account(username=name, password=name) for name in ("ALICE", "alice", "Alice")]
    for name in ("ALICE", "alice", "Alice"):
        found = fitting(people, Question(name, "", NTLM, any_case=True))
        assert found is not None
        assert found.username == name


def test_who_has_the_realm_goes_before_who_serves_all() -> None:
    people = [Account(username="alice", password="all"), Account(username="alice", realm=REALM, password="one")]
    for order in (people, people[::-1]):
        for realm, password in ((REALM, "one"), (OTHER, "all"), ("", "all")):
            found = fitting(order, Question("alice", realm, SCRAM))
            assert found is not None
            assert found.password == password


def test_one_identity_of_a_handle_follows_the_same_rule() -> None:
    one = SingleAccount(Account(username="alice", domain="WORK", password="x"))
    for realm, any_case, meant in (("HOME", True, False), ("WORK", True, True), ("", True, True), (REALM, False, True)):
        assert (one.lookup(Question("alice", realm, SCRAM, any_case)) is not None) is meant
