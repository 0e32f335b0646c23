"""Schannel's calls as a program of Windows makes them, and OpenSSL through Python's ssl as the other side."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import tempfile
from functools import cache
from pathlib import Path

from saslsspi import sspi
from saslsspi.sspi import CredentialUse, IscReq, SecBuffer, SecBufferDesc, SecBufferType
from saslsspi.testbed.certificates import Certificates, make_certificates

UNISP_NAME = "Microsoft Unified Security Protocol Provider"
STREAM = IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_STREAM
MANUAL = IscReq.ISC_REQ_MANUAL_CRED_VALIDATION
SUPPLIED = IscReq.ISC_REQ_USE_SUPPLIED_CREDS
TLS12_CLIENT, TLS12_SERVER = 0x800, 0x400
TOKEN, EMPTY, DATA = SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_EMPTY, SecBufferType.SECBUFFER_DATA
ALERT, MISSING, EXTRA = SecBufferType.SECBUFFER_ALERT, SecBufferType.SECBUFFER_MISSING, SecBufferType.SECBUFFER_EXTRA


@cache
def certificates() -> Certificates:
    return make_certificates(Path(tempfile.mkdtemp()), "alice")


@cache
def rsa_server() -> Path:
    """A certificate of localhost with an RSA key, as that of the server that Wine's tests ask."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    certificate = made.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = Path(tempfile.mkdtemp()) / "server.pem"
    file.write_bytes(certificate.public_bytes(pem) + secret)
    return file


class Peer:
    """A server of OpenSSL's for TLS 1.2."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(rsa_server())
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.connection = context.wrap_bio(self._in, self._out, server_side=True)

    def answer(self, token: bytes) -> bytes:
        self._in.write(token)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.connection.do_handshake()
        return self._out.read()

    def read(self, wire: bytes) -> bytes:
        self._in.write(wire)
        return self.connection.read(1 << 14)

    def write(self, text: bytes) -> bytes:
        self.connection.write(text)
        return self._out.read()


def outbound(identity: sspi.AuthIdentity | None = None, name: str = UNISP_NAME) -> sspi.CredHandle:
    use = CredentialUse.SECPKG_CRED_OUTBOUND
    return sspi.acquire_credentials_handle(None, name, use, auth_data=identity).credential


class Client:
    """A client of Schannel: each call with the buffers that it is given."""

    def __init__(self, credential: sspi.CredHandle | None = None, target: str = "localhost") -> None:
        self.credential = credential or outbound(sspi.SchCredentials(protocols=TLS12_CLIENT))  # type: ignore[arg-type]
        self.handle = sspi.CtxtHandle()
        self.target = target

    def call(
        self, inputs: SecBufferDesc | None, outputs: SecBufferDesc | None, flags: int = STREAM | MANUAL
    ) -> sspi.InitializeContextResult:
        return sspi.initialize_security_context(self.credential, self.handle, self.target, flags, 0, inputs, outputs)

    def first(self, flags: int = STREAM | MANUAL) -> bytes:
        output = room()
        self.call(None, output, flags)
        return output[0].data

    def connect(self, peer: Peer, *, first: int = STREAM | MANUAL, later: int = int(SUPPLIED)) -> IscResult:
        """Run a handshake as Wine's loop does: one TOKEN of input; return the last call's result and output."""
        token = self.first(first)
        while True:
            output = room()
            result = self.call(tokens(peer.answer(token)), output, later)
            token = output[0].data
            if result.status is sspi.SecurityStatus.SEC_E_OK:
                return result, output


IscResult = tuple[sspi.InitializeContextResult, SecBufferDesc]


def room(size: int = 8192, kind: SecBufferType = TOKEN) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(bytearray(size), kind)])


def tokens(token: bytes, *others: SecBuffer) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(bytearray(token), TOKEN), *others])


def empty(size: int = 0) -> SecBuffer:
    return SecBuffer(bytearray(size) if size else None, EMPTY)
