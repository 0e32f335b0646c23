"""The TLS of CredSSP, as callers of pyspnego configure it."""

from __future__ import annotations

import datetime
import functools
import platform
import ssl
from dataclasses import dataclass

__all__ = ["CredSSPTLSContext", "default_tls_context", "generate_tls_certificate", "get_certificate_public_key"]

_DAYS = 365


@dataclass
class CredSSPTLSContext:
    """An SSLContext for CredSSP.

    Attributes:
        context: What connections are made of.
        public_key: There an acceptor must say the key of its certificate; here it is found out, and this is not read.
    """

    context: ssl.SSLContext
    public_key: bytes | None = None


def default_tls_context(usage: str = "initiate") -> CredSSPTLSContext:
    """Return a context for a side, "initiate" or "accept": TLS 1.2 at least, certificates not verified.

    CredSSP binds the server's key instead (MS-CSSP section 3.1.5).
    """
    client = usage == "initiate"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
    if client:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_COMPRESSION
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return CredSSPTLSContext(context)


def generate_tls_certificate() -> tuple[bytes, bytes, bytes]:
    """Return a new self-signed certificate and its key, both in PEM, and the public key in DER (PKCS #1)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CREDSSP-{platform.node()}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    shown = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return certificate.public_bytes(pem), secret, shown


@functools.cache
def own_context() -> ssl.SSLContext:
    """Return the context of acceptors that are given none, with an RSA key: pyspnego's initiators take no other."""
    from saslsspi.packages.schannel.certificate import temporary_file

    certificate, key, _ = generate_tls_certificate()
    made = default_tls_context("accept").context
    with temporary_file(certificate + key) as file:
        made.load_cert_chain(file)
    return made


def get_certificate_public_key(data: bytes) -> bytes:
    """Return the public key inside a certificate in DER, as CredSSP binds it; of any kind of key."""
    from saslsspi.packages.credssp.binding import subject_public_key

    return subject_public_key(data)
