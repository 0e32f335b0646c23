"""Binds with a DN: whose it is, who asks, what is remembered, and what is told where nobody has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.world import audited, gateway
from saslsspi import MemoryAuthority, Policy
from saslsspi.errors import LogonDenied, NoAuthenticatingAuthority
from saslsspi.gateway.ldap.link import LdapLink
from saslsspi.gateway.ldap.lookup import Lookups, Owner
from saslsspi.testbed.ldap.server import Bound, LdapServer
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.raw_ldap import BAD_CREDENTIALS, SUCCESS, UNAVAILABLE, RawLdap, simple_bind

DN = f"uid=entry00007,ou=many,{SUFFIX}"
PEOPLE = MemoryAuthority({"entry00007": "wonderland", "reader": "of everything"})


@pytest.fixture(scope="module")
def bounds() -> list[Bound]:
    return []


@pytest.fixture(scope="module")
def directory(bounds: list[Bound]) -> Iterator[LdapServer]:
    with ldap_server(authority=PEOPLE, policy=Policy(min_ssf=56), on_security=bounds.append) as server:
        yield server


def secret(folder: Path, password: str) -> str:
    path = folder / "reader"
    path.write_text(password + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "NTLM"])
def test_a_dn_logs_on_as_the_user_whose_it_is(
    mechanism: str, directory: LdapServer, bounds: list[Bound], tmp_path: Path
) -> None:
    lookup = {"lookup_user": "reader", "lookup_password_file": secret(tmp_path, "of everything")}
    with (
        gateway("ldap", f"localhost:{directory.port}", mechanisms=(mechanism,), **lookup) as started,
        RawLdap(started.port) as client,
        audited() as records,
    ):
        bounds.clear()
        for _ in range(3):
            assert client.ask(simple_bind(DN, "wonderland")).code == SUCCESS
            assert client.who_am_i() == "u:entry00007"
        assert client.ask(simple_bind(DN.upper(), "wrong")).code == BAD_CREDENTIALS
        missing = client.ask(simple_bind(f"uid=nobody,{SUFFIX}", "wonderland"))
        assert missing.code == BAD_CREDENTIALS
        assert client.ask(simple_bind(f"ou=many,{SUFFIX}", "wonderland")).code == BAD_CREDENTIALS
        assert client.ask(simple_bind("cn=\\", "wonderland")).code == BAD_CREDENTIALS
    # Three logons and one lookup for them; the entries that nobody can log on with were looked up each.
    assert [one.authzid for one in bounds] == ["u:reader", *["u:entry00007"] * 3, *["u:reader"] * 3]
    assert all(one.ssf >= 56 for one in bounds)
    assert [one.username for one in records if one.how == "a simple bind"][:1] == [DN]


def test_a_lookup_account_that_is_refused_is_not_the_client_s_fault(directory: LdapServer, tmp_path: Path) -> None:
    lookup = {"lookup_user": "reader", "lookup_password_file": secret(tmp_path, "something else")}
    with (
        gateway("ldap", f"localhost:{directory.port}", mechanisms=("NTLM",), **lookup) as started,
        RawLdap(started.port) as client,
    ):
        answer = client.ask(simple_bind(DN, "wonderland"))
        assert (answer.code, "lookup account" in answer.text) == (UNAVAILABLE, True)
        secret(tmp_path, "of everything")  # is read anew each time
        assert client.ask(simple_bind(DN, "wonderland")).code == SUCCESS


class Asked:
    """A directory that counts its questions."""

    def __init__(self, *answer: str) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, dn: str, account: tuple[str, str], attributes: tuple[str, ...]) -> tuple[str, ...] | None:
        self.asked.append(dn)
        await asyncio.sleep(0)
        return self.answer or None


@pytest.mark.parametrize(
    ("values", "name", "plain"),
    [
        (("EXAMPLE\\alice", "alice", ""), "EXAMPLE\\alice", "alice"),
        (("", "alice", "other"), "alice", "alice"),
        (("", "", "alice"), "alice", "alice"),
    ],
)
def test_a_name_is_the_best_that_the_entry_has(values: tuple[str, ...], name: str, plain: str, tmp_path: Path) -> None:
    lookups = Lookups(("reader", Path(secret(tmp_path, "x"))), Asked("CN=Alice", *values))
    assert asyncio.run(lookups.owner("cn=alice")) == Owner("CN=Alice", name, plain)


def test_many_who_ask_for_one_dn_at_once_ask_once(tmp_path: Path) -> None:
    asked = Asked("CN=Alice", "EXAMPLE\\alice", "", "")
    lookups = Lookups(("reader", Path(secret(tmp_path, "x"))), asked)

    async def run() -> None:
        await asyncio.gather(*(lookups.owner("cn=alice") for _ in range(20)))
        await lookups.owner("CN=ALICE")
        assert asked.asked == ["cn=alice"]
        loop = asyncio.get_running_loop()
        later = loop.time() + 61
        loop.time = lambda: later  # type: ignore[method-assign]
        await lookups.owner("cn=alice")
        assert len(asked.asked) == 2

    asyncio.run(run())


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    lookups = Lookups(("reader", Path(secret(tmp_path, "x"))), Asked())

    async def run() -> None:
        for number in range(5000):
            with pytest.raises(LogonDenied):
                await lookups.owner(f"cn={number}")
        assert len(lookups._answers) == 4096
        assert not lookups._running

    asyncio.run(run())


def test_a_password_that_cannot_be_read_any_more_is_told(tmp_path: Path) -> None:
    lookups = Lookups(("reader", tmp_path / "nowhere"), Asked())
    with pytest.raises(NoAuthenticatingAuthority, match="lookup_password_file"):
        asyncio.run(lookups.owner("cn=alice"))


def test_a_server_that_lets_in_another_than_the_dn_s_owner(
    directory: LdapServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was another entry's too, whose password it was."""
    lookup = {"lookup_user": "reader", "lookup_password_file": secret(tmp_path, "of everything")}
    said = [DN.upper(), f"uid=entry00007,ou=people,{SUFFIX}"]

    async def who(link: LdapLink) -> str:
        return f"dn:{said.pop(0)}"

    monkeypatch.setattr(LdapLink, "who", who)
    with (
        gateway("ldap", f"localhost:{directory.port}", mechanisms=("NTLM",), **lookup) as started,
        RawLdap(started.port) as client,
        audited() as records,
    ):
        assert client.ask(simple_bind(DN, "wonderland")).code == SUCCESS
        assert client.ask(simple_bind(DN, "wonderland")).code == BAD_CREDENTIALS
    assert "not unique" in next(one.reason for one in records if one.reason)
