"""A CredSSP server that wants a certificate of the client, though MS-CSSP's does not: the page says how to go on."""

from __future__ import annotations

import pytest

from packages.credssp.ours import NTLM_ONLY, PEOPLE, TARGET, USER, client_side, logged_on, server_side
from packages.schannel.stream import Side, outbound
from saslsspi import errors, sspi
from saslsspi.engine.exchange import Request
from saslsspi.packages.credssp.server import CredsspServer
from saslsspi.sspi import (
    AscReq,
    CredsspCred,
    CredSspPolicy,
    Environment,
    Policy,
    SchannelProtocol,
    SchCredentials,
    SecurityStatus,
    WinNTAuthIdentity,
)
from saslsspi.testbed.certificates import Certificates, make_certificates

OLD, NEW = SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3
PROTOCOLS = pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
ALICE = WinNTAuthIdentity(USER, "DOM", "wonderland")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


@pytest.fixture(autouse=True)
def curious(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have our servers ask for a certificate, as one of somebody else's may."""
    asks = Request(requested=int(AscReq.ASC_REQ_MUTUAL_AUTH | AscReq.ASC_REQ_EXTENDED_ERROR))
    monkeypatch.setattr(CredsspServer, "_tls_request", lambda self, request: asks)


def served(certificates: Certificates) -> Side:
    files = SchCredentials(certificate=str(certificates.server), authorities=str(certificates.authority))
    return server_side(identity=CredsspCred(schannel=files))


def credential(protocol: SchannelProtocol, certificate: str = "") -> sspi.CredHandle:
    files = SchCredentials(protocols=protocol, certificate=certificate)
    policy = Policy(credssp=CredSspPolicy(), negotiate=NTLM_ONLY)
    given = CredsspCred(schannel=files, spnego=ALICE)
    return outbound("CREDSSP", given, environment=Environment(policy=policy, authority=PEOPLE))


def asked(protocol: SchannelProtocol, server: Side) -> tuple[Side, bytes]:
    """Begin an exchange up to where the client is told that a certificate is wanted."""
    client = Side(credential(protocol), 0, TARGET)
    token = client.step(server.step(client.step()))
    assert client.status is SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS
    return client, token


def finish(client: Side, server: Side, token: bytes) -> None:
    while not (client.done and server.done):
        reply = server.step(token)
        token = b"" if client.done else client.step(reply)


@PROTOCOLS
@pytest.mark.requirement("SSPI-ISC-CREDSSP-79", "SSPI-ISC-CREDSSP-122", "SSPI-ISC-CREDSSP-125")
def test_a_client_is_told_that_a_certificate_is_wanted_and_goes_on_with_a_new_credential(
    certificates: Certificates, protocol: SchannelProtocol
) -> None:
    server = served(certificates)
    client, token = asked(protocol, server)
    client.credential = credential(protocol, str(certificates.client))
    finish(client, server, token or client.step())
    assert server.query(sspi.SecPkgContextNames).username.endswith(USER)
    assert server.query(sspi.SecPkgContextRemoteCert).certificate
    assert server.read(client.encrypt(b"sealed")) == b"sealed"


@pytest.mark.requirement("SSPI-ISC-CREDSSP-123")
def test_a_certificate_that_is_not_a_clients_is_refused(certificates: Certificates) -> None:
    server = served(certificates)
    client, token = asked(OLD, server)
    client.credential = credential(OLD, str(certificates.server))
    with pytest.raises(errors.CertificateWrongUsage):
        finish(client, server, token or client.step())


@pytest.mark.requirement("SSPI-ISC-CREDSSP-79", "SSPI-ISC-CREDSSP-123")
def test_going_on_without_one_is_refused(certificates: Certificates) -> None:
    server = served(certificates)
    client, token = asked(OLD, server)
    with pytest.raises(errors.IncompleteCredentials):
        finish(client, server, token or client.step())


@pytest.mark.requirement("SSPI-ISC-CREDSSP-124")
def test_the_issuer_list_is_asked_of_the_context_at_once(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = asked(OLD, served(certificates))
    assert client.query(sspi.SecPkgContextIssuerListInfoEx).issuers == ()  # Python's servers name nobody
    names = b"\x00\x03abc\x00\x02de"
    request = b"\x01\x40" + b"\x00\x02\x04\x03" + len(names).to_bytes(2) + names
    body = b"\x0d" + len(request).to_bytes(3) + request
    named, _ = asked(OLD, Naming(served(certificates), body))
    assert named.query(sspi.SecPkgContextIssuerListInfoEx).issuers == (b"abc", b"de")


class Naming(Side):
    """A server whose CertificateRequest names authorities, in one record with the rest of its flight."""

    def __init__(self, server: Side, request: bytes) -> None:
        self.__dict__.update(vars(server))
        self._request = request

    def step(self, octets: bytes = b"") -> bytes:
        messages = b""
        flight = super().step(octets)
        at = 0
        while at < len(flight):
            size = int.from_bytes(flight[at + 3 : at + 5])
            message = flight[at + 5 : at + 5 + size]
            messages += self._request if message[0] == 13 else message
            at += 5 + size
        return b"\x16\x03\x03" + len(messages).to_bytes(2) + messages


def test_a_certificate_that_nobody_asks_for_is_not_sent(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    client = Side(credential(NEW, str(certificates.client)), 0, TARGET)
    client, server = logged_on(client, server_side())
    assert server.query(sspi.SecPkgContextRemoteCert).certificate == b""


def test_a_certificate_of_the_policy_is_a_servers(certificates: Certificates) -> None:
    server = served(certificates)
    client = client_side(0, CredSspPolicy(certificate=str(certificates.server)))
    client.step(server.step(client.step()))
    assert client.status is SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS
