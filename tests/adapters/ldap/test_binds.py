"""What our ldap3 connection sends to bind, and what it makes of the answers."""

from __future__ import annotations

import threading

import ldap3
import pytest
from ldap3.core.exceptions import LDAPInvalidCredentialsResult

from adapters.ldap.scripted import (
    AUTH,
    AUTH_CONF,
    AUTH_INT,
    BIND,
    IN_PROGRESS,
    INVALID_CREDENTIALS,
    SEARCH,
    STRATEGIES,
    SUCCESS,
    TIMEOUT,
    Peer,
    bind_response,
    connected,
    message,
    scripted,
    serve_who_am_i,
    who_am_i,
)
from saslsspi import Password, Policy, SecurityStatus
from saslsspi.adapters.ldap import ConnectionPool
from saslsspi.adapters.ldap.connection import BindRefused, Connection
from saslsspi.errors import (
    BadBindings,
    DowngradeDetected,
    InvalidParameter,
    LogonDenied,
    PackageNotFound,
    SecurityQosFailed,
    UnsupportedFunction,
    WrongPrincipal,
)

STRATEGY = pytest.mark.parametrize("strategy", STRATEGIES)
EXAMPLE_DIAGNOSTIC = "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data {}, v4563\0"


@STRATEGY
@pytest.mark.requirement(
    "LDAP4511-4.2-02",
    "LDAP4511-4.2-03",
    "LDAP4513-5.2.1.2-01",
    "LDAP4513-5.2.1.2-04",
    "LDAP4513-5.2.1.2-05",
    "LDAP4513-5.2.1.2-06",
    "LDAP4513-5.2.1.3-01",
    "LDAP4513-5.2.1.1-01",
)
def test_a_bind_is_sent_as_the_rfcs_have_it(strategy: str) -> None:
    with scripted(serve_who_am_i(AUTH)) as server, connected(server, client_strategy=strategy) as client:
        client.bind()
        assert client.bound
        assert who_am_i(client) == "dn:uid=alice"
    first, second = server.binds
    for request in (first, second):
        assert (request.version, request.name, request.choice, request.mechanism) == (3, b"", 0xA3, b"DIGEST-MD5")
    assert first.credentials is None
    assert second.credentials is not None
    assert b'digest-uri="ldap/localhost"' in second.credentials


@STRATEGY
@pytest.mark.requirement("LDAP4511-4.2.1-02", "LDAP4511-4.2.1-06")
def test_nothing_is_sent_between_the_requests_of_one_bind(strategy: str) -> None:
    def script(peer: Peer) -> None:
        peer.bind(AUTH_INT)
        for _ in range(2):
            _, proof, second = peer.challenge(AUTH_INT)
            begun.set()
            peer.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                peer.receive()
            peer.socket.settimeout(TIMEOUT)
            peer.send(bind_response(peer.last.id, SUCCESS, proof))
            peer.layer = second.layer
            peer.answer_who_am_i()

    begun = threading.Event()
    with scripted(script) as server, connected(server, client_strategy=strategy) as client:
        client.bind()
        for _ in range(2):
            begun.clear()
            thread = threading.Thread(target=lambda: begun.wait(TIMEOUT) and who_am_i(client))
            thread.start()
            client.rebind(credentials=Password("alice", "wonderland"))
            thread.join(TIMEOUT)
            assert not thread.is_alive()


@pytest.mark.requirement("LDAP4513-5.2.3-03", "LDAP4513-5.2.3-04", "LDAP4513-5.2.1.2-02", "LDAP4513-5.2.1.8-01")
@pytest.mark.parametrize("authzid", ["", "u:alice", "dn:cn=Jörg,dc=example"])
@pytest.mark.parametrize("asks", [False, True], ids=["at once", "asked"])
def test_external_asserts_an_identity_only_when_there_is_one(authzid: str, asks: bool) -> None:
    def script(peer: Peer) -> None:
        request = peer.receive()
        if asks and request.credentials is None:
            peer.send(bind_response(request.id, IN_PROGRESS, b""))
            request = peer.receive()
            assert request.credentials == b""
        peer.send(bind_response(request.id, SUCCESS))

    with (
        scripted(script) as server,
        connected(server, mechanism="EXTERNAL", credentials=None, authzid=authzid) as client,
    ):
        client.bind()
        assert client.bound
    assert server.binds[0].credentials == (authzid.encode() or None)


