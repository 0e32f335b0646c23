"""Other people's LDAP clients against our server: OpenLDAP's tools with Cyrus SASL, and ldap3 as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from interop.ldap_tools import LdapTool
from interop.people import ALICE, BOB, HANAKO, JOERG, PEOPLE, REALM, Person
from interop.require import require_peer
from saslsspi import Account, MemoryAuthority, Policy, Tolerances
from saslsspi.testbed.ldap.server import Bound, LdapServer
from saslsspi.testbed.loopback import running
from testbed.tls_fixtures import Tls, make_tls

pytestmark = pytest.mark.interop

SUFFIX = "dc=example,dc=test"
MANY = f"ou=many,{SUFFIX}"
ENTRIES = 10_000
INVALID_CREDENTIALS = 49

POLICY = Policy(ciphers=("rc4", "3des", "des", "rc4-56", "rc4-40"), allow_plaintext=True)
BOUND: list[Bound] = []


def make_server(**options: Any) -> LdapServer:
    accounts = [
        Account(
            username=person.name,
            password=person.password,
            may_act_as=frozenset({"u:bob"}) if person is ALICE else frozenset(),
        )
        for person in PEOPLE.values()
    ]
    options = {"authority": MemoryAuthority(accounts), "realm": REALM, "policy": POLICY, **options}
    return LdapServer(**options)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tls: Tls) -> Iterator[LdapServer]:
    with running(make_server(entries=ENTRIES, certificate=tls.server, on_security=BOUND.append)) as started:
        yield started


@pytest.mark.requirement("LDAP4513-5.2.1.4-01")
@pytest.mark.parametrize(
    ("ssf", "qop", "cipher"),
    [
        (0, "auth", ""),
        (1, "auth-int", ""),
        (40, "auth-conf", "rc4-40"),
        (55, "auth-conf", "des"),
        (56, "auth-conf", "rc4-56"),
        (128, "auth-conf", "rc4"),
    ],
    ids=["auth", "auth-int", "rc4-40", "des", "rc4-56", "rc4"],
)
@pytest.mark.parametrize("person", [ALICE, JOERG], ids=["ascii", "latin-1"])
def test_ldapwhoami_binds_at_each_layer_of_cyrus(
    server: LdapServer, person: Person, ssf: int, qop: str, cipher: str
) -> None:
    answer = LdapTool(person=person, min_ssf=ssf, max_ssf=ssf).whoami(server.url)
    assert (answer.output.strip(), answer.ssf) == (f"u:{person.name}", ssf), answer.diagnostics
    security = BOUND[-1].security
    assert security is not None
    assert (security.authcid, security.qop, security.cipher, security.ssf) == (person.name, qop, cipher, ssf)


def test_the_realm_that_cyrus_makes_up_is_taken_where_none_is_offered() -> None:
    with running(make_server(entries=1, realm=None, on_security=BOUND.append)) as anywhere:
        answer = LdapTool(person=ALICE).whoami(anywhere.url)
    assert answer.output.strip() == "u:alice", answer.diagnostics
    security = BOUND[-1].security
    assert security is not None
    assert security.realm == "", "the client's word, which nobody has verified"


@pytest.mark.parametrize("max_ssf", [0, 1, 128], ids=["auth", "auth-int", "auth-conf"])
def test_ldapsearch_reads_ten_thousand_entries(server: LdapServer, max_ssf: int) -> None:
    found = LdapTool(person=ALICE, max_ssf=max_ssf).search(server.url, MANY, scope="one", attributes=["uid", "cn"])
    assert found.ok, found.diagnostics
    assert len(set(found.dns)) == ENTRIES
    assert "cn: Entry 9999" in found.output


@pytest.mark.parametrize("max_buffer", [256, 1024])
def test_small_buffers_of_the_client_are_respected(server: LdapServer, max_buffer: int) -> None:
    found = LdapTool(person=ALICE, max_buffer=max_buffer).search(server.url, MANY, filter_="(uid=entry0001*)")
    assert found.ok, found.diagnostics
    assert len(found.dns) == 10
    security = BOUND[-1].security
    assert security is not None
    assert security.max_send == max_buffer


@pytest.mark.parametrize(
    ("filter_", "count"),
    [
        ("(&(uid=entry0001*)(!(uid=entry00011)))", 9),
        ("(|(employeeNumber>=9998)(employeeNumber<=1))", 4),
        ("(&(objectClass=person)(|(cn=entry 5)(!(description=*))))", 1),
        ("(mail=*0042@example*test)", 1),
        ("(colour=red)", 0),
    ],
)
def test_filters_of_libldap_are_understood(server: LdapServer, filter_: str, count: int) -> None:
    found = LdapTool(person=ALICE).search(server.url, MANY, filter_=filter_)
    assert found.ok, found.diagnostics
    assert len(found.dns) == count


def test_wrong_password_is_refused(server: LdapServer) -> None:
    for person in (Person("alice", "not hers"), Person("nobody", "wonderland")):
        answer = LdapTool(person=person).whoami(server.url)
        assert (answer.result_code, answer.ssf) == (INVALID_CREDENTIALS, None)


@pytest.mark.requirement("LDAP4513-5.2.1.8-05")
def test_alice_acts_as_bob_and_not_the_other_way(server: LdapServer) -> None:
    assert LdapTool(person=ALICE, authzid="u:bob").whoami(server.url).output.strip() == "u:bob"
    assert LdapTool(person=BOB, authzid="u:alice").whoami(server.url).result_code == INVALID_CREDENTIALS
    assert LdapTool(person=ALICE, authzid="bob").whoami(server.url).result_code == INVALID_CREDENTIALS


def test_client_below_the_required_strength_does_not_get_in() -> None:
    with running(make_server(entries=1, policy=Policy(min_ssf=56))) as strict:
        assert LdapTool(person=ALICE).whoami(strict.url).ssf == 128
        assert not LdapTool(person=ALICE, max_ssf=1).whoami(strict.url).ok


def test_client_that_demands_more_than_is_offered_does_not_come() -> None:
    with running(make_server(entries=1, policy=Policy(max_ssf=1))) as weak:
        assert LdapTool(person=ALICE, max_ssf=1).whoami(weak.url).ssf == 1
        assert not LdapTool(person=ALICE, min_ssf=56).whoami(weak.url).ok


def test_weak_ciphers_are_not_offered_unless_they_are_named() -> None:
    with running(make_server(entries=1, policy=Policy())) as careful:
        assert not LdapTool(person=ALICE, min_ssf=40, max_ssf=56).whoami(careful.url).ok


def test_utf8_that_is_not_announced_is_named_and_can_be_refused() -> None:
    with running(make_server(entries=1, policy=Policy(), on_security=BOUND.append)) as usual:
        for person in (JOERG, HANAKO):
            answer = LdapTool(person=person).whoami(usual.url)
            assert answer.output.strip() == f"u:{person.name}", answer.diagnostics
            security = BOUND[-1].security
            assert security is not None
            assert "UTF8_WITHOUT_CHARSET" in security.tolerances
    with running(make_server(entries=1, policy=Policy(tolerances=Tolerances.NONE))) as strict:
        for person in (JOERG, HANAKO):
            assert LdapTool(person=person).whoami(strict.url).result_code == INVALID_CREDENTIALS


@pytest.mark.requirement("LDAP4513-5.2.1.6-02")
@pytest.mark.parametrize(("max_ssf", "ssf"), [(0, 0), (None, 128)], ids=["auth", "auth-conf"])
def test_ldapwhoami_goes_over_start_tls_and_ldaps(server: LdapServer, tls: Tls, max_ssf: int | None, ssf: int) -> None:
    tool = LdapTool(person=ALICE, max_ssf=max_ssf, ca_file=tls.ca_file)
    ldaps = tool.whoami(f"ldaps://localhost:{server.ldaps_port}")
    assert (ldaps.output.strip(), ldaps.ssf) == ("u:alice", ssf), ldaps.diagnostics
    start_tls = LdapTool(person=ALICE, max_ssf=max_ssf, ca_file=tls.ca_file, start_tls=True).whoami(server.url)
    assert (start_tls.output.strip(), start_tls.ssf) == ("u:alice", ssf), start_tls.diagnostics
    assert not LdapTool(person=ALICE, start_tls=True).whoami(server.url).ok, "without trust there is no session"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_other_mechanisms_of_cyrus_bind_too(server: LdapServer, mechanism: str) -> None:
    answer = LdapTool(mechanism=mechanism, person=ALICE).whoami(server.url)
    assert answer.output.strip() == "u:alice", answer.diagnostics


# ldap3, without our adapter


def connection(server: LdapServer, **options: Any) -> Any:
    require_peer("ldap3")
    import ldap3

    target = ldap3.Server("localhost", server.port, get_info=ldap3.ALL, connect_timeout=10)
    return ldap3.Connection(target, receive_timeout=10, **options)


def test_ldap3_reads_the_root_dse_and_searches_after_a_simple_bind(server: LdapServer) -> None:
    ldap = connection(server, user=f"uid=alice,ou=people,{SUFFIX}", password=ALICE.password)
    assert ldap.bind()
    assert "DIGEST-MD5" in ldap.server.info.supported_sasl_mechanisms
    assert ldap.server.info.naming_contexts == [SUFFIX]
    assert ldap.extend.standard.who_am_i() == f"dn:uid=alice,ou=people,{SUFFIX}"
    assert ldap.search(MANY, "(|(uid=entry0002*)(!(employeeNumber<=9997)))", attributes=["cn", "mail"])
    assert len(ldap.entries) == 10 + 2 + 1, "ou=many has no such number, and not less"
    assert ldap.entries[1].mail == "entry00020@example.test"
    assert not ldap.search(f"uid=nobody,{MANY}", "(objectClass=*)")
    assert ldap.result["description"] == "noSuchObject"
    ldap.unbind()


def test_ldap3_is_told_why_a_simple_bind_fails(server: LdapServer) -> None:
    ldap = connection(server, user=f"uid=alice,ou=people,{SUFFIX}", password="not hers")
    assert not ldap.bind()
    assert ldap.result["result"] == INVALID_CREDENTIALS
    ldap.unbind()


def test_ldap3_binds_by_its_own_digest_md5(server: LdapServer) -> None:
    ldap = connection(
        server,
        authentication="SASL",
        sasl_mechanism="DIGEST-MD5",
        sasl_credentials=(REALM, ALICE.name, ALICE.password, None),
    )
    assert ldap.bind()
    assert ldap.extend.standard.who_am_i() == "u:alice"
    assert ldap.search(MANY, "(uid=entry00001)")
    ldap.unbind()
    security = BOUND[-1].security
    assert security is not None
    assert "QUOTED_CHARSET" in security.tolerances


@pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")  # ldap3 uses it where there is one
def test_ldap3_starts_tls(server: LdapServer, tls: Tls) -> None:
    require_peer("ldap3")
    import ldap3

    trust = ldap3.Tls(validate=2, ca_certs_file=str(tls.ca_file))
    target = ldap3.Server("localhost", server.port, tls=trust)
    ldap = ldap3.Connection(target, user=f"uid=bob,ou=people,{SUFFIX}", password=BOB.password, receive_timeout=10)
    assert ldap.start_tls()
    assert ldap.bind()
    assert BOUND[-1].ssf > 1
    ldap.unbind()
