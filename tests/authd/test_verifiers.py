"""Passwords that somebody else verifies, for `authd`: a directory and a function, in both protocols."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from pathlib import Path

import pytest

from authd.test_service import KINDS, saslauthd
from interop.authd import Authd, Talk
from saslsspi import InvalidParameter
from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived
from saslsspi.authd.service import check
from saslsspi.services.settings import read_settings
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.tls_fixtures import make_tls

REALM = "example.test"
LISTENER = '[[listener]]\nprotocol = "dovecot"\npath = "/run/a"\n'


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody's own, which the service finds."""
    (tmp_path / "own_people.py").write_text(
        "import asyncio, time\n"
        "def check(username, password):\n    return (username, password) == ('carol', 'carousel')\n"
        "async def later(username, password):\n    await asyncio.sleep(0.01)\n    return check(username, password)\n"
        "def hangs(username, password):\n    time.sleep(3600)\n"
        "NOTHING = 1\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return "own_people"


def test_a_directory_and_a_function_beside_a_store(functions: str, tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"bob": derived("bob", "builder", kinds=KINDS, realms=[REALM], iterations=4096)})
    with ldap_server(certificate=tls.server, bindings=[tls.bindings]) as directory:
        more = (
            f'[[verifier]]\nldap = "ldap://localhost:{directory.port}"\nname = "uid={{}},ou=people,{SUFFIX}"\n'
            f'ca_certs_file = "{tls.ca_file}"\n[[verifier]]\nfunction = "{functions}:later"\n'
        )
        right = {"alice": "wonderland", "bob": "builder", "carol": "carousel"}
        with (
            Authd(tmp_path, [place], more=more, policy='weak_mechanisms = ["LOGIN"]') as service,
            Talk(service.dovecot) as talk,
        ):
            assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(talk.mechanisms), "the store's are served as before"
            for at, (user, password) in enumerate(right.items()):
                assert talk.plain(user, password, 10 * at + 1) == ["OK", str(10 * at + 1), f"user={user}"]
                assert talk.plain(user, "wrong", 10 * at + 2)[0] == "FAIL"
                assert saslauthd(service.saslauthd, user.encode(), password.encode(), b"imap", b"") == b"OK"
                assert saslauthd(service.saslauthd, user.encode(), b"wrong", b"imap", b"").startswith(b"NO")


def test_nothing_but_plain_and_login_where_there_is_no_store(functions: str, tmp_path: Path) -> None:
    more = f'[[verifier]]\nfunction = "{functions}:check"\n'
    with (
        Authd(tmp_path, [], more=more, policy='weak_mechanisms = ["LOGIN", "CRAM-MD5"]') as service,
        Talk(service.dovecot) as talk,
    ):
        assert sorted(talk.mechanisms) == ["LOGIN", "PLAIN"]
        assert talk.plain("carol", "carousel", 1)[0] == "OK"
        talk.send("AUTH\t2\tLOGIN\tsecured")
        assert talk.line()[0] == "CONT"
        talk.send(f"CONT\t2\t{b64encode(b'carol').decode()}")
        assert talk.line()[0] == "CONT"
        talk.send(f"CONT\t2\t{b64encode(b'carousel').decode()}")
        assert talk.line()[0] == "OK"


def test_one_that_hangs_holds_up_nobody(functions: str, tmp_path: Path) -> None:
    more = f'[[verifier]]\nfunction = "{functions}:hangs"\ntimeout = 0.5\n'
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"bob": derived("bob", "builder", kinds=KINDS, realms=[REALM], iterations=4096)})
    with Authd(tmp_path, [place], more=more) as service, Talk(service.dovecot) as talk:
        began = time.monotonic()
        assert talk.plain("bob", "builder", 1) == ["FAIL", "1", "temp"]
        assert time.monotonic() - began >= 0.5
        talk.send("AUTH\t2\tSCRAM-SHA-256\tsecured")
        assert talk.line()[0] == "CONT", "what shows no password asks it nothing"


def test_a_directory_that_is_away_is_no_wrong_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as away:
        port = away.getsockname()[1]
    more = f'[[verifier]]\nldap = "ldap://127.0.0.1:{port}"\nname = "uid={{}}"\n'
    with Authd(tmp_path, [], more=more) as service, Talk(service.dovecot) as talk:
        assert talk.plain("alice", "wonderland", 1) == ["FAIL", "1", "temp"]


@pytest.mark.parametrize("verifier", [
    "", "ldap = 'ldaps://h'\nfunction = 'own_people:check'", "function = 'own_people'", "function = 'own_people:x'",
    "function = 'own_people:NOTHING'", "function = 'no_such_module:x'", "function = ''",
    "ldap = 'ldaps://h'\nname = 'x'",
    "ldap = 'http://h'", "function = 'own_people:check'\ntimeout = 0", "function = 'own_people:check'\nat_once = 0",
    "pam = 'x'",  "ldap = 'ldaps://h'\nca_certs_file = '/no/such/file'",
])  # fmt: skip
def test_what_cannot_be_is_told_before_anything_starts(verifier: str, functions: str, tmp_path: Path) -> None:
    path = tmp_path / "authd.toml"
    path.write_text(f"{LISTENER}[[verifier]]\n{verifier}\n")
    with pytest.raises(InvalidParameter):
        read_settings(path, ("dovecot",)).authority(bytes(32))


@pytest.mark.parametrize("accounts", ["", "[accounts]\n", "[accounts]\nstores = []\n", "accounts = 1\n"])
def test_somebody_has_to_know_the_accounts(accounts: str, tmp_path: Path) -> None:
    path = tmp_path / "authd.toml"
    path.write_text(accounts + LISTENER)
    with pytest.raises(InvalidParameter, match="accounts"):
        read_settings(path, ("dovecot",))


def test_a_listener_that_could_let_nobody_in_is_told(tmp_path: Path) -> None:
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"bob": derived("bob", "builder", kinds=[Secret.HA1], realms=[REALM])})
    path = tmp_path / "authd.toml"
    for protocol in ("saslauthd", "dovecot"):
        path.write_text(f'[accounts]\nstores = ["{place}"]\n[[listener]]\nprotocol = "{protocol}"\npath = "/run/a"\n')
        if protocol == "dovecot":
            check(path)
        else:
            with pytest.raises(InvalidParameter, match="nothing to offer"):
                check(path)
