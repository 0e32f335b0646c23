"""Our ldap3 connection against OpenLDAP with Cyrus SASL: strategies, layers, refusals, rebinds, TLS."""

import dataclasses
import ssl
import threading

import ldap3
import pytest
from ldap3.core.exceptions import LDAPInvalidCredentialsResult

from interop.ldap_client import (
    AUTH,
    AUTH_INT,
    RC4,
    STRATEGIES,
    THREADED,
    WEAK,
    Wanted,
    bind,
    connection,
    search,
    who_am_i,
)
from interop.people import ALICE, PEOPLE, Person
from interop.slapd import Slapd
from saslsspi import Password, Policy
from saslsspi.adapters.ldap import ConnectionPool
from saslsspi.adapters.ldap.connection import BindRefused, Connection
from saslsspi.errors import LogonDenied, NoImpersonation, PackageNotFound, QopNotSupported, SecurityQosFailed

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),  # ldap3's, before Python 3.12
]

STRATEGY = pytest.mark.parametrize("strategy", STRATEGIES)


@pytest.fixture(scope="module")
def trusting(slapd: Slapd) -> ldap3.Tls:
    return ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(slapd.ca_file))


def alice(server: Slapd) -> str:
    return f"dn:{server.user('alice').dn}"


@STRATEGY
@pytest.mark.parametrize("wanted", [AUTH, AUTH_INT, RC4], ids=lambda wanted: wanted.qop)
@pytest.mark.requirement("LDAP4513-5.2.1.4-01", "LDAP4513-5.2.1.4-02", "LDAP4513-5.2.1.1-01", "LDAP4513-5.2.1.2-05")
def test_every_strategy_searches_10000_entries_under_every_layer(slapd: Slapd, strategy: str, wanted: Wanted) -> None:
    with connection(slapd, client_strategy=strategy, policy=wanted.policy) as client:
        assert bind(client)
        assert client.security is not None
        assert (client.security.qop, client.security.cipher, client.security.ssf) == wanted[1:]
        assert (client.layer is not None) == (wanted is not AUTH)
        assert who_am_i(client) == alice(slapd)
        assert len({entry["dn"] for entry in search(client, slapd.many_base)}) == slapd.entries
        assert who_am_i(client) == alice(slapd)


@pytest.mark.parametrize("wanted", WEAK, ids=lambda wanted: wanted.cipher)
def test_the_weak_ciphers_work_where_the_policy_names_them(slapd: Slapd, wanted: Wanted) -> None:
    with connection(slapd, policy=wanted.policy) as client:
        assert bind(client)
        assert client.security is not None
        assert client.security.cipher == wanted.cipher
        assert len(search(client, slapd.many_base, size_limit=500, paged_size=500)) == 500


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("wanted", [AUTH, RC4], ids=lambda wanted: wanted.qop)
def test_everybody_logs_on_whatever_the_name_is_written_in(slapd: Slapd, name: str, wanted: Wanted) -> None:
    with connection(slapd, person=PEOPLE[name], policy=wanted.policy) as client:
        assert bind(client)
        assert who_am_i(client) == f"dn:{slapd.user(name).dn}"


@STRATEGY
@pytest.mark.parametrize(
    ("person", "realm", "code", "name"),
    [
        (Person("alice", "not hers"), None, 49, "invalidCredentials"),
        (Person("nobody", "wonderland"), None, 80, "other"),
        (ALICE, "elsewhere.test", 80, "other"),
    ],
    ids=["wrong password", "unknown user", "wrong realm"],
)
@pytest.mark.requirement("LDAP4511-4.2.2-01")
def test_a_refused_bind_says_why(
    slapd: Slapd, strategy: str, person: Person, realm: str | None, code: int, name: str
) -> None:
    credentials = Password(person.name, person.password, realm=realm)
    with connection(slapd, client_strategy=strategy, credentials=credentials) as client:
        assert not bind(client)
        assert client.security is None
        assert client.result["description"] == name
        refusal = client.refusal
        assert isinstance(refusal, LogonDenied)
        assert (refusal.code, refusal.name) == (code, name)
        assert "SASL(-1" in refusal.diagnostic
        assert refusal.hint
        assert person.name in str(refusal)
        assert person.password not in f"{refusal} {refusal!r} {client!r} {client.last_error}"
        # The session goes on as nobody, and another bind may follow.
        client.rebind(credentials=Password("alice", "wonderland"))
        assert client.refusal is None
        assert who_am_i(client) == alice(slapd)


