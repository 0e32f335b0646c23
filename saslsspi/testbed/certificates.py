"""Certificates for an hour: an authority, a server on this machine, and a client, each in a PEM file."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

__all__ = ["Certificates", "make_certificates"]

_LIFETIME: Final = datetime.timedelta(hours=1)


class Certificates(NamedTuple):
    """Where the files are.

    Attributes:
        authority: The certificate that both sides trust.
        server: Certificate and key of localhost.
        client: Certificate and key of a user.
    """

    authority: Path
    server: Path
    client: Path


def make_certificates(folder: Path, user: str) -> Certificates:
    """Write fresh ones into a folder; the client's common name is the user."""
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "client.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("saslsspi loopback authority")
    authority = (
        _builder(issuer, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    _issue(made.server, "localhost", ExtendedKeyUsageOID.SERVER_AUTH, key, issuer)
    _issue(made.client, user, ExtendedKeyUsageOID.CLIENT_AUTH, key, issuer)
    return made


def _issue(
    file: Path, name: str, purpose: ObjectIdentifier, issuer_key: ec.EllipticCurvePrivateKey, issuer: x509.Name
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        _builder(_name(name), issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), address]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        # Python 3.13 and later verify strictly: the identifier and the key usages have to be there.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    file.touch(mode=0o600)
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFETIME)
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
