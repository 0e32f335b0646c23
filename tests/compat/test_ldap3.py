"""ldap3's face: ordinary calls of ldap3 sign and seal, and everything else is as before."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import ldap3
import ldap3.core.connection
import pytest
from ldap3.core.exceptions import (
    LDAPBindError,
    LDAPException,
    LDAPInvalidCredentialsResult,
    LDAPInvalidValueError,
    LDAPPasswordIsMandatoryError,
    LDAPUnknownAuthenticationMethodError,
    LDAPUnwillingToPerformResult,
)

from saslsspi import ChannelBindingPolicy, ChannelBindings, Policy, SaslError
from saslsspi.compat.ldap3 import BindSettings, Connection
from saslsspi.compat.ldap3.connection import REPLACED
from saslsspi.errors import BadBindings, ContextMisuse, LogonDenied, QopNotSupported
from saslsspi.packages.ntlm.keys import nt_hash
from saslsspi.testbed.ldap.server import Bound, LdapServer
from saslsspi.testbed.tap import Tap
from testbed.ldap_fixtures import ALICE_DN, SUFFIX, ldap_server
from testbed.tls_fixtures import Tls, make_tls

pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),  # ldap3's, before Python 3.12
]

TIMEOUT = 10
DIRECT = [ldap3.SYNC, ldap3.SAFE_SYNC, ldap3.ASYNC, ldap3.ASYNC_STREAM, ldap3.RESTARTABLE, ldap3.SAFE_RESTARTABLE]
STRATEGY = pytest.mark.parametrize("strategy", [*DIRECT, ldap3.REUSABLE])
POOLS = (f"pool {number}" for number in itertools.count())
HASHES = f"aad3b435b51404eeaad3b435b51404ee:{nt_hash('wonderland').hex()}"


def digest(*more: str | None) -> dict[str, Any]:
    credentials = (None, "alice", "wonderland", *more)
    return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.DIGEST_MD5, "sasl_credentials": credentials}


ORDINARY: dict[str, dict[str, Any]] = {
    "NTLM": {"user": "EXAMPLE\\alice", "password": "wonderland", "authentication": ldap3.NTLM},
    "NTLM with hashes": {"user": "EXAMPLE\\alice", "password": HASHES, "authentication": ldap3.NTLM},
    "NTLM, ENCRYPT": {
        "user": "EXAMPLE\\alice", "password": "wonderland", "authentication": ldap3.NTLM, "session_security": "ENCRYPT",
    },
    "NTLM beyond ASCII": {"user": "EXAMPLE\\jörg", "password": "grüße", "authentication": ldap3.NTLM},
    "simple, user@domain": {"user": "alice@example.test", "password": "wonderland"},
    "simple, DOMAIN\\user": {"user": "EXAMPLE\\alice", "password": "wonderland"},
    "simple, beyond ASCII": {"user": "jörg@example.test", "password": "grüße", "authentication": ldap3.SIMPLE},
    "simple, octets": {"user": "jörg@example.test", "password": "grüße".encode()},
    "simple, a bare name": {"user": "alice", "password": "wonderland"},
    "DIGEST-MD5": digest(None),
    "DIGEST-MD5, sign": digest(None, "sign"),
    "DIGEST-MD5, encrypt": digest("u:bob", "encrypt"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bound() -> list[Bound]:
    """What the server has let in."""
    return []


@pytest.fixture(scope="module")
def sealing(bound: list[Bound]) -> Iterator[LdapServer]:
    """A server that demands a layer and takes no password in clear."""
    with ldap_server(policy=Policy(min_ssf=56), on_security=bound.append) as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


OPEN: list[Connection] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """None stays open behind a test."""
    yield
    while OPEN:
        client = OPEN.pop()
        with contextlib.suppress(LDAPException, OSError):
            client.unbind()
        if client.strategy.pooled:
            client.strategy.terminate()


def connect(server: LdapServer | int, *, kind: type[Connection] = Connection, **options: Any) -> Connection:
    port = server if isinstance(server, int) else server.port
    at = ldap3.Server("localhost", port, get_info=ldap3.NONE, connect_timeout=TIMEOUT)
    if options.get("client_strategy") == ldap3.REUSABLE:
        options |= {"pool_name": next(POOLS), "pool_size": 1}
    client = kind(at, receive_timeout=TIMEOUT, **options)
    OPEN.append(client)
    return client


def ask(client: Connection) -> int:
    """How many entries a search finds."""
    found = client.search(SUFFIX, "(objectClass=*)", attributes=["*"])
    if isinstance(found, tuple):
        return len(found[2])
    response = client.response if client.strategy.sync else client.get_response(found, TIMEOUT)[0]
    return len(response)


def succeeded(answer: Any) -> bool:
    return bool(answer[0] if isinstance(answer, tuple) else answer)


@STRATEGY
@pytest.mark.parametrize("call", ORDINARY)
def test_ordinary_calls_are_sealed(sealing: LdapServer, bound: list[Bound], call: str, strategy: str) -> None:
    bound.clear()
    with Tap("127.0.0.1", sealing.port) as tap:
        port = sealing.port if strategy == ldap3.REUSABLE else tap.port  # a pool binds on more than one connection
        client = connect(port, client_strategy=strategy, **ORDINARY[call])
        assert succeeded(client.bind())
        assert ask(client) > 100
        if strategy != ldap3.REUSABLE:
            assert client.security is not None
            assert client.security.ssf >= 56
            assert not tap.saw(b"organizationalUnit"), "what was found crossed in clear"
        client.unbind()
        assert not tap.saw(b"wonderland")
        assert not tap.saw("grüße".encode())
    assert bound
    assert all(each.ssf >= 56 for each in bound)
    wanted = "jörg" if "beyond" in call or "octets" in call else "bob" if "encrypt" in call else "alice"
    assert all(wanted in each.authzid for each in bound)


def test_a_pool_works_sealed(sealing: LdapServer, bound: list[Bound]) -> None:
    bound.clear()
    client = connect(sealing, client_strategy=ldap3.REUSABLE, auto_bind=True, **ORDINARY["NTLM"])
    for _ in range(3):
        assert ask(client) > 100
    assert {each.ssf for each in bound} == {128}


def test_a_pool_asks_for_what_its_first_connection_asks_for(sealing: LdapServer) -> None:
    class Permitting(Connection):
        settings = BindSettings(clear=True)

    options: dict[str, Any] = {"client_strategy": ldap3.REUSABLE, **ORDINARY["NTLM"]}
    client = connect(sealing, channel_binding="TLS_CHANNEL_BINDING", **options)
    assert not client.bind(), "no connection of the pool has a channel to be bound to"
    name = client.strategy.pool.name
    at = ldap3.Server("localhost", sealing.port, get_info=ldap3.NONE)
    for kind, more in ((Connection, {}), (Permitting, {"channel_binding": "TLS_CHANNEL_BINDING"})):
        with pytest.raises(LDAPBindError, match="another pool_name") as caught:
            kind(at, pool_name=name, pool_size=1, **more, **options)
        assert isinstance(caught.value, ContextMisuse)


def test_a_pool_of_ldap3_s_own_is_not_taken_over(sealing: LdapServer) -> None:
    at = ldap3.Server("localhost", sealing.port, get_info=ldap3.NONE)
    name = next(POOLS)
    theirs = ldap3.Connection(at, client_strategy=ldap3.REUSABLE, pool_name=name, pool_size=1)
    theirs.open()
    try:
        with pytest.raises(LDAPBindError, match="connections of ldap3's own"):
            Connection(at, client_strategy=ldap3.REUSABLE, pool_name=name, pool_size=1, **ORDINARY["NTLM"])
    finally:
        theirs.strategy.terminate()


@pytest.mark.parametrize("when", [ldap3.AUTO_BIND_TLS_BEFORE_BIND, ldap3.AUTO_BIND_TLS_AFTER_BIND])
def test_a_pool_binds_by_itself_inside_tls(tls: Tls, when: str) -> None:
    demanding = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    with ldap_server(policy=demanding, certificate=tls.server, bindings=[tls.bindings]) as server:
        options = {"client_strategy": ldap3.REUSABLE, "pool_name": next(POOLS), "pool_size": 2, "auto_bind": when}
        client = trusting(tls, server.port, ssl=False, **options, **ORDINARY["NTLM"])
        for _ in range(4):
            assert ask(client) > 100


@pytest.mark.parametrize("call", [name for name in ORDINARY if "hashes" not in name and "ASCII" not in name])
def test_without_us_they_are_refused(sealing: LdapServer, call: str) -> None:
    options = {key: value for key, value in ORDINARY[call].items() if key != "session_security"}
    if "encrypt" in call:
        pytest.skip("ldap3 alone takes it for no layer at all")
    at = ldap3.Server("localhost", sealing.port, get_info=ldap3.NONE)
    client = ldap3.Connection(at, receive_timeout=TIMEOUT, **options)
    try:
        assert not client.bind() or not client.search(SUFFIX, "(objectClass=*)")
    except LDAPException:
        pass  # NTLM, which the server does not know in ldap3's form
    finally:
        client.unbind()


@STRATEGY
@pytest.mark.parametrize("call", ["NTLM", "simple, user@domain", "DIGEST-MD5"])
def test_a_wrong_password_is_ldap3_s_own_result(sealing: LdapServer, call: str, strategy: str) -> None:
    options = dict(ORDINARY[call])
    if "password" in options:
        options["password"] = "not hers"
    else:
        options["sasl_credentials"] = (None, "alice", "not hers", None)
    client = connect(sealing, client_strategy=strategy, **options)
    answer = client.bind()
    assert not succeeded(answer)
    assert not client.bound
    if strategy == ldap3.REUSABLE:
        return  # of a pool's results ldap3 tells nothing
    result = answer[1] if isinstance(answer, tuple) else client.result
    assert (result["result"], result["description"], result["type"]) == (49, "invalidCredentials", "bindResponse")
    assert client.last_error == "invalidCredentials"
    with pytest.raises(LDAPInvalidCredentialsResult):
        connect(sealing, client_strategy=strategy, raise_exceptions=True, **options).bind()
    with pytest.raises(LDAPBindError, match="invalidCredentials"):
        connect(sealing, client_strategy=strategy, auto_bind=True, **options)
    with pytest.raises(LDAPBindError), connect(sealing, client_strategy=strategy, **options):
        pass


@pytest.mark.parametrize("strategy", DIRECT)
def test_a_dn_without_a_lookup_account_is_error_53_and_nothing_is_sent(sealing: LdapServer, strategy: str) -> None:
    options = {"user": ALICE_DN, "password": "wonderland", "client_strategy": strategy}
    with Tap("127.0.0.1", sealing.port) as tap:
        client = connect(tap.port, **options)
        answer = client.bind()
        assert not succeeded(answer)
        result = answer[1] if isinstance(answer, tuple) else client.result
        assert (result["result"], result["description"]) == (53, "unwillingToPerform")
        assert 'install("ldap3", lookup=(user, password))' in result["message"]
        client.unbind()
        assert not tap.saw(b"wonderland")
    with pytest.raises(LDAPUnwillingToPerformResult, match="lookup="):
        connect(sealing, raise_exceptions=True, **options).bind()
    with pytest.raises(LDAPBindError, match="lookup="):
        connect(sealing, auto_bind=True, **options)


class Clear(Connection):
    """What install("ldap3", clear=True) makes."""

    settings = BindSettings(clear=True)


def test_what_cannot_be_sealed_is_not_sent_unless_it_is_permitted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "saslsspi.compat.ldap3")
    with ldap_server(mechanisms=["SCRAM-SHA-256"], policy=Policy(allow_plaintext=True)) as server:
        for user in ("alice@example.test", "EXAMPLE\\alice", "alice"):
            with Tap("127.0.0.1", server.port) as tap:
                client = connect(tap.port, user=user, password="wonderland")
                assert not client.bind()
                assert client.result["result"] == 53
                assert 'install("ldap3", clear=True)' in client.result["message"]
                client.unbind()
                assert not tap.saw(b"wonderland")
        assert not caplog.records
        for strategy in DIRECT:
            client = connect(server, kind=Clear, user=ALICE_DN, password="wonderland", client_strategy=strategy)
            assert succeeded(client.bind())
            client.unbind()
        assert "there is no lookup account for a DN, and the password goes in clear" in caplog.text
        caplog.clear()
        client = connect(server, kind=Clear, user="alice@example.test", password="wonderland")
        assert not client.bind(), "a name that only Windows knows"
        assert client.result["result"] in (34, 49)
        assert "a bind is ldap3's own, and what it sends is not sealed" in caplog.text
        with pytest.raises(LDAPException):
            connect(server, kind=Clear, user="a@b", password="x", raise_exceptions=True).bind()


def test_where_clear_is_permitted_what_can_be_sealed_still_is(sealing: LdapServer) -> None:
    client = connect(sealing, kind=Clear, **ORDINARY["simple, user@domain"])
    assert client.bind()
    assert client.security is not None
    assert client.security.ssf == 128
    client.unbind()


def test_a_server_that_does_not_seal_what_was_demanded(sealing: LdapServer) -> None:
    with ldap_server(policy=Policy(max_ssf=0), mechanisms=["DIGEST-MD5"]) as server:
        client = connect(server, **digest(None))
        assert client.bind(), "who asked for no layer is let in without one"
        client.unbind()
        with pytest.raises(LDAPBindError) as caught:
            connect(server, auto_bind=True, **digest(None, "encrypt"))
        assert isinstance(caught.value, SaslError)
        assert isinstance(caught.value, QopNotSupported)


@pytest.mark.parametrize("call", ["NTLM", "simple, user@domain", "simple, a bare name"])
def test_a_server_that_agrees_on_no_layer_is_left(call: str) -> None:
    with ldap_server(policy=Policy(max_ssf=0)) as server:
        client = connect(server, **ORDINARY[call])
        with contextlib.suppress(LDAPBindError):
            assert not client.bind()
        assert not client.bound
        assert client.closed


@pytest.mark.parametrize("raising", [False, True])
def test_names_of_the_development_line_are_checked_as_there(sealing: LdapServer, raising: bool) -> None:
    for options in (
        {"session_security": "ENCRYPT", "user": "a@b", "password": "x"},
        {"session_security": "SIGN", **ORDINARY["NTLM"]},
        {"channel_binding": "TLS_CHANNEL_BINDING", **digest(None)},
        {"channel_binding": "yes", **ORDINARY["NTLM"]},
    ):
        with pytest.raises(LDAPInvalidValueError):
            connect(sealing, raise_exceptions=raising, **options)
    client = connect(sealing, channel_binding="TLS_CHANNEL_BINDING", **ORDINARY["NTLM"])
    assert not client.bind(), "there is no channel to be bound to"
    assert client.result["result"] == 53
    assert "start_tls" in client.result["message"]


def trusting(tls: Tls, port: int, *, ssl: bool, **options: Any) -> Connection:
    at = ldap3.Server(
        "localhost", port, use_ssl=ssl, get_info=ldap3.NONE,
        tls=ldap3.Tls(validate=2, ca_certs_file=str(tls.ca_file)),
    )  # fmt: skip
    client = Connection(at, receive_timeout=TIMEOUT, **options)
    OPEN.append(client)
    return client


@pytest.mark.parametrize("strategy", DIRECT)
@pytest.mark.parametrize("bound_by_name", [None, "TLS_CHANNEL_BINDING"])
def test_ntlm_is_bound_to_the_tls_around_it(tls: Tls, strategy: str, bound_by_name: str | None) -> None:
    demanding = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    with ldap_server(policy=demanding, certificate=tls.server, bindings=[tls.bindings]) as server:
        options = {"client_strategy": strategy, "channel_binding": bound_by_name, **ORDINARY["NTLM"]}
        client = trusting(tls, server.ldaps_port, ssl=True, **options)
        assert succeeded(client.bind())
        assert client.security is not None
        assert (client.security.ssf, client.security.channel_binding) == (0, "tls-server-end-point")
        assert ask(client) > 100
        client.unbind()
        for when in (ldap3.AUTO_BIND_TLS_BEFORE_BIND, ldap3.AUTO_BIND_TLS_AFTER_BIND):
            client = trusting(tls, server.port, ssl=False, auto_bind=when, **options)
            assert client.bound
            assert client.security is not None
            assert client.security.channel_binding == "tls-server-end-point"
            assert ask(client) > 100
            client.unbind()


def test_bindings_that_do_not_match_are_refused(tls: Tls) -> None:
    other = ChannelBindings(application_data=b"tls-server-end-point:" + bytes(32))
    with ldap_server(certificate=tls.server, bindings=[other]) as server:
        client = trusting(tls, server.ldaps_port, ssl=True, **ORDINARY["NTLM"])
        assert not client.bind()
        assert client.result["result"] == 49
        assert isinstance(client.refusal, BadBindings | LogonDenied)


def test_simple_binds_inside_tls_are_ldap3_s_own(tls: Tls) -> None:
    with ldap_server(certificate=tls.server, bindings=[tls.bindings]) as server:
        for ssl, port in ((True, server.ldaps_port), (False, server.port)):
            client = trusting(tls, port, ssl=ssl, user=ALICE_DN, password="wonderland")
            client.open()
            if not ssl:
                assert client.start_tls()
            assert client.bind()
            assert client.security is None
            client.unbind()


def test_what_has_no_place_here_is_ldap3_s_own_and_the_log_says_so(tls: Tls, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "saslsspi.compat.ldap3")
    with ldap_server(certificate=tls.server, bindings=[tls.bindings], policy=Policy(allow_plaintext=True)) as server:
        plain = {"sasl_mechanism": "PLAIN", "sasl_credentials": (None, "alice", "wonderland")}
        client = connect(server, authentication=ldap3.SASL, **plain)
        assert client.bind()
        client.unbind()
        (*_, last) = (record for record in caplog.records if record.name == "saslsspi.compat.ldap3")
        assert last.levelno == logging.WARNING
        assert "SASL PLAIN has no layer, and the password goes in clear" in caplog.text
        client = connect(server)
        assert client.bind(), "nobody is as before"
        client.unbind()
        with pytest.raises(LDAPUnknownAuthenticationMethodError):
            connect(server, user="alice", password="wonderland", authentication=ldap3.NTLM).bind()
        with pytest.raises(LDAPPasswordIsMandatoryError):
            connect(server, user="alice@example.test", password="").bind()
        assert not connect(server, **digest()).bind(), "a tuple that ldap3 does not know either"


def test_strategies_without_a_connection_are_as_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "saslsspi.compat.ldap3")
    server = ldap3.Server("nowhere")
    client = Connection(server, user="cn=me", password="secret", client_strategy=ldap3.MOCK_SYNC)
    client.strategy.add_entry("cn=me", {"userPassword": "secret", "sn": "x"})
    assert client.bind()
    assert "MOCK_SYNC has no connection to protect" in caplog.text
    assert client.search("cn=me", "(sn=x)")
    asynchronous = Connection(server, user="cn=me", password="secret", client_strategy=ldap3.MOCK_ASYNC)
    asynchronous.strategy.add_entry("cn=me", {"userPassword": "secret", "sn": "x"})
    assert asynchronous.bind()
    asynchronous.unbind()
    writer = Connection(server, client_strategy=ldap3.LDIF)
    with writer:
        writer.add("cn=new", "person", {"sn": "x"})
        assert "dn: cn=new" in writer.stream.getvalue()


def by_position(**wanted: Any) -> list[Any]:
    """What follows the password, up to the last that is wanted, in the order of the ldap3 that is installed."""
    parameters = list(inspect.signature(REPLACED.__init__).parameters.values())[4:]
    values = [wanted.get(each.name, each.default) for each in parameters]
    return values[: 1 + max(number for number, each in enumerate(parameters) if each.name in wanted)]


def test_arguments_by_position_and_by_attribute(sealing: LdapServer) -> None:
    at = ldap3.Server("localhost", sealing.port, get_info=ldap3.NONE)
    client = Connection(at, "EXAMPLE\\alice", "wonderland", *by_position(auto_bind=True, authentication=ldap3.NTLM))
    assert (client.user, client.password, client.authentication) == ("EXAMPLE\\alice", "wonderland", ldap3.NTLM)
    assert client.bound
    assert isinstance(client, ldap3.core.connection.Connection)
    assert "wonderland" not in repr(client)
    before = client.socket
    assert client.rebind("EXAMPLE\\bob", "builder", ldap3.NTLM)
    assert client.socket is not before, "Windows' directories take no second layer on a connection"
    assert client.extend.standard.who_am_i() == "u:bob"
    assert not client.rebind("bob@example.test", "wrong")
    client.user, client.password, client.authentication = "EXAMPLE\\alice", "wonderland", ldap3.NTLM
    assert client.bind()
    assert client.extend.standard.who_am_i() == "u:alice"
    client.unbind()
    lazy = Connection(at, lazy=True, auto_bind=True, **ORDINARY["NTLM"])
    assert ask(lazy) > 100
    lazy.unbind()


def test_a_restart_seals_again(sealing: LdapServer, bound: list[Bound]) -> None:
    client = connect(sealing, client_strategy=ldap3.RESTARTABLE, **ORDINARY["NTLM"])
    client.strategy.restartable_sleep_time = 0.01
    assert client.bind()
    bound.clear()
    client.socket.shutdown(2)
    assert ask(client) > 100
    assert [each.ssf for each in bound] == [128]
    client.unbind()
