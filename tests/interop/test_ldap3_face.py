"""ldap3's face against OpenLDAP with Cyrus SASL: DNs that somebody looks up, DIGEST-MD5, Kerberos, StartTLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPInvalidCredentialsResult

from interop.kdc import Kdc
from interop.ldap_client import STRATEGIES, TIMEOUT, search, who_am_i
from interop.people import ALICE, BOB, PEOPLE
from interop.require import require_peer
from interop.slapd import Slapd
from saslsspi import Password
from saslsspi.compat.ldap3 import BindSettings, Connection
from saslsspi.compat.ldap3 import connection as face

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),  # ldap3's, before Python 3.12
]
STRATEGY = pytest.mark.parametrize("strategy", STRATEGIES)


class WithLookup(Connection):
    """What install("ldap3", lookup=("bob", ...)) makes."""

    settings = BindSettings(lookup=Password(BOB.name, BOB.password))


@pytest.fixture(scope="module")
def sealing() -> Iterator[Slapd]:
    """A slapd that takes nothing but sealed binds."""
    with Slapd(sasl_secprops="noanonymous", extra="security ssf=56\n", entries=50) as server:
        yield server


def connect(server: Slapd, kind: type[Connection] = Connection, **options: Any) -> Connection:
    at = ldap3.Server(server.host, server.port, get_info=ldap3.NONE, connect_timeout=TIMEOUT)
    return kind(at, receive_timeout=TIMEOUT, **options)


def succeeded(answer: Any) -> bool:
    return bool(answer[0] if isinstance(answer, tuple) else answer)


@STRATEGY
@pytest.mark.parametrize("name", PEOPLE)
def test_a_dn_is_looked_up_and_bound_sealed(sealing: Slapd, name: str, strategy: str) -> None:
    user = sealing.user(name)
    password = user.password.encode() if strategy == ldap3.SAFE_SYNC else user.password
    client = connect(sealing, WithLookup, user=user.dn, password=password, client_strategy=strategy)
    assert succeeded(client.bind())
    assert client.security is not None
    assert (client.security.mechanism, client.security.ssf) == ("DIGEST-MD5", 128)
    assert who_am_i(client) == f"dn:{user.dn}"
    assert len(search(client, sealing.many_base)) == 50
    client.unbind()


def test_the_same_dn_is_refused_without_us(sealing: Slapd) -> None:
    user = sealing.user("alice")
    client = ldap3.Connection(sealing.url, user=user.dn, password=user.password)
    assert not client.bind()
    assert client.result["description"] == "confidentialityRequired"
    client.unbind()


def test_wrong_passwords_and_unknown_names_are_invalid_credentials(sealing: Slapd) -> None:
    for dn, password in ((sealing.user("alice").dn, "not hers"), (f"uid=eve,ou=people,{sealing.suffix}", "x")):
        client = connect(sealing, WithLookup, user=dn, password=password)
        assert not client.bind()
        assert (client.result["result"], client.result["description"]) == (49, "invalidCredentials")
        client.unbind()
        client = connect(sealing, WithLookup, user=dn, password=password, raise_exceptions=True)
        with pytest.raises(LDAPInvalidCredentialsResult):
            client.bind()
        client.unbind()


def test_a_lookup_account_that_is_refused_is_named(sealing: Slapd) -> None:
    class Wrong(Connection):
        settings = BindSettings(lookup=Password(BOB.name, "not his"))

    client = connect(sealing, Wrong, user=sealing.user("alice").dn, password=ALICE.password)
    assert not client.bind()
    assert client.result["result"] == 53
    assert 'the lookup account of install("ldap3", lookup=...) was refused' in client.result["message"]
    client.unbind()


def test_who_is_let_in_is_whose_dn_it_was(sealing: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that belongs to two entries: the password of one must not open the other."""
    lookup = face.owner_logon
    alice, bob = sealing.user("alice"), sealing.user("bob")
    monkeypatch.setattr(
        face, "owner_logon", lambda client, dn, password, account: lookup(client, alice.dn, password, account)
    )
    client = connect(sealing, WithLookup, user=bob.dn, password=ALICE.password)
    assert not client.bind()
    assert client.result["result"] == 49
    assert "the name is not unique" in client.result["message"]
    assert client.closed


