"""tls-exporter (RFC 9266): the connections that can export bind SCRAM to TLS 1.3."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest

from pair import authenticate
from saslsspi import BadBindings, Client, MemoryAuthority, Password, Server
from saslsspi.adapters.mail.logon import MailLogon
from saslsspi.adapters.stream import channel_bindings_of
from saslsspi.testbed.certificates import Certificates, make_certificates

SSL = pytest.importorskip("OpenSSL.SSL")

AUTHORITY = MemoryAuthority({"alice": "wonderland"})
COMMON: dict[str, Any] = {"service": "imap", "host": "localhost", "external_ssf": 256}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("exporter"), "alice")


def der(file: Path) -> bytes:
    text, end = file.read_text(), "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") : text.index(end) + len(end)])


def connected(certificates: Certificates, version: int) -> tuple[Any, Any]:
    """A client and a server of pyOpenSSL whose handshake is done."""
    ours, theirs = SSL.Context(SSL.TLS_METHOD), SSL.Context(SSL.TLS_METHOD)
    theirs.use_certificate_chain_file(str(certificates.server))
    theirs.use_privatekey_file(str(certificates.server))
    for context in (ours, theirs):
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    client, server = SSL.Connection(ours, None), SSL.Connection(theirs, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        for end, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(1 << 16))
    return client, server


@pytest.mark.requirement("RFC9266-2-01")
def test_both_ends_export_the_same_and_scram_binds_by_it(certificates: Certificates) -> None:
    client, server = connected(certificates, SSL.TLS1_3_VERSION)
    ours = channel_bindings_of(client)
    theirs = channel_bindings_of(server, server_certificate=der(certificates.server))
    assert ours == theirs
    assert [one.type_name for one in ours] == ["tls-exporter", "tls-server-end-point"]
    assert len(ours[0].type_data) == 32
    assert ours[0].type_data == client.export_keying_material(b"EXPORTER-Channel-Binding", 32)
    alice = Client("SCRAM-SHA-256-PLUS", credentials=Password("alice", "wonderland"), bindings=ours[0], **COMMON)
    porter = Server("SCRAM-SHA-256-PLUS", authority=AUTHORITY, bindings=theirs, **COMMON)
    authenticate(alice, porter)
    assert porter.security.channel_binding == "tls-exporter"


def test_another_connection_exports_something_else(certificates: Certificates) -> None:
    client, _ = connected(certificates, SSL.TLS1_3_VERSION)
    _, server = connected(certificates, SSL.TLS1_3_VERSION)
    ours, theirs = channel_bindings_of(client)[0], channel_bindings_of(server)[0]
    alice = Client("SCRAM-SHA-256-PLUS", credentials=Password("alice", "wonderland"), bindings=ours, **COMMON)
    with pytest.raises(BadBindings):
        authenticate(alice, Server("SCRAM-SHA-256-PLUS", authority=AUTHORITY, bindings=theirs, **COMMON))


@pytest.mark.requirement("RFC9266-2-02")
def test_before_tls_1_3_nothing_is_exported(certificates: Certificates) -> None:
    client, _ = connected(certificates, SSL.TLS1_2_VERSION)
    assert [one.type_name for one in channel_bindings_of(client)] == ["tls-server-end-point"]


@pytest.mark.requirement("RFC9266-2-03")
def test_a_mail_client_on_such_a_connection_takes_them_by_itself(certificates: Certificates) -> None:
    client, _ = connected(certificates, SSL.TLS1_3_VERSION)
    logon = MailLogon.over(client, None, {}, host="localhost").logon
    assert logon.plus_bindings is not None
    assert logon.bindings is not None
    assert (logon.plus_bindings.type_name, logon.bindings.type_name) == ("tls-exporter", "tls-server-end-point")


def test_a_server_that_knows_the_exporter_alone_is_answered_with_what_to_do(certificates: Certificates) -> None:
    client, _server = connected(certificates, SSL.TLS1_3_VERSION)
    exporter, end_point = channel_bindings_of(client)
    alice = Client("SCRAM-SHA-256-PLUS", credentials=Password("alice", "wonderland"), bindings=end_point, **COMMON)
    porter = Server("SCRAM-SHA-256-PLUS", authority=AUTHORITY, bindings=exporter, **COMMON)
    with pytest.raises(BadBindings) as refused:
        porter.step(alice.start())
    with pytest.raises(BadBindings, match="a pyOpenSSL connection can"):
        alice.step(refused.value.token)
