"""Who can only verify a password: a function, blocking or to be awaited, alone and among others."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from accounts.test_who_exists import POLICY, attempt
from pair import authenticate
from saslsspi import Account, Chain, Client, MemoryAuthority, Password, Secret, Server, derive_scram_keys
from saslsspi.accounts import Delegating, PasswordVerifier, Question
from saslsspi.accounts.authority import secrets_of
from saslsspi.adapters.stream import beside_loop
from saslsspi.engine.policy import SSF_UNLIMITED
from saslsspi.errors import InvalidParameter, LogonDenied, NoAuthenticatingAuthority
from saslsspi.sasl.acceptance import offer
from saslsspi.sasl.registry import MECHANISMS

COMMON: dict[str, Any] = {"service": "imap", "host": "h.example", "policy": POLICY, "external_ssf": 256}
KEYS = {"SHA-256": derive_scram_keys("builder", iterations=4096)}


def right(username: str, password: str) -> bool:
    return (username, password) == ("alice", "wonderland")


async def later(username: str, password: str) -> bool:
    await asyncio.sleep(0)
    return right(username, password)


def in_a_moment(username: str, password: str) -> Any:
    return later(username, password)  # no `async def` itself, but what it returns is to be awaited


def offered(authority: Any) -> tuple[str, ...]:
    return offer(
        POLICY, external_ssf=SSF_UNLIMITED, external_identity="somebody", secrets=secrets_of(authority)
    ).names  # fmt: skip


def logged_on(authority: Any, username: str, password: str, mechanism: str = "PLAIN", **options: Any) -> Server:
    server = Server(mechanism, authority=authority, **COMMON)
    authenticate(Client(mechanism, credentials=Password(username, password), **COMMON, **options), server)
    return server


@pytest.fixture
def every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has Kerberos and a key of its own."""
    monkeypatch.setattr("saslsspi.sasl.acceptance.package_problem", lambda name, inbound=False: None)