@STRATEGY
@pytest.mark.parametrize(
    ("code", "text", "cause", "hint"),
    [
        (49, EXAMPLE_DIAGNOSTIC.format("52e"), LogonDenied, "wrong password"),
        (49, EXAMPLE_DIAGNOSTIC.format("775"), LogonDenied, "locked out"),
        (49, EXAMPLE_DIAGNOSTIC.format("532"), LogonDenied, "expired"),
        (49, "80090346: LdapErr: DSID-0C09056D, data 80090346, v4563", BadBindings, "channel bindings"),
        (8, "00002028: LdapErr: DSID-0C090259, data 0, v4563", SecurityQosFailed, "signing"),
        (49, "digest-uri does not match any LDAP SPN's registered", WrongPrincipal, "host="),
        (7, "SASL(-4): no mechanism available: ", PackageNotFound, "does not offer"),
        (2, "", LogonDenied, "version 3"),
        (10, "", LogonDenied, "referral"),
    ],
)
@pytest.mark.requirement("LDAP4511-4.2.2-01", "LDAP4511-4.2.2-02", "LDAP4513-5.2.1.2-10")
def test_a_refusal_names_its_cause(strategy: str, code: int, text: str, cause: type[Exception], hint: str) -> None:
    def script(peer: Peer) -> None:
        request, _, _ = peer.challenge()
        peer.send(bind_response(request.id, code, text=text))

    with scripted(script) as server, connected(server, client_strategy=strategy) as client:
        client.bind()
        assert not client.bound
        assert client.result["result"] == code
        refusal = client.refusal
        assert isinstance(refusal, BindRefused)
        assert isinstance(refusal, cause)
        assert hint in refusal.hint
        assert refusal.diagnostic.strip("\0") == text.strip("\0")
        assert isinstance(refusal.status, SecurityStatus)
        said = str(refusal)
        assert all(part in said for part in (refusal.status.name, refusal.name, f"({code})", refusal.hint, "alice"))
        assert "\0" not in said
        assert client.last_error == said
        assert "wonderland" not in said + repr(client) + client.repr_with_sensitive_data_stripped()


@pytest.mark.parametrize("strategy", ["SYNC", "ASYNC", "RESTARTABLE"])
def test_a_refusal_is_one_attempt(strategy: str) -> None:
    def script(peer: Peer) -> None:
        while True:
            request, _, _ = peer.challenge()
            peer.send(bind_response(request.id, INVALID_CREDENTIALS))

    for raising in (False, True):
        with (
            scripted(script) as server,
            connected(server, client_strategy=strategy, raise_exceptions=raising) as client,
        ):
            if raising:
                with pytest.raises(LDAPInvalidCredentialsResult):
                    client.bind()
            else:
                client.bind()
            assert len(server.binds) == 2


@pytest.mark.parametrize("strategy", ["RESTARTABLE", "SAFE_RESTARTABLE"])
def test_a_restart_asks_a_refusing_server_once_and_never_goes_on_as_nobody(strategy: str) -> None:
    def good(peer: Peer) -> None:
        peer.bind()
        peer.receive()  # and goes away

    def refusing(peer: Peer) -> None:
        request, _, _ = peer.challenge()
        peer.send(bind_response(request.id, INVALID_CREDENTIALS))
        peer.answer_who_am_i("")

    with scripted(good, refusing) as server, connected(server, client_strategy=strategy) as client:
        client.bind()
        with pytest.raises(BindRefused):
            who_am_i(client)
        assert not client.bound
        assert server.connections == 2
        assert len(server.binds) == 4


@STRATEGY
def test_an_exchange_that_is_cut_begins_with_its_first_step(strategy: str) -> None:
    def cut(peer: Peer) -> None:
        peer.challenge()

    with scripted(cut, serve_who_am_i(AUTH_CONF)) as server, connected(server, client_strategy=strategy) as client:
        if "RESTARTABLE" not in strategy:
            with pytest.raises((OSError, ldap3.core.exceptions.LDAPException)):
                client.bind()
        client.bind()
        assert client.bound
        assert who_am_i(client) == "dn:uid=alice"
    assert [request.credentials is None for request in server.binds] == [True, False, True, False]


@pytest.mark.requirement("LDAP4513-5.2.1.5-01", "LDAP4513-5.2.1.5-03", "LDAP4513-5.2.1.6-01")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_list_is_read_before_the_bind_and_again_under_the_layer(strategy: str) -> None:
    def script(peer: Peer) -> None:
        peer.list_mechanisms("NOBODY-KNOWS-IT", "DIGEST-MD5", "PLAIN")
        peer.bind(AUTH_CONF)
        peer.list_mechanisms("DIGEST-MD5", "PLAIN")
        peer.answer_who_am_i()

    with scripted(script) as server, connected(server, mechanism=None, client_strategy=strategy) as client:
        client.bind()
        assert client.security is not None
        assert client.security.mechanism == "DIGEST-MD5"
        assert who_am_i(client) == "dn:uid=alice"
    assert [request.operation for request in server.requests][:4] == [SEARCH, BIND, BIND, SEARCH]