@STRATEGY
def test_digest_md5_with_ldap3_s_tuple(sealing: Slapd, strategy: str) -> None:
    for layer in ((), ("sign",), ("encrypt",)):
        client = connect(
            sealing,
            authentication=ldap3.SASL,
            sasl_mechanism=ldap3.DIGEST_MD5,
            sasl_credentials=(None, ALICE.name, ALICE.password, f"dn:{sealing.user('bob').dn}", *layer),
            client_strategy=strategy,
        )
        assert succeeded(client.bind())
        assert who_am_i(client) == f"dn:{sealing.user('bob').dn}"
        client.unbind()


def test_simple_binds_after_start_tls_are_ldap3_s_own(sealing: Slapd) -> None:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(sealing.ca_file))
    at = ldap3.Server(sealing.host, sealing.port, get_info=ldap3.NONE, tls=tls)
    user = sealing.user("alice")
    client = WithLookup(at, user.dn, user.password, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND)
    assert client.security is None
    assert who_am_i(client) == f"dn:{user.dn}"
    client.unbind()


@pytest.fixture(scope="module")
def kerberos_slapd(kdc: Kdc) -> Iterator[Slapd]:
    require_peer("cyrus-gssapi", "gssapi")
    environment = kdc.environment
    with Slapd(environment=environment, sasl_secprops="noanonymous,minssf=56", extra="security ssf=56\n") as server:
        yield server


@STRATEGY
def test_kerberos_is_sealed(kdc: Kdc, kerberos_slapd: Slapd, strategy: str) -> None:
    kerberos = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS, "client_strategy": strategy}
    with kdc.as_user(ALICE):
        for given in (None, (None,), ("localhost", None), (None, f"dn:{kerberos_slapd.user('bob').dn}")):
            client = connect(kerberos_slapd, sasl_credentials=given, session_security="ENCRYPT", **kerberos)
            assert succeeded(client.bind()), client.result
            assert client.security is not None
            assert client.security.ssf >= 56
            acts_as = "bob" if given and str(given[-1]).startswith("dn:") else "alice"
            assert who_am_i(client) == f"dn:{kerberos_slapd.user(acts_as).dn}"
            client.unbind()


def test_kerberos_with_the_tickets_that_ldap3_names(kdc: Kdc, kerberos_slapd: Slapd) -> None:
    import gssapi

    kerberos = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS}
    of_alice = kdc.tickets(ALICE)
    with kdc.as_user(BOB):
        client = connect(kerberos_slapd, user="alice", cred_store={"ccache": of_alice}, **kerberos)
        assert client.bind(), client.result
        assert who_am_i(client) == f"dn:{kerberos_slapd.user('alice').dn}"
        client.unbind()
        client = connect(kerberos_slapd, user="bob", **kerberos)
        assert client.bind(), client.result
        assert who_am_i(client) == f"dn:{kerberos_slapd.user('bob').dn}"
        client.unbind()
        handed = gssapi.Credentials(usage="initiate", store={"ccache": of_alice})
        client = connect(kerberos_slapd, sasl_credentials=(None, None, handed), **kerberos)
        assert client.bind(), client.result
        assert who_am_i(client) == f"dn:{kerberos_slapd.user('alice').dn}"
        client.unbind()
        client = connect(kerberos_slapd, user="carol", **kerberos)
        assert not client.bind()
        assert client.result["result"] == 53
        client.unbind()


def test_kerberos_without_us_is_refused(kdc: Kdc, kerberos_slapd: Slapd) -> None:
    with kdc.as_user(ALICE):
        client = ldap3.Connection(kerberos_slapd.url, authentication=ldap3.SASL, sasl_mechanism=ldap3.KERBEROS)
        with pytest.raises(Exception, match="security layer"):
            client.bind()
        client.unbind()
