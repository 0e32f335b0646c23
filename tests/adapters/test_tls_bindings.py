"""Channel bindings of real TLS connections, joined in memory."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from pair import authenticate
from saslsspi import Client, MemoryAuthority, Password, Policy, Server, offer
from saslsspi.adapters.stream.tls_bindings import tls_bindings
from saslsspi.testbed.certificates import Certificates, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), "alice")


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion[request.param]


def contexts(certificates: Certificates, version: ssl.TLSVersion) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    client = ssl.create_default_context(cafile=str(certificates.authority))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates.server)
    for context in (client, server):
        context.minimum_version = context.maximum_version = version
    return client, server


def connect(
    client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    right = server.wrap_bio(to_server, to_client, server_side=True)
    pending = [left, right]
    while pending:
        for end in list(pending):
            try:
                end.do_handshake()
                pending.remove(end)
            except ssl.SSLWantReadError:
                pass
    right.write(b"x")
    assert left.read(1) == b"x"  # with it come the tickets of TLS 1.3
    return left, right


def own_certificate(file: Path) -> bytes:
    text = file.read_text()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") : text.index(end) + len(end)])


@pytest.mark.requirement("RFC5929-3-01", "RFC5929-3-02", "RFC5802-6.1-01")
def test_tls_unique_is_there_before_tls_1_3_only(certificates: Certificates, version: ssl.TLSVersion) -> None:
    client, server = connect(*contexts(certificates, version))
    certificate = own_certificate(certificates.server)
    ours, theirs = tls_bindings(client), tls_bindings(server, server_certificate=certificate)
    assert ours == theirs
    types = [bindings.type_name for bindings in ours]
    if version is ssl.TLSVersion.TLSv1_2:
        assert types == ["tls-unique", "tls-server-end-point"]
        assert ours[0].type_data == client.get_channel_binding("tls-unique")
    else:
        assert types == ["tls-server-end-point"]
    assert [bindings.type_name for bindings in tls_bindings(server)] == types[:-1]


@pytest.mark.requirement("RFC7677-4-01")
def test_a_session_of_tls_1_2_taken_up_again_has_no_bindings(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    client_context, server_context = contexts(certificates, version)
    first, _ = connect(client_context, server_context)
    client, server = connect(client_context, server_context, first.session)
    assert client.session_reused
    certificate = own_certificate(certificates.server)
    kept = version is ssl.TLSVersion.TLSv1_3
    theirs = tls_bindings(server, server_certificate=certificate)
    assert bool(tls_bindings(client)) is bool(theirs) is kept
    assert bool(offer(Policy(), ["SCRAM-SHA-256-PLUS"], bindings=theirs).names) is kept


def test_bindings_are_of_the_connection_that_is_given(certificates: Certificates) -> None:
    both = contexts(certificates, ssl.TLSVersion.TLSv1_2)
    one, other = connect(*both), connect(*both)
    assert tls_bindings(one[0])[0] == tls_bindings(one[1])[0] != tls_bindings(other[0])[0]


def test_before_the_handshake_there_are_no_bindings(certificates: Certificates, version: ssl.TLSVersion) -> None:
    client, _ = contexts(certificates, version)
    assert tls_bindings(client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")) == ()


@pytest.mark.requirement("RFC5802-6.1-01", "RFC5802-6.1-04")
def test_scram_binds_to_a_real_connection(certificates: Certificates, version: ssl.TLSVersion) -> None:
    left, right = connect(*contexts(certificates, version))
    theirs = tls_bindings(right, server_certificate=own_certificate(certificates.server))
    for bindings in tls_bindings(left):
        server = Server(
            "SCRAM-SHA-256-PLUS", service="imap", host="h", authority=MemoryAuthority({"a": "b"}), bindings=theirs
        )
        credentials = Password("a", "b")
        client = Client("SCRAM-SHA-256-PLUS", service="imap", host="h", credentials=credentials, bindings=bindings)
        authenticate(client, server)
        assert server.security.channel_binding == bindings.type_name
