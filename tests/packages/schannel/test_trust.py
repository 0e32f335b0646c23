"""A server that is its own authority: a self-signed certificate that the user has named as trusted."""

import datetime
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from saslsspi.packages.schannel.trust import trust_problem

DAY = datetime.timedelta(days=1)


def self_signed(*names: x509.GeneralName, age: datetime.timedelta = DAY) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    start = datetime.datetime.now(datetime.UTC) - age
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + 2 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def problem(certificate: x509.Certificate, trusted: x509.Certificate, host: str, folder: Path) -> str:
    file = folder / "trusted.pem"
    file.write_bytes(trusted.public_bytes(serialization.Encoding.PEM))
    return trust_problem([certificate.public_bytes(serialization.Encoding.DER)], host, str(file), now=time.time())


@pytest.mark.parametrize("host", ["host.example", "HOST.example.", "any.cloud.example"])
def test_its_names_are_trusted(host: str, tmp_path: Path) -> None:
    certificate = self_signed(x509.DNSName("Host.example"), x509.DNSName("*.cloud.example"))
    assert problem(certificate, certificate, host, tmp_path) == ""


@pytest.mark.parametrize("host", ["other.example", "cloud.example", "one.two.cloud.example", "host", "127.0.0.1"])
def test_another_name_is_not(host: str, tmp_path: Path) -> None:
    certificate = self_signed(x509.DNSName("host.example"), x509.DNSName("*.cloud.example"))
    assert f"not that of {host}" in problem(certificate, certificate, host, tmp_path)


@pytest.mark.parametrize("age", [3 * DAY, -DAY], ids=["expired", "to come"])
def test_it_is_trusted_in_its_time_only(age: datetime.timedelta, tmp_path: Path) -> None:
    certificate = self_signed(x509.DNSName("host.example"), age=age)
    assert "not valid at this time" in problem(certificate, certificate, "host.example", tmp_path)


def test_another_certificate_of_the_same_name_is_not_trusted(tmp_path: Path) -> None:
    mine, theirs = self_signed(x509.DNSName("host.example")), self_signed(x509.DNSName("host.example"))
    assert problem(theirs, mine, "host.example", tmp_path)


def test_a_certificate_without_names_is_nobodys(tmp_path: Path) -> None:
    certificate = self_signed()
    assert problem(certificate, certificate, "server", tmp_path)
