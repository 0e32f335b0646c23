"""GSSAPI over LDAP: OpenLDAP's tools against our server, and our ldap3 Connection against slapd, at every layer."""

from collections.abc import Iterator

import pytest

from interop.kdc import REALM, Kdc
from interop.ldap_tools import LdapTool
from interop.people import ALICE, BOB
from interop.require import require_peer
from interop.slapd import Slapd
from saslsspi import Account, MemoryAuthority, Password, Policy, Security
from saslsspi.adapters.ldap import Connection
from saslsspi.testbed import loopback
from saslsspi.testbed.ldap.server import Bound, LdapServer

pytestmark = pytest.mark.interop

ENTRIES = 3_000
LAYERS = pytest.mark.parametrize(
    ("ssf", "qop"), [(0, "auth"), (1, "auth-int"), (256, "auth-conf")], ids=["none", "integrity", "confidentiality"]
)
INVALID_CREDENTIALS = 49


@pytest.fixture(scope="module")
def kerberos_slapd(kdc: Kdc) -> Iterator[Slapd]:
    require_peer("cyrus-gssapi")
    with Slapd(environment=kdc.environment, entries=ENTRIES) as server:
        yield server


@pytest.fixture
def bounds() -> list[Bound]:
    return []


@pytest.fixture
def own_server(kdc: Kdc, bounds: list[Bound]) -> Iterator[LdapServer]:
    authority = MemoryAuthority([Account(username="alice", may_act_as=frozenset({"bob"})), Account(username="bob")])
    with kdc.inside():
        server = LdapServer(authority=authority, entries=ENTRIES, on_security=bounds.append)
        with loopback.running(server):
            yield server


def tool(kdc: Kdc, **options: object) -> LdapTool:
    require_peer("cyrus-gssapi")
    environment = kdc.environment | {"KRB5CCNAME": kdc.tickets(ALICE)}
    return LdapTool(mechanism="GSSAPI", person=ALICE, environment=environment, **options)  # type: ignore[arg-type]


@LAYERS
@pytest.mark.requirement("RFC4752-3.3-01", "RFC4752-3.2-08")
def test_ldapwhoami_gets_each_layer_of_our_server(
    kdc: Kdc, own_server: LdapServer, bounds: list[Bound], ssf: int, qop: str
) -> None:
    answer = tool(kdc, min_ssf=ssf, max_ssf=ssf).whoami(own_server.url)
    assert (answer.output, answer.ssf) == ("u:alice\n", ssf), answer.diagnostics
    security = bounds[0].security
    assert isinstance(security, Security)
    assert (security.qop, security.ssf, security.authcid, security.realm) == (qop, ssf, "alice", REALM)


@LAYERS
def test_ldapsearch_reads_every_entry_of_our_server(kdc: Kdc, own_server: LdapServer, ssf: int, qop: str) -> None:
    found = tool(kdc, max_ssf=ssf, max_buffer=8192).search(
        own_server.url, "ou=many,dc=example,dc=test", scope="one", attributes=["uid"]
    )
    assert found.ok, found.diagnostics
    assert len(set(found.dns)) == ENTRIES


@pytest.mark.requirement("RFC4752-3.2-11")
def test_ldapwhoami_acts_as_whom_our_authority_allows(kdc: Kdc, own_server: LdapServer) -> None:
    assert tool(kdc, authzid="u:bob").whoami(own_server.url).output == "u:bob\n"
    refused = tool(kdc, authzid="u:carol").whoami(own_server.url)
    assert (refused.ok, refused.output) == (False, "")


def test_ldapwhoami_of_a_user_that_our_authority_does_not_know_is_refused(kdc: Kdc) -> None:
    with kdc.inside():
        server = LdapServer(authority=MemoryAuthority({"bob": "builder"}))
        with loopback.running(server):
            answer = tool(kdc).whoami(server.url)
    assert (answer.result_code, answer.output) == (INVALID_CREDENTIALS, "")


@LAYERS
@pytest.mark.requirement("RFC4752-3.1-12", "RFC4752-3.3-01")
def test_our_connection_reads_slapd_under_each_layer(kdc: Kdc, kerberos_slapd: Slapd, ssf: int, qop: str) -> None:
    with kdc.as_user(ALICE):
        connection = Connection(
            kerberos_slapd.url, host="localhost", mechanism="GSSAPI", policy=Policy(min_ssf=ssf, max_ssf=ssf)
        )
        with connection:
            assert connection.extend.standard.who_am_i() == f"dn:{kerberos_slapd.user('alice').dn}"
            assert (connection.security.qop, connection.security.ssf) == (qop, ssf)
            connection.search(kerberos_slapd.many_base, "(objectClass=inetOrgPerson)", attributes=["description"])
            assert len(connection.entries) == ENTRIES


def test_our_connection_with_a_password_asks_the_kdc(kdc: Kdc, kerberos_slapd: Slapd) -> None:
    with kdc.inside():
        connection = Connection(
            kerberos_slapd.url, host="localhost", mechanism="GSSAPI", credentials=Password(BOB.name, BOB.password)
        )
        with connection:
            assert connection.extend.standard.who_am_i() == f"dn:{kerberos_slapd.user('bob').dn}"


def test_our_connection_acts_as_bob_where_slapd_allows_it(kdc: Kdc, kerberos_slapd: Slapd) -> None:
    with kdc.as_user(ALICE):
        connection = Connection(kerberos_slapd.url, host="localhost", mechanism="GSSAPI", authzid="u:bob")
        with connection:
            assert connection.extend.standard.who_am_i() == f"dn:{kerberos_slapd.user('bob').dn}"


@pytest.mark.parametrize("size", [4096, 65536, 0xFFFFFF])
@pytest.mark.requirement("RFC4752-3.3-04")
def test_slapd_and_we_keep_to_the_sizes_that_were_named(kdc: Kdc, size: int) -> None:
    require_peer("cyrus-gssapi")
    properties = f"minssf=56,maxbufsize={size}"
    with (
        Slapd(environment=kdc.environment, sasl_secprops=properties, entries=200) as server,
        kdc.as_user(ALICE),
        Connection(server.url, host="localhost", mechanism="GSSAPI", policy=Policy(max_buffer=size)) as connection,
    ):
        assert connection.security.max_send == size
        wide = "".join(f"(uid=nobody{number:05})" for number in range(1000))  # more than one buffer of 4,096 octets
        assert connection.search(server.many_base, f"(|(objectClass=inetOrgPerson){wide})", attributes=["*"])
        assert len(connection.entries) == 200
