"""LDAP over TLS: StartTLS and LDAPS, what they permit, and what must not happen around them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from saslsspi import Policy
from saslsspi.testbed.ldap.server import LdapServer
from testbed.ldap_fixtures import ALICE_DN, SUFFIX, ldap_server
from testbed.raw_ldap import (
    BAD_CREDENTIALS,
    DISCONNECTION,
    OPERATIONS_ERROR,
    PROTOCOL_ERROR,
    START_TLS,
    SUCCESS,
    WHO_AM_I,
    RawLdap,
    extended,
    request,
    sasl_bind,
    search,
    simple_bind,
)
from testbed.tls_fixtures import Tls, make_tls


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tls: Tls) -> Iterator[LdapServer]:
    with ldap_server(certificate=tls.server, bindings=[tls.bindings]) as running:
        yield running


@pytest.fixture
def raw(server: LdapServer) -> Iterator[RawLdap]:
    with RawLdap(server.port) as connection:
        yield connection


def root(raw: RawLdap) -> dict[str, list[str]]:
    return raw.find(search("", scope=0, attributes=("+",)))[0][0].attributes


def test_start_tls_changes_what_is_offered(raw: RawLdap, tls: Tls) -> None:
    before = root(raw)
    assert START_TLS in before["supportedExtension"]
    assert "PLAIN" not in before["supportedSASLMechanisms"]
    answer = raw.start_tls(tls.client)
    assert (answer.code, answer.name) == (SUCCESS, START_TLS)
    after = root(raw)
    assert START_TLS not in after["supportedExtension"]
    assert "PLAIN" in after["supportedSASLMechanisms"]
    assert "EXTERNAL" not in after["supportedSASLMechanisms"], "TLS has authenticated no client"
    assert raw.ask(simple_bind(ALICE_DN, "wonderland")).code == SUCCESS


def test_second_port_speaks_tls_from_the_start(server: LdapServer, tls: Tls) -> None:
    with RawLdap(server.ldaps_port) as raw:
        raw.wrap_tls(tls.client)
        assert raw.ask(sasl_bind("PLAIN", b"\0alice\0wonderland")).code == SUCCESS
        assert raw.ask(extended(START_TLS)).code == OPERATIONS_ERROR
        assert raw.who_am_i() == "u:alice"


def test_start_tls_makes_the_session_anonymous(raw: RawLdap, tls: Tls) -> None:
    raw.sasl()
    raw.start_tls(tls.client)
    assert raw.who_am_i() == ""


@pytest.mark.requirement("LDAP4513-5.2.1.6-02")
def test_layer_lies_on_top_of_tls_and_tls_never_comes_above_a_layer(server: LdapServer, tls: Tls) -> None:
    with RawLdap(server.port) as raw:
        raw.start_tls(tls.client)
        assert raw.sasl(policy=Policy(min_ssf=1, max_ssf=1)).code == SUCCESS
        assert raw.layer is not None
        assert len(raw.find(search(SUFFIX))[0]) > 300, "layer's buffers inside of TLS records"
    with RawLdap(server.port) as raw:
        raw.sasl(policy=Policy(min_ssf=1, max_ssf=1))
        assert START_TLS not in root(raw)["supportedExtension"]
        assert raw.ask(extended(START_TLS)).code == OPERATIONS_ERROR
        assert raw.who_am_i() == "u:alice"


def test_start_tls_between_the_stages_of_a_bind_is_refused(raw: RawLdap) -> None:
    raw.ask(sasl_bind("DIGEST-MD5"))
    assert raw.ask(extended(START_TLS)).code == OPERATIONS_ERROR
    assert raw.who_am_i() == "", "still in clear"


def test_start_tls_without_a_certificate_is_unknown() -> None:
    with ldap_server() as plain, RawLdap(plain.port) as raw:
        assert raw.ask(extended(START_TLS)).code == PROTOCOL_ERROR
        with pytest.raises(OSError, match="does not listen"):
            _ = plain.ldaps_port


def test_clear_text_pipelined_behind_start_tls_ends_the_connection(raw: RawLdap) -> None:
    raw.send_raw(request(1, extended(START_TLS)) + request(2, extended(WHO_AM_I)))
    notice = raw.receive()
    assert notice is not None
    assert (notice.id, notice.name, notice.code) == (0, DISCONNECTION, PROTOCOL_ERROR), "TLS has not begun"
    assert raw.ended()


def test_failed_handshake_ends_the_connection(raw: RawLdap, server: LdapServer) -> None:
    suspicious = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        raw.start_tls(suspicious)
    with RawLdap(server.port) as other:
        other.ask(extended(START_TLS))
        other.send_raw(b"this is not TLS" * 10)
        other.read_to_end()
    with RawLdap(server.port) as later:
        assert later.who_am_i() == ""


@pytest.mark.requirement("LDAP4513-5.2.1.3-02", "LDAP4513-5.2.1.3-04")
@pytest.mark.parametrize(
    ("credentials", "identity"), [(None, "u:alice"), (b"", "u:alice"), (b"u:alice", "u:alice"), (b"u:bob", "u:bob")]
)
def test_external_takes_the_client_certificate(
    server: LdapServer, tls: Tls, credentials: bytes | None, identity: str
) -> None:
    with RawLdap(server.port) as raw:
        raw.start_tls(tls.alice)
        assert "EXTERNAL" in root(raw)["supportedSASLMechanisms"]
        answer = raw.ask(sasl_bind("EXTERNAL", credentials))
        assert (answer.code, answer.credentials) == (SUCCESS, None)
        assert raw.who_am_i() == identity


def test_external_lets_nobody_act_as_anybody(server: LdapServer, tls: Tls) -> None:
    with RawLdap(server.port) as raw:
        raw.start_tls(tls.alice)
        assert raw.ask(sasl_bind("EXTERNAL", b"u:carol")).code == BAD_CREDENTIALS
        assert raw.who_am_i() == ""


def test_tls_makes_up_for_a_layer_that_is_required(tls: Tls) -> None:
    with ldap_server(certificate=tls.server, policy=Policy(min_ssf=112)) as strict, RawLdap(strict.port) as raw:
        raw.start_tls(tls.client)
        assert raw.sasl(mechanism="SCRAM-SHA-256").code == SUCCESS
        assert raw.who_am_i() == "u:alice"


def test_channel_bindings_bring_the_plus_mechanisms(server: LdapServer, tls: Tls) -> None:
    with RawLdap(server.port) as raw:
        assert "SCRAM-SHA-256-PLUS" not in root(raw)["supportedSASLMechanisms"]
        raw.start_tls(tls.client)
        assert "SCRAM-SHA-256-PLUS" in root(raw)["supportedSASLMechanisms"]