@pytest.mark.usefixtures("every_package")
@pytest.mark.parametrize("around", [lambda one: one, Delegating, Chain], ids=["alone", "delegating", "chain"])
def test_plain_and_login_are_offered_and_what_needs_no_account(around: Callable[[Any], Any]) -> None:
    # With PasswordVerifier alone not even Kerberos and a certificate let anybody in: whether there is an account is
    # not known without a password.
    without = {plugin.value.name for plugin in MECHANISMS.plugins() if plugin.value and not plugin.value.secrets}
    assert {"GSSAPI", "EXTERNAL"} <= set(offered(MemoryAuthority({"bob": "x"})))
    assert not {"GSSAPI", "EXTERNAL"} & without
    assert set(offered(around(PasswordVerifier(right)))) - without == {"PLAIN", "LOGIN"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_password_is_right_or_it_is_not(mechanism: str) -> None:
    assert logged_on(PasswordVerifier(right), "alice", "wonderland", mechanism).security.authcid == "alice"
    for username, password in (("alice", "looking-glass"), ("bob", "wonderland")):
        with pytest.raises(LogonDenied):
            logged_on(PasswordVerifier(right), username, password, mechanism)


@pytest.mark.parametrize("verify", [later, in_a_moment])
@pytest.mark.parametrize("around", [lambda one: one, lambda one: Chain(MemoryAuthority({"bob": "x"}), one)])
def test_one_that_is_to_be_awaited(verify: Any, around: Callable[[Any], Any]) -> None:
    async def trial(password: str) -> str:
        server = Server("PLAIN", authority=around(PasswordVerifier(verify)), **COMMON)
        await beside_loop(server.step, f"\0alice\0{password}".encode())
        return server.security.authcid

    assert asyncio.run(trial("wonderland")) == "alice"
    with pytest.raises(LogonDenied):
        asyncio.run(trial("looking-glass"))


def test_in_a_chain_each_has_its_own_users_and_all_are_asked() -> None:
    asked: list[str] = []

    def verify(username: str, password: str) -> bool:
        asked.append(username)
        return right(username, password)

    chain = Chain(MemoryAuthority([Account(username="bob", scram=KEYS)]), PasswordVerifier(verify))
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(offered(chain))
    assert not {"DIGEST-MD5", "NTLM", "CRAM-MD5", "SCRAM-SHA-1"} & set(offered(chain))
    assert logged_on(chain, "alice", "wonderland").security.authcid == "alice"
    assert logged_on(chain, "bob", "builder").security.authcid == "bob"
    assert logged_on(chain, "bob", "builder", "SCRAM-SHA-256").security.authcid == "bob"
    for username in ("alice", "bob", "nobody"):
        with pytest.raises(LogonDenied):
            logged_on(chain, username, "wrong")
    assert asked == ["alice", "bob", "alice", "bob", "nobody"]
    with pytest.raises(LogonDenied):
        logged_on(chain, "alice", "wonderland", "SCRAM-SHA-256")
    assert len(asked) == 5, "SCRAM shows no password"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_who_exists_is_not_told_by_work(mechanism: str) -> None:
    chain = Chain(MemoryAuthority([Account(username="bella", scram=KEYS)]), PasswordVerifier(right))
    tried = [attempt(MECHANISMS.find(mechanism), chain, name, "wrong") for name in ("alice", "bella", "ghost")]  # type: ignore[arg-type]
    assert tried[0] == tried[1] == tried[2]


def test_the_name_that_was_verified_is_reported_and_acts_as_itself() -> None:
    def fold(username: str, password: str) -> Account | None:
        return Account(username="alice", may_act_as=frozenset({"bob"})) if password == "wonderland" else None

    verifier = PasswordVerifier(fold)
    for authzid, acts in (("", ""), ("ALICE", ""), ("alice", "alice"), ("bob", "bob")):
        security = logged_on(verifier, "ALICE", "wonderland", authzid=authzid).security
        assert (security.authcid, security.authzid) == ("alice", acts)


@pytest.mark.parametrize("answer", [1, "", b"alice", object(), Account(username="")])
def test_an_answer_that_is_none_lets_nobody_in(answer: Any) -> None:
    with pytest.raises(NoAuthenticatingAuthority, match="a verifier answered"):
        logged_on(PasswordVerifier(lambda username, password: answer), "alice", "wonderland")


def test_an_account_that_was_not_shown_this_password_lets_nobody_in() -> None:
    class Wrong(PasswordVerifier):
        def lookup(self, question: Question) -> Account | None:
            return Account(username="alice", other={Secret.VERIFIED: "another one"})

    with pytest.raises(LogonDenied):
        logged_on(Wrong(right), "alice", "wonderland")


def test_a_failure_is_none_of_the_password() -> None:
    def fails(username: str, password: str) -> bool:
        raise ZeroDivisionError(password)

    async def fails_later(username: str, password: str) -> bool:
        raise ZeroDivisionError(password)

    with pytest.raises(NoAuthenticatingAuthority, match="ZeroDivisionError") as raised:
        logged_on(PasswordVerifier(fails), "alice", "wonderland")
    assert "wonderland" not in str(raised.value)
    server = Server("PLAIN", authority=PasswordVerifier(fails_later), **COMMON)
    with pytest.raises(NoAuthenticatingAuthority, match="ZeroDivisionError"):
        asyncio.run(beside_loop(server.step, b"\0alice\0wonderland"))


def test_one_that_hangs_is_given_up_and_so_is_who_waits_behind_it() -> None:
    over = threading.Event()
    called: list[str] = []

    def hangs(username: str, password: str) -> bool:
        called.append(username)
        over.wait()
        return True

    verifier = PasswordVerifier(hangs, timeout=0.05, at_once=1)
    try:
        for _ in range(2):
            with pytest.raises(NoAuthenticatingAuthority, match=r"has not answered within 0\.05 s"):
                logged_on(verifier, "alice", "wonderland")
        assert called == ["alice"], "the second one found no room"
    finally:
        over.set()
    patient = PasswordVerifier(hangs, at_once=1)
    for _ in range(3):  # room is given back
        assert logged_on(patient, "alice", "wonderland").done


def test_one_that_is_awaited_for_too_long_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def hangs(username: str, password: str) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return True

    server = Server("PLAIN", authority=PasswordVerifier(hangs, timeout=0.05), **COMMON)
    with pytest.raises(NoAuthenticatingAuthority, match="has not answered"):
        asyncio.run(beside_loop(server.step, b"\0alice\0wonderland"))
    assert cancelled == [True]


async def raising(username: str, password: str) -> bool:
    raise NoAuthenticatingAuthority("away")


class Away:
    def lookup(self, question: Question) -> Account | None:
        raise NoAuthenticatingAuthority("away")


@pytest.mark.parametrize("members", [
    lambda: [PasswordVerifier(raising), PasswordVerifier(later)],
    lambda: [PasswordVerifier(later), Away()],
    lambda: [PasswordVerifier(raising), Chain(PasswordVerifier(later))],
    lambda: [Chain(PasswordVerifier(later), PasswordVerifier(later)), Away()],
])  # fmt: skip
def test_nothing_of_a_chain_is_left_unawaited_where_one_fails(members: Callable[[], list[Any]]) -> None:
    server = Server("PLAIN", authority=Chain(*members()), **COMMON)
    with pytest.raises(NoAuthenticatingAuthority):
        asyncio.run(beside_loop(server.step, b"\0alice\0wonderland"))
    gc.collect()  # a coroutine that nobody awaited would warn here, and warnings are errors


def test_it_runs_beside_the_loop() -> None:
    threads: list[int] = []

    def verify(username: str, password: str) -> bool:
        threads.append(threading.get_ident())
        return True

    server = Server("PLAIN", authority=PasswordVerifier(verify), **COMMON)
    asyncio.run(beside_loop(server.step, b"\0alice\0wonderland"))
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1.0}, {"at_once": 0}])
def test_limits_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        PasswordVerifier(right, **wrong)


def test_a_question_does_not_show_the_password() -> None:
    assert "wonderland" not in repr(Question("alice", "r", (Secret.VERIFIED,), password="wonderland"))
