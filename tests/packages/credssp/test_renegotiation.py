"""A CredSSP peer on OpenSSL that asks to renegotiate in the middle of its stream: nothing is lost, nothing damaged."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from OpenSSL import SSL

from packages.credssp.ours import NTLM_ONLY, PEOPLE, client_side
from packages.schannel.stream import Side
from saslsspi import Context, Policy, sspi
from saslsspi.packages.credssp.binding import client_proof, server_proof, subject_public_key
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import (
    CredsspCred,
    SchannelProtocol,
    SchCredentials,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
    WinNTAuthIdentity,
)
from saslsspi.testbed.certificates import make_certificates
from sspi_context import DOMAIN, PASSWORD, USER

NO_RENEGOTIATION = 21  # the type of its record
RENEGOTIATE = SecurityStatus.SEC_I_RENEGOTIATE


class OpensslServer:
    """CredSSP's server: TLS 1.2 of OpenSSL, which can renegotiate, and Negotiate inside it."""

    def __init__(self, certificate: str) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_file(certificate)
        context.use_privatekey_file(certificate)
        self.tls = SSL.Connection(context, None)
        self.tls.set_accept_state()
        pem = Path(certificate).read_text(encoding="ascii")
        first = pem[pem.index("-----BEGIN CERT") : pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----"
        self._key = subject_public_key(ssl.PEM_cert_to_DER_cert(first))
        self._inside = Context.accept("Negotiate", authority=PEOPLE, policy=Policy(negotiate=NTLM_ONLY))
        self.done = False

    def shake(self, octets: bytes = b"") -> bytes:
        if octets:
            self.tls.bio_write(octets)
        with contextlib.suppress(SSL.WantReadError):
            self.tls.do_handshake()
        return self.out()

    def out(self) -> bytes:
        octets = b""
        while True:
            try:
                octets += self.tls.bio_read(65536)
            except SSL.WantReadError:
                return octets

    def answer(self) -> bytes:
        """Answer the TSRequest that has come, if one has."""
        try:
            message = TSRequest.from_bytes(self.tls.recv(65536))
        except SSL.WantReadError:
            return b""
        if message.auth_info is not None:
            self.done = True
            return b""
        token = self._inside.step(message.nego_token) if message.nego_token else None
        proof = None
        if message.pub_key_auth is not None:
            nonce = message.client_nonce or b""
            assert self._inside.unwrap(message.pub_key_auth) == client_proof(6, nonce, self._key)
            proof = self._inside.wrap(server_proof(6, nonce, self._key))
        return self.say(TSRequest(6, token or None, pub_key_auth=proof).to_bytes())

    def say(self, text: bytes) -> bytes:
        self.tls.sendall(text)
        return self.out()

    def hear(self, octets: bytes) -> bytes:
        self.tls.bio_write(octets)
        return self.tls.recv(65536)


@pytest.fixture
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, OpensslServer]:
    """Both ends of an established exchange."""
    server = OpensslServer(str(make_certificates(tmp_path_factory.mktemp("certificates"), "alice").server))
    tls = SchCredentials(protocols=SchannelProtocol.SP_PROT_TLS1_2)
    client = client_side(identity=CredsspCred(schannel=tls, spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD)))
    token = client.step()
    for _ in range(12):
        reply = server.shake(token)
        if not reply:
            reply = server.answer()
        if server.done:
            return client, server
        token = b"" if client.done else client.step(reply)
    raise AssertionError("the exchange has not ended")


def asked(client: Side, server: OpensslServer) -> None:
    """Let the server ask, and the client read it."""
    assert server.tls.renegotiate()
    assert client.decrypt(server.shake()) == (b"", b"", RENEGOTIATE)


def test_every_record_before_the_request_is_delivered_and_those_behind_it_too(ends: tuple[Side, OpensslServer]) -> None:
    client, server = ends
    before = server.say(b"before")
    assert server.tls.renegotiate()
    request = server.shake()
    text, left, status = client.decrypt(before + request)
    assert (text, status) == (b"before", SecurityStatus.SEC_E_OK)
    assert client.decrypt(left) == (b"", b"", RENEGOTIATE)


def test_the_refusal_precedes_the_next_message_and_fits_the_buffers(ends: tuple[Side, OpensslServer]) -> None:
    client, server = ends
    asked(client, server)
    wire = client.encrypt(b"ours")
    assert wire[0] == NO_RENEGOTIATION
    assert wire[5 + int.from_bytes(wire[3:5])] == 23


def test_the_refusal_goes_out_with_the_next_call_and_not_twice(ends: tuple[Side, OpensslServer]) -> None:
    client, server = ends
    asked(client, server)
    output = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
    result = sspi.initialize_security_context(
        client.credential, client.handle, client.target, client.flags, 16, None, output
    )
    assert result.status is SecurityStatus.SEC_E_OK
    assert output[0].data[0] == NO_RENEGOTIATION
    assert client.encrypt(b"ours")[0] == 23


def test_what_was_sealed_before_the_request_was_read_arrives(ends: tuple[Side, OpensslServer]) -> None:
    client, server = ends
    wire = client.encrypt(b"first")
    assert server.hear(wire) == b"first"
    asked(client, server)