@pytest.mark.requirement("RFC4422-6.1.2-04", "RFC4422-6.1.2-05")
def test_a_stronger_mechanism_that_was_hidden_ends_the_session() -> None:
    def script(peer: Peer) -> None:
        peer.list_mechanisms("DIGEST-MD5")
        peer.bind(AUTH_CONF)
        peer.list_mechanisms("SCRAM-SHA-256", "DIGEST-MD5")

    with (
        scripted(script) as server,
        connected(server, mechanism=["SCRAM-SHA-256", "DIGEST-MD5"]) as client,
    ):
        with pytest.raises(DowngradeDetected, match="SCRAM-SHA-256"):
            client.bind()
        assert not client.bound
        assert client.closed


def test_a_password_is_not_sent_in_clear_because_the_server_lists_nothing_else() -> None:
    def script(peer: Peer) -> None:
        peer.list_mechanisms("PLAIN", "LOGIN")
        peer.receive()

    for mechanism in (None, ["SCRAM-SHA-256", "PLAIN"]):
        with scripted(script) as server, connected(server, mechanism=mechanism) as client:
            with pytest.raises(PackageNotFound, match="PLAIN"):
                client.bind()
            assert not server.binds


def test_a_mechanism_that_the_server_lists_and_does_not_know_is_followed_by_the_next() -> None:
    def script(peer: Peer) -> None:
        peer.list_mechanisms("SCRAM-SHA-256", "DIGEST-MD5")
        peer.send(bind_response(peer.receive().id, 7))
        peer.bind()
        peer.answer_who_am_i()

    with (
        scripted(script) as server,
        connected(server, mechanism=["SCRAM-SHA-256", "DIGEST-MD5"], policy=AUTH) as client,
    ):
        client.bind()
        assert who_am_i(client) == "dn:uid=alice"
    assert [request.mechanism for request in server.binds] == [b"SCRAM-SHA-256", b"DIGEST-MD5", b"DIGEST-MD5"]


@pytest.mark.parametrize("strategy", ["SYNC", "RESTARTABLE"])
@pytest.mark.parametrize("follow", [False, True], ids=["by default", "when asked to"])
def test_a_referral_never_carries_credentials(strategy: str, follow: bool) -> None:
    def other(peer: Peer) -> None:
        while True:
            request = peer.receive()
            kind = {BIND: 0x61, SEARCH: 0x65}.get(request.operation)
            if kind is not None:
                peer.send(message(request.id, kind, SUCCESS))

    with scripted(other) as elsewhere:

        def referring(peer: Peer) -> None:
            peer.bind()
            request = peer.receive()
            url = f"ldap://127.0.0.1:{elsewhere.port}/dc=example".encode()
            peer.send(
                message(request.id, 0x65, 10, b"\xa3" + bytes([len(url) + 2]) + b"\x04" + bytes([len(url)]) + url)
            )

        with scripted(referring) as server:
            extra = {"auto_referrals": True} if follow else {}
            with connected(server, client_strategy=strategy, **extra) as client:
                client.bind()
                client.search("dc=example", "(cn=x)", attributes=["cn"])
                assert client.result["description"] == ("success" if follow else "referral")
        assert bool(elsewhere.requests) == follow
        for request in elsewhere.binds:
            assert (request.choice, request.name, request.credentials) == (0x80, b"", None)
            assert b"alice" not in request.octets


def test_what_cannot_work_is_said_at_once() -> None:
    with pytest.raises(UnsupportedFunction, match="ConnectionPool"):
        Connection("localhost", client_strategy=ldap3.REUSABLE)
    with pytest.raises(UnsupportedFunction, match="MOCK_SYNC"):
        Connection("localhost", client_strategy=ldap3.MOCK_SYNC)
    with pytest.raises(InvalidParameter, match="credentials="):
        Connection("localhost", sasl_mechanism="DIGEST-MD5", sasl_credentials=(None, "a", "b", None))
    with pytest.raises(InvalidParameter):
        ConnectionPool("localhost", client_strategy=ldap3.ASYNC)


def test_no_text_about_a_connection_holds_the_password() -> None:
    client = Connection("localhost", mechanism="DIGEST-MD5", credentials=Password("alice", "wonderland"))
    pool = ConnectionPool("localhost", credentials=Password("alice", "wonderland"), policy=Policy())
    for text in (repr(client), str(client), client.repr_with_sensitive_data_stripped(), repr(pool), repr(client.logon)):
        assert "wonderland" not in text
    assert "alice" in repr(client)
