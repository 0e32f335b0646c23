"""TLS for the tests of our servers: the server's certificate, and one for a client that is alice."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from interop.certificate import make_server_certificate
from saslsspi import ChannelBindings


@dataclass(frozen=True)
class Tls:
    """Contexts of both sides.

    Attributes:
        client: Trusts the server, and says nothing of itself.
        alice: Shows a certificate for alice as well.
        bindings: The server's channel bindings.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    alice: ssl.SSLContext
    bindings: ChannelBindings
    ca_file: Path


def make_tls(folder: Path) -> Tls:
    made = make_server_certificate(folder)
    alice_file = _write_client_certificate(folder, "alice")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate_file, made.key_file)
    server.load_verify_locations(alice_file)
    server.verify_mode = ssl.CERT_OPTIONAL
    client = ssl.create_default_context(cafile=made.ca_file)
    alice = ssl.create_default_context(cafile=made.ca_file)
    alice.load_cert_chain(alice_file)
    certificate = x509.load_pem_x509_certificate(made.certificate_file.read_bytes())
    bindings = ChannelBindings.tls_server_end_point(certificate.public_bytes(serialization.Encoding.DER))
    return Tls(server, client, alice, bindings, made.ca_file)


def _write_client_certificate(folder: Path, user: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{user}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path
