"""A directory that verifies passwords, ours and OpenLDAP's: inside TLS, bounded in time, whatever a name holds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.people import ALICE
from interop.slapd import Slapd
from pair import authenticate
from saslsspi import Client, MemoryAuthority, Password, Policy, Server
from saslsspi.accounts import AccountLookup, Question, Secret
from saslsspi.adapters.ldap import LdapVerifier
from saslsspi.errors import InvalidParameter, LogonDenied, NoAuthenticatingAuthority
from saslsspi.testbed.ldap.server import LdapServer
from testbed.ldap_fixtures import ACCOUNTS, SUFFIX, ldap_server
from testbed.tls_fixtures import Tls, make_tls

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")  # ldap3's, before Python 3.12
NAME = f"uid={{}},ou=people,{SUFFIX}"
COMMON: dict[str, Any] = {"service": "imap", "host": "h", "external_ssf": 256}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def directory(tls: Tls) -> Iterator[LdapServer]:
    with ldap_server(certificate=tls.server, bindings=[tls.bindings]) as running:
        yield running


def verified(authority: AccountLookup, username: str, password: str) -> str:
    server = Server("PLAIN", authority=authority, **COMMON)
    authenticate(Client("PLAIN", credentials=Password(username, password), **COMMON), server)
    return server.security.authcid


@pytest.mark.parametrize("name", [NAME, ""], ids=["simple", "sasl"])
def test_our_directory(name: str, directory: LdapServer, tls: Tls) -> None:
    verifier = LdapVerifier(f"ldap://localhost:{directory.port}", name=name, ca_certs_file=str(tls.ca_file))
    assert verified(verifier, "alice", "wonderland") == "alice"
    assert verified(verifier, "jörg", "grüße") == "jörg"
    for username, password in (("alice", "looking-glass"), ("ghost", "wonderland"), ("alice", " ")):
        with pytest.raises(LogonDenied):
            verified(verifier, username, password)


def test_a_name_is_a_value_and_nothing_more(directory: LdapServer, tls: Tls) -> None:
    verifier = LdapVerifier(f"ldap://localhost:{directory.port}", name=NAME, ca_certs_file=str(tls.ca_file))
    assert verified(verifier, "cn=a,dc=b", "plain name") == "cn=a,dc=b"
    for username in (
        "alice,ou=people",
        "alice+cn=x",
        "*",
        "\\61lice",
        "alice\\",
        "#alice",
        '"alice"',
        "a;b",
        "<alice>",
    ):
        with pytest.raises(LogonDenied):
            verified(verifier, username, "wonderland")


def test_a_name_that_is_none_to_the_directory_is_one_to_us(directory: LdapServer, tls: Tls) -> None:
    verifier = LdapVerifier(f"ldap://localhost:{directory.port}", name=NAME, ca_certs_file=str(tls.ca_file))
    for username in ("ALICE", "alice ", " alice", "Alice"):
        assert verified(verifier, username, "wonderland") == "alice"


def test_an_empty_password_is_no_bind(directory: LdapServer, tls: Tls) -> None:
    verifier = LdapVerifier(f"ldap://localhost:{directory.port}", name=NAME, ca_certs_file=str(tls.ca_file))
    assert verifier.lookup(Question("alice", "", (Secret.VERIFIED,), password="")) is None


def test_a_certificate_is_verified(directory: LdapServer, tls: Tls, tmp_path: Path) -> None:
    other = make_tls(tmp_path)
    for options in ({"ca_certs_file": str(other.ca_file)}, {}):
        verifier = LdapVerifier(f"ldap://localhost:{directory.port}", name=NAME, **options)
        with pytest.raises(NoAuthenticatingAuthority, match="the directory"):
            verified(verifier, "alice", "wonderland")


def test_without_tls_no_password_is_said() -> None:
    asked: list[Question] = []

    class Spy(MemoryAuthority):
        def lookup(self, question: Question) -> Any:
            asked.append(question)
            return super().lookup(question)

    with ldap_server(authority=Spy(ACCOUNTS), policy=Policy(allow_plaintext=True)) as clear:
        for name in (NAME, ""):
            with pytest.raises(NoAuthenticatingAuthority):
                verified(LdapVerifier(f"ldap://localhost:{clear.port}", name=name), "alice", "wonderland")
    assert asked == []


def test_one_that_says_nothing_is_given_up(tls: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoAuthenticatingAuthority):
            verified(LdapVerifier(url, name=NAME, timeout=0.2), "alice", "wonderland")
    with pytest.raises(NoAuthenticatingAuthority):
        verified(LdapVerifier(url, name=NAME, timeout=5), "alice", "wonderland")


@pytest.mark.parametrize(("url", "name"), [
    ("http://h", NAME), ("h", NAME), ("ldap://", NAME), ("ldaps://h", "uid=alice"), ("ldaps://h", "{}{}"),
])  # fmt: skip
def test_what_cannot_be(url: str, name: str) -> None:
    with pytest.raises(InvalidParameter):
        LdapVerifier(url, name=name)


@pytest.mark.interop
def test_openldap() -> None:
    with Slapd() as slapd:
        for url, name in (
            (f"ldaps://localhost:{slapd.tls_port}", NAME),
            (f"ldap://localhost:{slapd.port}", NAME),
            (f"ldap://localhost:{slapd.port}", ""),
        ):
            verifier = LdapVerifier(url, name=name, ca_certs_file=str(slapd.ca_file))
            assert verified(verifier, ALICE.name.upper(), ALICE.password) == ALICE.name
            for username, password in ((ALICE.name, "wrong"), ("ghost", ALICE.password)):
                with pytest.raises(LogonDenied):
                    verified(verifier, username, password)
