"""A self-signed certificate for an acceptor that has none, and certificates from files."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from saslsspi.errors import NoCredentials, UnknownCredentials

__all__ = ["SelfSigned", "first_certificate", "key_kind", "self_signed", "shown_certificate", "temporary_file"]

_YEARS: Final = 10


class SelfSigned(NamedTuple):
    """A fresh certificate.

    Attributes:
        pem: Certificate and key; a secret.
        der: The certificate alone.
    """

    pem: bytes
    der: bytes

    def __repr__(self) -> str:
        return f"SelfSigned({len(self.der)} octets)"


def self_signed(host: str, *, now: float) -> SelfSigned:
    """Make one with a P-256 key: an RSA key costs four hundred times as much."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (host or "saslsspi")[:64])])
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - datetime.timedelta(days=1))
        .not_valid_after(begin + datetime.timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding
    secret = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SelfSigned(certificate.public_bytes(encoding.PEM) + secret, certificate.public_bytes(encoding.DER))


def first_certificate(file: str) -> bytes:
    """Return the first certificate of a PEM file in DER.

    Raises:
        NoCredentials: the file cannot be read, or has none.
        UnknownCredentials: it is none of X.509.
    """
    try:
        text = Path(file).read_text(encoding="ascii", errors="replace")
        start = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index("-----END CERTIFICATE-----", start) + len("-----END CERTIFICATE-----")
        certificate = ssl.PEM_cert_to_DER_cert(text[start:end] + "\n")
    except (OSError, ValueError) as error:
        raise NoCredentials(f"{file} holds no certificate that can be read: {error}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except ssl.SSLError as error:
        raise UnknownCredentials(f"what {file} says is a certificate is none: {error.reason or error}") from error
    return certificate


def key_kind(certificate: bytes) -> str:
    """Return what Schannel calls the kind of a certificate's key: "RSA", "ECDSA", or "" for another."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = x509.load_der_x509_certificate(certificate).public_key() if certificate else None
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA" if isinstance(key, ec.EllipticCurvePublicKey) else ""


def shown_certificate(context: ssl.SSLContext) -> bytes:
    """Return the certificate of an acceptor's context in DER, which only a client is told: a handshake in memory.

    Raises:
        NoCredentials: it has none.
    """
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    asking.set_ciphers("ALL:@SECLEVEL=0")  # nothing but the certificate is wanted
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there)
    server = context.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server, client):  # TLS 1.3 is done with the third
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise NoCredentials(
                f"the SSLContext shows no certificate to a client without one ({error.reason or error}): give it one "
                "with load_cert_chain"
            ) from error
    try:
        return client.getpeercert(binary_form=True) or b""
    except ValueError as error:  # the handshake is not done
        raise NoCredentials("the SSLContext shows no certificate: give it one with load_cert_chain") from error


@contextlib.contextmanager
def temporary_file(octets: bytes) -> Iterator[str]:
    """Name a file with some octets for a short time, since OpenSSL's Python face reads keys from files only.

    Where the system has files in memory the key never reaches a disk.
    """
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, octets)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    descriptor, name = tempfile.mkstemp()  # mode 600
    try:
        os.write(descriptor, octets)
        os.close(descriptor)
        yield name
    finally:
        os.unlink(name)
