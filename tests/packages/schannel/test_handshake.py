"""Schannel's handshake with SSPI's buffers and statuses: EXTRA, MISSING, ALERT, certificates on both sides."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from packages.schannel.stream import EMPTY, MANUAL, OK, TARGET, TOKEN, Side, connect, inbound, outbound, pair
from saslsspi import errors, sspi
from saslsspi.packages.schannel.handshake import issuers
from saslsspi.sspi import (
    AscReq,
    AscRet,
    Environment,
    IscReq,
    IscRet,
    SchannelProtocol,
    SchCredentials,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
)
from saslsspi.testbed.certificates import Certificates, make_certificates

OLD, NEW = SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3
EXTRA, MISSING = SecBufferType.SECBUFFER_EXTRA, SecBufferType.SECBUFFER_MISSING


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


def served(certificates: Certificates, **more: object) -> SchCredentials:
    made = SchCredentials(certificate=str(certificates.server), authorities=str(certificates.authority))
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.requirement("SSPI-ASC-11", "SSPI-ASC-50")
@pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
def test_both_sides_agree_and_the_certificate_is_verified(certificates: Certificates, protocol: int) -> None:
    trusting = SchCredentials(authorities=str(certificates.authority), protocols=SchannelProtocol(protocol))
    client, server = pair(outbound(identity=trusting), inbound(identity=served(certificates)), 0)
    connect(client, server)
    info = client.query(sspi.SecPkgContextConnectionInfo)
    assert info.protocol == protocol
    assert info == server.query(sspi.SecPkgContextConnectionInfo)
    assert (
        client.query(sspi.SecPkgContextRemoteCert).certificate == server.query(sspi.SecPkgContextLocalCert).certificate
    )
    endpoint = client.query(sspi.SecPkgContextEndpointBindings).bindings
    assert endpoint == server.query(sspi.SecPkgContextEndpointBindings).bindings
    assert endpoint.type_name == "tls-server-end-point"
    assert client.query(sspi.SecPkgContextCertTrustStatus).trusted
    assert not client.attributes & IscRet.ISC_RET_MANUAL_CRED_VALIDATION


@pytest.mark.requirement("SSPI-ASC-14")
def test_unique_bindings_are_those_of_tls_1_2_and_no_others() -> None:
    for protocol in (OLD, NEW):
        client, server = pair(outbound(identity=SchCredentials(protocols=protocol)), inbound())
        connect(client, server)
        if protocol is OLD:
            unique = client.query(sspi.SecPkgContextUniqueBindings).bindings
            assert unique == server.query(sspi.SecPkgContextUniqueBindings).bindings
            assert unique.type_name == "tls-unique"
        else:
            with pytest.raises(errors.UnsupportedFunction):
                client.query(sspi.SecPkgContextUniqueBindings)


def test_a_certificate_of_another_name_is_wrong_principal(certificates: Certificates) -> None:
    trusting = SchCredentials(authorities=str(certificates.authority))
    client, server = pair(outbound(identity=trusting), inbound(identity=served(certificates)), 0, target="HTTP/other")
    with pytest.raises(errors.WrongPrincipal) as caught:
        connect(client, server)
    assert caught.value.alert


def test_a_certificate_of_nobody_we_trust_is_untrusted_root(certificates: Certificates) -> None:
    trusting = SchCredentials(authorities=str(certificates.authority))
    with pytest.raises(errors.UntrustedRoot):
        connect(*pair(outbound(identity=trusting), inbound(), 0))


def test_without_a_name_a_certificate_cannot_be_verified() -> None:
    with pytest.raises(errors.TargetUnknown):
        pair(outbound(), inbound(), 0, target="")[0].step()


@pytest.mark.requirement("SSPI-ASC-39", "SSPI-ASC-63", "SSPI-ASC-64")  # fmt: skip
def test_half_a_record_is_an_incomplete_message_and_missing_says_how_much() -> None:
    client, server = pair(outbound(), inbound())
    hello = client.step()
    for have in (1, 5, 6, len(hello) - 1):
        inputs = SecBufferDesc([SecBuffer(hello[:have], TOKEN), SecBuffer(None, EMPTY)])
        with pytest.raises(errors.IncompleteMessage):
            sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, None)
        assert inputs[1].buffer_type is MISSING
        assert inputs[1].count == (len(hello) - have if have >= 5 else 5 - have)
    connect_from(client, server, hello)


def connect_from(client: Side, server: Side, token: bytes) -> None:
    while not (client.done and server.done):
        reply = server.step(token)
        token = b"" if client.done else client.step(reply)


@pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
def test_tokens_may_be_split_anywhere(protocol: SchannelProtocol) -> None:
    def octets(token: bytes) -> list[bytes]:
        return [token[at : at + 1] for at in range(len(token))]

    client, server = pair(outbound(identity=SchCredentials(protocols=protocol)), inbound())
    connect(client, server, octets, octets)
    assert server.read(client.encrypt(b"hello")) == b"hello"


@pytest.mark.requirement("SSPI-ASC-12", "SSPI-ASC-51")
def test_data_behind_the_handshake_are_extra_and_not_lost() -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=NEW)), inbound())
    finished = client.step(server.step(client.step()))
    assert client.done
    wire = client.encrypt(b"early bird")
    token = bytearray(finished + wire + wire[:7])
    inputs = SecBufferDesc([SecBuffer(token, TOKEN), SecBuffer(None, EMPTY)])
    result = sspi.accept_security_context(
        server.credential, server.handle, inputs, 0, 16, SecBufferDesc([SecBuffer(None, TOKEN)])
    )
    assert result.status is OK
    assert (inputs[1].buffer_type, inputs[1].count) == (EXTRA, len(wire) + 7)
    assert server.decrypt(inputs[1].data)[0] == b"early bird"


@pytest.mark.requirement("SSPI-ASC-12")
def test_without_an_empty_buffer_octets_would_be_lost_and_so_it_is_an_error() -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=NEW)), inbound())
    finished = client.step(server.step(client.step()))
    inputs = SecBufferDesc([SecBuffer(finished + client.encrypt(b"x"), TOKEN)])
    with pytest.raises(errors.InvalidToken):
        sspi.accept_security_context(
            server.credential, server.handle, inputs, 0, 16, SecBufferDesc([SecBuffer(None, TOKEN)])
        )


@pytest.mark.requirement("SSPI-ASC-11")
def test_the_first_buffer_of_an_acceptor_is_the_token() -> None:
    client, server = pair(outbound(), inbound())
    inputs = SecBufferDesc([SecBuffer(None, EMPTY), SecBuffer(client.step(), TOKEN)])
    with pytest.raises(errors.InvalidToken):
        sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, None)


@pytest.mark.requirement("SSPI-ASC-52", "SSPI-ASC-53")
def test_an_alert_is_described_in_its_buffer_and_the_function_fails() -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=NEW)), inbound(
        identity=SchCredentials(protocols=OLD)))  # fmt: skip
    alert = SecBuffer(None, SecBufferType.SECBUFFER_ALERT)
    outputs = SecBufferDesc([SecBuffer(None, TOKEN), alert])
    inputs = SecBufferDesc([SecBuffer(client.step(), TOKEN), SecBuffer(None, EMPTY)])
    with pytest.raises(errors.AlgorithmMismatch) as caught:
        sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, outputs)
    assert alert.data == bytes.fromhex("15030300020246")  # fatal, protocol_version
    assert caught.value.token is None  # EXTENDED_ERROR was not asked
    with pytest.raises(errors.AlgorithmMismatch):
        client.step(alert.data)


def test_an_alert_goes_to_the_peer_where_extended_errors_are_asked() -> None:
    client, server = pair(
        outbound(identity=SchCredentials(protocols=NEW)), inbound(identity=SchCredentials(protocols=OLD)),
        server_flags=AscReq.ASC_REQ_EXTENDED_ERROR,
    )  # fmt: skip
    with pytest.raises(errors.AlgorithmMismatch) as caught:
        server.step(client.step())
    assert caught.value.token == bytes.fromhex("15030300020246")


@pytest.mark.parametrize(
    "token", [b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x00\x02" + bytes(40), b"\x16\x03\x01\xff\xff", b"\x99"]
)
def test_what_is_no_tls_is_an_invalid_token(token: bytes) -> None:
    server = Side(inbound())
    with pytest.raises(errors.InvalidToken):
        server.step(token)


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    server = Side(inbound())
    message = b"\x01\x00\xff\xff" + bytes(0xFFFF)  # a ClientHello without end, in fragments
    record = b"\x16\x03\x01\x40\x00" + message[:16384]
    with pytest.raises(errors.SaslError):
        server.step(20 * record)


@pytest.mark.requirement("SSPI-ASC-31")
def test_integrity_is_nothing_that_an_acceptor_can_ask_for() -> None:
    client, server = pair(outbound(), inbound(), server_flags=AscReq.ASC_REQ_INTEGRITY)
    connect(client, server)
    assert not server.attributes & AscRet.ASC_RET_INTEGRITY


@pytest.mark.requirement("SSPI-ASC-75")
def test_delegation_is_not_supported_on_either_side() -> None:
    client, server = pair(outbound(), inbound(), IscReq.ISC_REQ_DELEGATE, AscReq.ASC_REQ_DELEGATE)
    with pytest.raises(errors.UnsupportedFunction):
        client.step()
    with pytest.raises(errors.UnsupportedFunction):
        server.step(b"\x16\x03\x01\x00\x00")


@pytest.mark.requirement("SSPI-ASC-32", "SSPI-ASC-60")
@pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
def test_mutual_auth_on_an_acceptor_asks_for_a_certificate(certificates: Certificates, protocol: int) -> None:
    mine = SchCredentials(certificate=str(certificates.client), protocols=SchannelProtocol(protocol))
    client, server = pair(
        outbound(identity=mine), inbound(identity=served(certificates)), server_flags=AscReq.ASC_REQ_MUTUAL_AUTH
    )
    connect(client, server)
    assert server.attributes & AscRet.ASC_RET_MUTUAL_AUTH
    assert server.query(sspi.SecPkgContextNames).username == "alice"
    assert server.query(sspi.SecPkgContextLifespan).expiry < sspi.NEVER
    assert client.query(sspi.SecPkgContextLifespan).expiry == sspi.NEVER


@pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
def test_a_client_is_told_that_a_certificate_is_wanted_and_goes_on_with_one(
    certificates: Certificates, protocol: int
) -> None:
    version = SchannelProtocol(protocol)
    client, server = pair(
        outbound(identity=SchCredentials(protocols=version)),
        inbound(identity=served(certificates)),
        server_flags=AscReq.ASC_REQ_MUTUAL_AUTH,
    )
    token = client.step(server.step(client.step()))
    assert client.status is SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS
    assert client.query(sspi.SecPkgContextIssuerListInfoEx).issuers == ()  # Python's servers name nobody
    client.credential = outbound(identity=SchCredentials(certificate=str(certificates.client), protocols=version))
    connect_from(client, server, token or client.step())
    assert server.query(sspi.SecPkgContextNames).username == "alice"


def test_a_client_that_goes_on_without_a_certificate_is_refused(certificates: Certificates) -> None:
    client, server = pair(outbound(), inbound(identity=served(certificates)), server_flags=AscReq.ASC_REQ_MUTUAL_AUTH)
    client.step(server.step(client.step()))
    assert client.status is SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS
    with pytest.raises(errors.IncompleteCredentials):
        connect_from(client, server, client.step())


def test_a_server_certificate_does_not_authenticate_a_client(certificates: Certificates) -> None:
    wrong = SchCredentials(certificate=str(certificates.server))
    client, server = pair(
        outbound(identity=wrong), inbound(identity=served(certificates)), server_flags=AscReq.ASC_REQ_MUTUAL_AUTH
    )
    with pytest.raises(errors.CertificateWrongUsage):
        connect(client, server)


def test_application_protocols_are_negotiated() -> None:
    client, server = pair(outbound(), inbound())
    names = b"\x02h2\x08http/1.1"
    buffer = (len(names) + 6).to_bytes(4, "little") + (2).to_bytes(4, "little") + len(names).to_bytes(2, "little")
    client.extra = [SecBuffer(buffer + names, SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)]
    names = b"\x08http/1.1"
    buffer = (len(names) + 6).to_bytes(4, "little") + (2).to_bytes(4, "little") + len(names).to_bytes(2, "little")
    server.extra = [SecBuffer(buffer + names, SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)]
    connect(client, server)
    assert client.query(sspi.SecPkgContextApplicationProtocol).protocol == "http/1.1"
    assert server.query(sspi.SecPkgContextApplicationProtocol).protocol == "http/1.1"


@pytest.mark.parametrize(
    "buffer", [b"\x01", bytes(10), b"\x0a\0\0\0\x02\0\0\0\x03\0\x02h2", b"\x08\0\0\0\x02\0\0\0\x03\0\x00h2"]
)
def test_a_malformed_list_of_protocols_is_an_invalid_parameter(buffer: bytes) -> None:
    client = pair(outbound(), inbound())[0]
    client.extra = [SecBuffer(buffer, SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)]
    with pytest.raises(errors.InvalidParameter):
        client.step()


class Sessions:
    """Connects several times, and tells whether a session was taken up again."""

    def __init__(self, protocol: SchannelProtocol = NEW) -> None:
        self.now = 1000.0
        self.identity = SchCredentials(protocols=protocol, session_lifetime=100.0)
        self.environment = Environment(clock=lambda: self.now)
        self.client = outbound(identity=self.identity, environment=self.environment)
        self.server = inbound()

    def again(self, target: str = TARGET) -> bool:
        client, server = pair(self.client, self.server, target=target)
        tickets, _ = connect(client, server)
        client.read(tickets + server.encrypt(b"x"))
        return bool(client.query(sspi.SecPkgContextSessionInfo).reconnected)


@pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
def test_a_session_is_taken_up_again(protocol: SchannelProtocol) -> None:
    sessions = Sessions(protocol)
    assert not sessions.again()
    assert sessions.again()


def test_a_session_is_for_the_same_target() -> None:
    sessions = Sessions()
    sessions.again()
    assert not sessions.again("HTTP/other")


def test_a_session_expires() -> None:
    sessions = Sessions()
    sessions.again()
    sessions.now += 101
    assert not sessions.again()


def test_a_session_is_for_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    sessions.again()
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    assert not sessions.again()


def test_a_session_is_for_the_same_logon_session(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    sessions.again()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert not sessions.again()


def test_a_session_is_for_the_same_credential_handle() -> None:
    sessions = Sessions()
    sessions.again()
    sessions.client = outbound(identity=sessions.identity, environment=sessions.environment)
    assert not sessions.again()


def test_a_certificate_is_made_once_for_a_credential() -> None:
    server_credential = inbound()
    seen = set()
    for _ in range(3):
        client, server = pair(outbound(), server_credential)
        connect(client, server)
        seen.add(client.query(sspi.SecPkgContextRemoteCert).certificate)
    assert len(seen) == 1


def test_files_that_cannot_be_used_are_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(errors.NoCredentials):
        inbound(identity=SchCredentials(certificate=str(tmp_path / "x.pem")))
    for name in ("x.pem", "missing.pem"):
        with pytest.raises(errors.NoCredentials):
            outbound(identity=SchCredentials(authorities=str(tmp_path / name)))
    with pytest.raises(errors.UnknownCredentials):
        outbound(identity=sspi.WinNTAuthIdentity("alice"))


def test_the_package_has_two_names_and_says_what_it_can() -> None:
    unified = "Microsoft Unified Security Protocol Provider"
    info = sspi.query_security_package_info(unified)
    assert replace(info, name="Schannel") == sspi.query_security_package_info("SCHANNEL")
    assert {unified, "Schannel"} <= {info.name for info in sspi.enumerate_security_packages()}
    assert info.capabilities & sspi.SecurityPackageCapability.SECPKG_FLAG_STREAM


def test_manual_validation_is_reported() -> None:
    client, server = pair(outbound(), inbound(), MANUAL)
    connect(client, server)
    assert client.attributes & IscRet.ISC_RET_MANUAL_CRED_VALIDATION
    assert not client.query(sspi.SecPkgContextCertTrustStatus).trusted


def test_the_issuer_list_is_what_the_server_asks_for() -> None:
    names = b"\x00\x03abc\x00\x02de"
    old = b"\x0d\0\0\0" + b"\x01\x40" + b"\x00\x02\x04\x03" + len(names).to_bytes(2) + names
    extension = len(names).to_bytes(2) + names
    extensions = b"\x00\x0d\x00\x02xx" + b"\x00\x2f" + len(extension).to_bytes(2) + extension
    new = b"\x0d\0\0\0" + b"\x00" + len(extensions).to_bytes(2) + extensions
    assert issuers(old, new=False) == issuers(new, new=True) == (b"abc", b"de")
    assert issuers(new[:-9], new=True) == issuers(b"", new=False) == ()