@STRATEGY
def test_auto_bind_and_with_raise_the_refusal(slapd: Slapd, strategy: str) -> None:
    wrong = Person("alice", "not hers")
    with (
        pytest.raises(BindRefused) as caught,
        connection(slapd, person=wrong, client_strategy=strategy, auto_bind=True),
    ):
        pass
    assert isinstance(caught.value, LogonDenied)
    with connection(slapd, person=wrong, client_strategy=strategy) as client, pytest.raises(BindRefused):
        client.__enter__()


@pytest.mark.parametrize("strategy", [ldap3.SYNC, ldap3.ASYNC, ldap3.SAFE_RESTARTABLE])
def test_raise_exceptions_raises_what_ldap3_raises_and_our_reason_behind_it(slapd: Slapd, strategy: str) -> None:
    wrong = Person("alice", "not hers")
    with connection(slapd, person=wrong, client_strategy=strategy, raise_exceptions=True) as client:
        with pytest.raises(LDAPInvalidCredentialsResult) as caught:
            client.bind()
        assert caught.value.__cause__ is client.refusal
    with connection(slapd, client_strategy=strategy, raise_exceptions=True) as client:
        assert bind(client)
        assert who_am_i(client) == alice(slapd)


def test_a_lazy_connection_never_goes_on_as_nobody(slapd: Slapd) -> None:
    with connection(slapd, lazy=True, policy=RC4.policy) as client:
        client.bind()
        assert client.security is None
        assert who_am_i(client) == alice(slapd)
        assert client.security is not None
    with connection(slapd, lazy=True, person=Person("alice", "not hers")) as client:
        client.bind()
        with pytest.raises(BindRefused):
            who_am_i(client)


@pytest.mark.parametrize("strategy", [ldap3.SYNC, ldap3.ASYNC])
@pytest.mark.requirement("LDAP4513-5.2.1.5-04", "LDAP4511-4.2.2-03")
def test_a_level_that_cannot_be_reached_ends_the_session_before_the_response(strategy: str) -> None:
    with (
        Slapd(sasl_secprops="maxssf=1") as server,
        connection(server, policy=Policy(min_ssf=56), client_strategy=strategy) as client,
    ):
        with pytest.raises(QopNotSupported, match="min_ssf 56"):
            client.bind()
        assert client.closed
        assert not client.bound


@pytest.mark.requirement("LDAP4513-5.2.1.5-03")
def test_a_server_that_demands_more_is_told_apart_from_a_wrong_password() -> None:
    with Slapd(sasl_secprops="minssf=56") as server, connection(server, policy=AUTH.policy) as client:
        try:
            assert not bind(client)
        except QopNotSupported:  # the server's offer tells before it has to refuse
            return
        assert client.refusal is not None
        assert not isinstance(client.refusal, LogonDenied)


@STRATEGY
@pytest.mark.requirement("LDAP4511-4.2.1-04", "LDAP4511-4.2.1-05", "LDAP4513-5.2.1.4-03")
def test_a_rebind_takes_the_layer_over_and_a_failed_one_leaves_it(slapd: Slapd, strategy: str) -> None:
    bob = Password("bob", "builder")
    with connection(slapd, client_strategy=strategy, policy=RC4.policy) as client:
        assert bind(client)
        first = client.layer
        client.rebind(credentials=Password("bob", "not his"))
        assert not client.bound
        assert client.layer is first
        assert who_am_i(client) is None
        client.rebind(credentials=bob)
        assert client.bound
        assert client.layer is not first
        assert who_am_i(client) == f"dn:{slapd.user('bob').dn}"
        assert len(search(client, slapd.many_base)) == slapd.entries
        second = client.layer
        client.rebind(user=slapd.user("alice").dn, password=ALICE.password, authentication=ldap3.SIMPLE)
        assert client.bound
        assert client.layer is second
        assert client.security is None
        assert who_am_i(client) == alice(slapd)


