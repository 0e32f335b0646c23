"""Our ldap3 Connection against a domain controller: Samba, which demands signing in clear and takes no layer in TLS."""

import ssl
from collections.abc import Iterator

import ldap3
import pytest

from interop.people import ALICE, JOERG, Person
from interop.require import require_peer
from interop.samba import Samba
from saslsspi import ChannelBindingPolicy, NegotiatePolicy, Password, Policy, Security
from saslsspi.adapters.ldap.connection import BindRefused, Connection
from saslsspi.errors import BadBindings, LogonDenied, SecurityQosFailed

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),  # ldap3's, before Python 3.12
]

NTLM = NegotiatePolicy(packages="ntlm")
KERBEROS = NegotiatePolicy(packages="kerberos")
SCHEMA = f"CN=Schema,CN=Configuration,{Samba.base}"


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    require_peer("gssapi")
    with Samba() as server:
        yield server


def connection(
    samba: Samba,
    mechanism: str | None,
    policy: Policy | None = None,
    *,
    person: Person = ALICE,
    scheme: str = "ldap",
    realm: str = Samba.realm,
) -> Connection:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(samba.ca_file))
    return Connection(
        ldap3.Server(f"{scheme}://localhost", get_info=ldap3.NONE, tls=tls),
        mechanism=mechanism,
        credentials=Password(person.name, person.password, realm=realm),
        policy=policy,
        host=samba.host,
        raise_exceptions=False,
    )


def bound(client: Connection, base: str = Samba.base) -> tuple[Security, int]:
    """Bind and search; return what was negotiated, and how many entries came."""
    with client:
        client.search(base, "(objectClass=*)", ldap3.SUBTREE, attributes=["*"])
        assert client.security is not None
        return client.security, len(client.entries)


@pytest.mark.parametrize("realm", [Samba.realm, Samba.domain, ""], ids=["realm", "domain", "no domain"])
def test_the_strongest_mechanism_that_works_is_found(samba: Samba, realm: str) -> None:
    security, entries = samba.within(lambda: bound(connection(samba, None, realm=realm)))
    assert security.ssf >= 128
    assert entries > 150


@pytest.mark.parametrize(("least", "most"), [(1, 1), (2, 256)], ids=["auth-int", "auth-conf"])
@pytest.mark.parametrize(
    ("mechanism", "packages"),
    [("NTLM", NTLM), ("GSS-SPNEGO", NTLM), ("GSS-SPNEGO", KERBEROS), ("GSSAPI", KERBEROS)],
    ids=["NTLM", "GSS-SPNEGO with NTLM", "GSS-SPNEGO with Kerberos", "GSSAPI"],
)
def test_every_layer_carries_the_schema(
    samba: Samba, mechanism: str, packages: NegotiatePolicy, least: int, most: int
) -> None:
    policy = Policy(min_ssf=least, max_ssf=most, negotiate=packages)
    security, entries = samba.within(lambda: bound(connection(samba, mechanism, policy), SCHEMA))
    assert (security.mechanism, security.qop) == (mechanism, "auth-int" if most == 1 else "auth-conf")
    assert entries > 1500


@pytest.mark.parametrize("packages", [NTLM, KERBEROS], ids=["NTLM", "Kerberos"])
def test_names_and_passwords_beyond_ascii(samba: Samba, packages: NegotiatePolicy) -> None:
    client = connection(samba, "GSS-SPNEGO", Policy(min_ssf=2, negotiate=packages), person=JOERG)
    assert samba.within(lambda: bound(client))[0].authcid.lower().startswith("jörg")


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "GSSAPI", "NTLM"])
def test_inside_tls_there_is_no_layer(samba: Samba, mechanism: str) -> None:
    security, entries = samba.within(lambda: bound(connection(samba, mechanism, scheme="ldaps")))
    assert (security.ssf, security.qop) == (0, "auth")
    assert entries > 150


def test_start_tls_is_followed_by_a_bind_without_a_layer(samba: Samba) -> None:
    def run() -> Security | None:
        client = connection(samba, "GSS-SPNEGO")
        client.open(read_server_info=False)
        assert client.start_tls(read_server_info=False)
        assert client.bind()
        client.unbind()
        return client.security

    security = samba.within(run)
    assert security is not None
    assert security.ssf == 0


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "GSSAPI", "NTLM"])
def test_bindings_are_missed_by_a_samba_that_demands_them(samba: Samba, mechanism: str) -> None:
    client = connection(samba, mechanism, Policy(channel_binding=ChannelBindingPolicy.NONE), scheme="ldaps")
    if not samba.demands_bindings:
        assert samba.within(lambda: bound(client))[0].ssf == 0
        return
    with pytest.raises(BindRefused, match="channel bindings") as caught:
        samba.within(lambda: bound(client))
    assert isinstance(caught.value, BadBindings)


def test_a_bind_without_a_layer_is_refused_with_what_to_do(samba: Samba) -> None:
    with pytest.raises(BindRefused, match=r"Policy\(min_ssf=1\)") as caught:
        samba.within(lambda: bound(connection(samba, "GSS-SPNEGO", Policy(max_ssf=0))))
    assert isinstance(caught.value, SecurityQosFailed)


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "NTLM"])
def test_a_wrong_password_is_refused(samba: Samba, mechanism: str) -> None:
    stranger = Person(ALICE.name, "not hers")
    with pytest.raises(BindRefused, match="wrong password") as caught:
        samba.within(lambda: bound(connection(samba, mechanism, person=stranger)))
    assert isinstance(caught.value, LogonDenied)
