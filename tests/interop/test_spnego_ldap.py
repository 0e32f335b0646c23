"""GSS-SPNEGO over LDAP: OpenLDAP's tools against our server, and our ldap3 Connection against slapd, at every layer.

Neither side sends RFC 4752's layer message: the layer is what the context's flags say.
"""

from collections.abc import Iterator

import pytest

from interop.kdc import Kdc
from interop.ldap_tools import LdapTool
from interop.people import ALICE
from interop.require import require_peer
from interop.slapd import Slapd
from saslsspi import MemoryAuthority, NegotiatePolicy, Password, Policy, Security
from saslsspi.adapters.ldap import Connection
from saslsspi.testbed import loopback
from saslsspi.testbed.ldap.server import Bound, LdapServer

pytestmark = pytest.mark.interop

ENTRIES = 500
# MIT's initiator asserts confidentiality and integrity whatever a Cyrus client asks for.
MIT_ALWAYS_SEALS = 256


@pytest.fixture(scope="module")
def spnego_slapd(kdc: Kdc) -> Iterator[Slapd]:
    require_peer("cyrus-gssapi")
    with Slapd(environment=kdc.environment, entries=ENTRIES) as server:
        yield server


@pytest.fixture
def bounds() -> list[Bound]:
    return []


@pytest.fixture
def own_server(kdc: Kdc, bounds: list[Bound]) -> Iterator[LdapServer]:
    authority = MemoryAuthority({"alice": "wonderland"})
    with kdc.inside():
        server = LdapServer(authority=authority, entries=ENTRIES, on_security=bounds.append)
        with loopback.running(server):
            yield server


def tool(kdc: Kdc) -> LdapTool:
    require_peer("cyrus-gssapi")
    environment = kdc.environment | {"KRB5CCNAME": kdc.tickets(ALICE)}
    return LdapTool(mechanism="GSS-SPNEGO", person=ALICE, environment=environment)


def test_ldapwhoami_gets_a_layer_of_our_server(kdc: Kdc, own_server: LdapServer, bounds: list[Bound]) -> None:
    answer = tool(kdc).whoami(own_server.url)
    assert (answer.output, answer.ssf) == ("u:alice\n", MIT_ALWAYS_SEALS), answer.diagnostics
    security = bounds[0].security
    assert isinstance(security, Security)
    assert (security.qop, security.ssf, security.authcid) == ("auth-conf", MIT_ALWAYS_SEALS, "alice")


def test_ldapsearch_reads_every_entry_of_our_server(kdc: Kdc, own_server: LdapServer) -> None:
    found = tool(kdc).search(own_server.url, "ou=many,dc=example,dc=test", scope="one", attributes=["uid"])
    assert found.ok, found.diagnostics
    assert len(set(found.dns)) == ENTRIES


@pytest.mark.parametrize(("ssf", "qop"), [(0, "auth"), (1, "auth-int"), (256, "auth-conf")])
def test_our_connection_reads_slapd_under_each_layer(kdc: Kdc, spnego_slapd: Slapd, ssf: int, qop: str) -> None:
    with kdc.as_user(ALICE):
        connection = Connection(
            spnego_slapd.url, host="localhost", mechanism="GSS-SPNEGO", policy=Policy(min_ssf=ssf, max_ssf=ssf)
        )
        with connection:
            assert connection.extend.standard.who_am_i() == f"dn:{spnego_slapd.user('alice').dn}"
            assert (connection.security.qop, connection.security.ssf) == (qop, ssf)
            connection.search(spnego_slapd.many_base, "(objectClass=inetOrgPerson)", attributes=["description"])
            assert len(connection.entries) == ENTRIES


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "NTLM"])
@pytest.mark.parametrize(("ssf", "qop"), [(0, "auth"), (1, "auth-int"), (128, "auth-conf")])
def test_our_connection_and_our_server_with_ntlm(
    own_server: LdapServer, bounds: list[Bound], mechanism: str, ssf: int, qop: str
) -> None:
    policy = Policy(min_ssf=ssf, max_ssf=ssf, negotiate=NegotiatePolicy(packages="ntlm"))
    connection = Connection(
        own_server.url,
        host="localhost",
        mechanism=mechanism,
        credentials=Password("alice", "wonderland", realm="DOM"),
        policy=policy,
    )
    with connection:
        assert connection.extend.standard.who_am_i() == "u:alice"
        assert (connection.security.qop, connection.security.ssf) == (qop, ssf)
        connection.search("ou=many,dc=example,dc=test", "(objectClass=*)", attributes=["uid"])
        assert len(connection.entries) >= ENTRIES
    security = bounds[0].security
    assert isinstance(security, Security)
    assert (security.mechanism, security.qop) == (mechanism, qop)