def test_a_rebind_without_a_layer_leaves_the_old_one_in_force(slapd: Slapd) -> None:
    with connection(slapd, policy=AUTH_INT.policy) as client:
        assert bind(client)
        layer = client.layer
        client.logon = dataclasses.replace(client.logon, policy=AUTH.policy)
        assert bind(client)
        assert client.layer is layer
        assert who_am_i(client) == alice(slapd)


@pytest.mark.parametrize("strategy", THREADED)
def test_a_rebind_while_results_are_on_their_way_finds_its_own(slapd: Slapd, strategy: str) -> None:
    with connection(slapd, client_strategy=strategy, policy=RC4.policy) as client:
        assert bind(client)
        for name in ("bob", "alice", "bob"):
            # RFC 4511 section 4.2.1: the server finishes the search before the bind, or abandons it.
            client.search(slapd.many_base, "(objectClass=*)", ldap3.LEVEL, attributes=["uid"])
            client.rebind(credentials=Password(name, PEOPLE[name].password))
            assert client.bound
            assert who_am_i(client) == f"dn:{slapd.user(name).dn}"


@pytest.mark.requirement("LDAP4513-5.2.1.8-01")
def test_an_authorization_identity_is_taken_or_refused(slapd: Slapd) -> None:
    for authzid in ("u:bob", f"dn:{slapd.user('bob').dn}"):
        with connection(slapd, authzid=authzid) as client:
            assert bind(client)
            assert who_am_i(client) == f"dn:{slapd.user('bob').dn}"
    with connection(slapd, person=PEOPLE["bob"], authzid="u:alice") as client:
        assert not bind(client)
        assert isinstance(client.refusal, NoImpersonation)


@STRATEGY
@pytest.mark.parametrize("start_tls", [True, False], ids=["StartTLS", "LDAPS"])
def test_inside_tls_there_is_no_layer(slapd: Slapd, trusting: ldap3.Tls, strategy: str, start_tls: bool) -> None:
    port = slapd.port if start_tls else slapd.tls_port
    server = ldap3.Server(slapd.host, port, use_ssl=not start_tls, tls=trusting, get_info=ldap3.NONE)
    auto_bind = ldap3.AUTO_BIND_TLS_BEFORE_BIND if start_tls else ldap3.AUTO_BIND_NO_TLS
    client = Connection(
        server,
        mechanism="DIGEST-MD5",
        credentials=Password("alice", "wonderland"),
        policy=Policy(min_ssf=112),
        client_strategy=strategy,
        receive_timeout=10,
        auto_bind=auto_bind,
    )
    assert client.security is not None
    assert client.security.ssf == 0
    assert client.layer is None
    assert who_am_i(client) == alice(slapd)
    assert len(search(client, slapd.many_base, paged_size=500)) == 500
    client.unbind()


@pytest.mark.requirement("RFC4422-4-17")
@pytest.mark.parametrize("strategy", THREADED)
def test_tls_that_one_thread_reads_while_another_sends_stays_whole(
    slapd: Slapd, trusting: ldap3.Tls, strategy: str
) -> None:
    for _ in range(20):  # ldap3 alone loses one such connection in eight
        with connection(slapd, tls=trusting, client_strategy=strategy) as client:
            client.start_tls()
            assert bind(client)
            assert who_am_i(client) == alice(slapd)


def test_a_layer_inside_tls_is_had_by_asking_for_it(slapd: Slapd, trusting: ldap3.Tls) -> None:
    with connection(slapd, tls=trusting, policy=RC4.policy, layer_in_tls=True) as client:
        client.start_tls()
        assert bind(client)
        assert client.security is not None
        assert client.security.ssf == 128
        assert len(search(client, slapd.many_base)) == slapd.entries


def test_tls_that_is_not_verified_does_not_count_as_protection(slapd: Slapd) -> None:
    with connection(slapd, tls=ldap3.Tls(), policy=Policy(min_ssf=1)) as client:
        client.start_tls()
        with pytest.raises(SecurityQosFailed, match="not verified"):
            client.bind()


@pytest.mark.parametrize("strategy", [ldap3.SYNC, ldap3.ASYNC])
@pytest.mark.requirement("LDAP4513-5.2.1.6-02")
def test_tls_goes_below_a_layer_that_was_there_first(slapd: Slapd, trusting: ldap3.Tls, strategy: str) -> None:
    with connection(slapd, tls=trusting, policy=RC4.policy, client_strategy=strategy) as client:
        assert bind(client)
        layer = client.layer
        assert client.start_tls()
        assert client.layer is layer
        assert client.socket is not None
        assert isinstance(client.socket.transport, ssl.SSLSocket)
        assert len(search(client, slapd.many_base)) == slapd.entries


@pytest.mark.requirement("LDAP4513-5.2.1.5-01")
def test_without_a_name_the_server_s_list_is_asked(slapd: Slapd) -> None:
    for mechanism in (None, ["SCRAM-SHA-3-512", "DIGEST-MD5"]):
        with connection(slapd, mechanism=mechanism, policy=RC4.policy) as client:
            assert bind(client)
            assert who_am_i(client) == alice(slapd)
    with (
        connection(slapd, mechanism=["NO-SUCH-THING"]) as client,
        pytest.raises(PackageNotFound, match="NO-SUCH-THING"),
    ):
        client.bind()


def test_the_second_bind_takes_the_session_up_again_or_falls_back(slapd: Slapd) -> None:
    with connection(slapd, policy=RC4.policy, resume=True) as client:
        for _ in range(3):
            assert bind(client)
            assert who_am_i(client) == alice(slapd)


def test_the_pool_lends_each_connection_to_one_thread(slapd: Slapd) -> None:
    server = ldap3.Server(slapd.host, slapd.port, get_info=ldap3.NONE)
    lent: list[Connection] = []
    seen: list[str | None] = []
    options = {"mechanism": "DIGEST-MD5", "credentials": Password("alice", "wonderland"), "policy": RC4.policy}

    def work() -> None:
        for _ in range(5):
            with pool.connection() as client:
                assert client not in lent
                lent.append(client)
                seen.append(who_am_i(client))
                lent.remove(client)

    with ConnectionPool(server, size=3, receive_timeout=10, **options) as pool:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert seen == [alice(slapd)] * 40
    assert lent == []


@pytest.mark.parametrize("strategy", [ldap3.SYNC, ldap3.ASYNC])
@pytest.mark.parametrize("wanted", [AUTH_INT, RC4], ids=lambda wanted: wanted.qop)
def test_megabytes_come_and_go_under_a_layer(slapd: Slapd, strategy: str, wanted: Wanted) -> None:
    with connection(slapd, client_strategy=strategy, policy=wanted.policy, collect_usage=True) as client:
        assert bind(client)
        entries = search(client, slapd.many_base, attributes=["*", "+"])
        assert len(entries) == slapd.entries
        assert client.usage.bytes_received > 5_000_000
        # slapd takes requests of up to 4 MiB.
        answer = client.compare(slapd.user("alice").dn, "cn", "x" * 3_000_000)
        result = client.get_response(answer, 20)[1] if strategy in THREADED else client.result
        assert result["description"] == "compareFalse"
        assert who_am_i(client) == alice(slapd)
