from __future__ import annotations

import contextlib
import datetime
import hashlib
import struct
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import InvalidParameter

WORD = st.integers(0, 2**32 - 1)
OCTETS = st.binary(max_size=40)
BINDINGS = st.builds(ChannelBindings, WORD, OCTETS, WORD, OCTETS, OCTETS)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def certificate(key: Any, algorithm: Any, **options: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.example")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
    )
    return builder.sign(key, algorithm, **options).public_bytes(serialization.Encoding.DER)


def with_sha1_signature(der: bytes) -> bytes:
    """Rename sha256WithRSAEncryption to sha1WithRSAEncryption; signing with SHA-1 is refused, reading is not."""
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    assert der.count(sha256) == 2
    return der.replace(sha256, sha1)


@pytest.mark.requirement("RFC5929-4-01", "RFC5929-4-03")
def test_end_point_of_a_sha256_certificate_is_its_sha256(rsa_key: rsa.RSAPrivateKey) -> None:
    der = certificate(rsa_key, hashes.SHA256())
    bindings = ChannelBindings.tls_server_end_point(der)
    assert bindings.application_data == b"tls-server-end-point:" + hashlib.sha256(der).digest()


@pytest.mark.requirement("RFC5929-4-02")
def test_end_point_of_a_sha1_certificate_is_its_sha256(rsa_key: rsa.RSAPrivateKey) -> None:
    der = with_sha1_signature(certificate(rsa_key, hashes.SHA256()))
    assert ChannelBindings.tls_server_end_point(der).type_data == hashlib.sha256(der).digest()


@pytest.mark.requirement("RFC5929-4-03")
@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512"), (hashes.SHA3_256(), "sha3_256")],
)
def test_end_point_takes_the_hash_of_the_signature(algorithm: hashes.HashAlgorithm, name: str) -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()), algorithm)
    assert ChannelBindings.tls_server_end_point(der).type_data == hashlib.new(name, der).digest()


@pytest.mark.requirement("RFC5929-4-03")
def test_end_point_takes_the_hash_of_the_pss_parameters(rsa_key: rsa.RSAPrivateKey) -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
    der = certificate(rsa_key, hashes.SHA512(), rsa_padding=pss)
    assert ChannelBindings.tls_server_end_point(der).type_data == hashlib.sha512(der).digest()


@pytest.mark.requirement("RFC5929-4-04")
def test_end_point_of_a_signature_without_hash_is_its_sha256() -> None:
    der = certificate(ed25519.Ed25519PrivateKey.generate(), None)
    assert ChannelBindings.tls_server_end_point(der).type_data == hashlib.sha256(der).digest()


@pytest.mark.requirement("RFC5929-4-04")
def test_end_point_of_an_unknown_signature_is_its_sha256(rsa_key: rsa.RSAPrivateKey) -> None:
    der = certificate(rsa_key, hashes.SHA256()).replace(
        bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d01017f")
    )
    assert ChannelBindings.tls_server_end_point(der).type_data == hashlib.sha256(der).digest()


def test_end_point_of_a_certificate_that_x509_libraries_refuse_is_taken(rsa_key: rsa.RSAPrivateKey) -> None:
    der = certificate(rsa_key, hashes.SHA256())
    zero_serial = der.replace(b"\x02\x01\x01\x30", b"\x02\x01\x00\x30", 1)  # as Samba's own certificate has it
    assert zero_serial != der
    assert ChannelBindings.tls_server_end_point(zero_serial).type_data == hashlib.sha256(zero_serial).digest()


@pytest.mark.parametrize("data", [b"", b"0\x03\x02\x01\x00", b"-----BEGIN CERTIFICATE-----"])
def test_end_point_of_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="certificate"):
        ChannelBindings.tls_server_end_point(data)


def test_typed_bindings_name_their_type() -> None:
    unique, exporter = ChannelBindings.tls_unique(b":12 octets"), ChannelBindings.tls_exporter(bytes(32))
    assert unique.application_data == b"tls-unique::12 octets"
    assert (unique.type_name, unique.type_data) == ("tls-unique", b":12 octets")
    assert exporter.application_data == b"tls-exporter:" + bytes(32)
    assert (exporter.type_name, exporter.type_data) == ("tls-exporter", bytes(32))


@pytest.mark.parametrize("make", [ChannelBindings.tls_unique, ChannelBindings.tls_exporter])
def test_typed_bindings_need_data(make: Any) -> None:
    with pytest.raises(InvalidParameter):
        make(b"")


@pytest.mark.parametrize("data", [b"", b"no colon", b":no name", b"no name\x00:data", b"name\n:data"])
def test_untyped_bindings_are_all_data(data: bytes) -> None:
    bindings = ChannelBindings(application_data=data)
    assert (bindings.type_name, bindings.type_data) == ("", data)


def test_gss_hash_is_that_of_the_published_example() -> None:
    # The example of Microsoft's open specifications team, "NTLM and Channel Binding Hash (aka Extended Protection for
    # Authentication)".
    end_point = bytes.fromhex("ea05fefecc6b0bd571dbbc5baa3ed45386d0446835f7b74c85621b9983475f95")
    bindings = ChannelBindings(application_data=b"tls-server-end-point:" + end_point)
    assert bindings.gss_hash().hex() == "6586e99d81c2fc984e47172fd4dd0310"


@given(BINDINGS)
def test_gss_hash_covers_every_field_little_endian(bindings: ChannelBindings) -> None:
    # RFC 4121 section 4.1.1.2.
    covered = b""
    for kind, data in (
        (bindings.initiator_addr_type, bindings.initiator_addr),
        (bindings.acceptor_addr_type, bindings.acceptor_addr),
    ):
        covered += kind.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data
    covered += len(bindings.application_data).to_bytes(4, "little") + bindings.application_data
    assert bindings.gss_hash() == hashlib.md5(covered).digest()


@given(BINDINGS)
def test_bindings_survive_their_wire_form(bindings: ChannelBindings) -> None:
    assert ChannelBindings.from_bytes(bindings.to_bytes()) == bindings


def test_wire_form_is_that_of_windows() -> None:
    data = ChannelBindings.tls_unique(b"finished").to_bytes()
    assert data == struct.pack("<8I", 0, 0, 0, 0, 0, 0, 19, 32) + b"tls-unique:finished"
    data = ChannelBindings(2, b"abcd", 2, b"efgh", b"x").to_bytes()
    assert data == struct.pack("<8I", 2, 4, 32, 2, 4, 36, 1, 40) + b"abcdefghx"


def test_wire_form_takes_data_in_any_order() -> None:
    data = struct.pack("<8I", 2, 4, 33, 2, 4, 37, 1, 32) + b"xabcdefgh"
    assert ChannelBindings.from_bytes(data) == ChannelBindings(2, b"abcd", 2, b"efgh", b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(31),
        bytes(33),
        struct.pack("<8I", 0, 0, 0, 0, 0, 0, 2, 32) + b"x",
        struct.pack("<8I", 0, 0, 0, 0, 0, 0, 1, 31) + b"x",
        struct.pack("<8I", 0, 0, 0, 0, 0, 0, 1, 33) + b"x",
        struct.pack("<8I", 0, 0, 0, 0, 0, 0, 1, 0xFFFFFFFF) + b"x",
        struct.pack("<8I", 0, 0xFFFFFFFF, 32, 0, 0, 0, 1, 32) + b"x",
    ],
)
def test_malformed_wire_form_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter):
        ChannelBindings.from_bytes(data)


@given(st.binary(max_size=64))
def test_random_octets_raise_nothing_but_invalid_parameter(data: bytes) -> None:
    with contextlib.suppress(InvalidParameter):
        ChannelBindings.from_bytes(data)


def test_repr_is_short() -> None:
    assert repr(ChannelBindings.tls_exporter(bytes(32))) == "<ChannelBindings tls-exporter, 32 octets>"
    assert "4 and 0" in repr(ChannelBindings(2, b"abcd"))
    assert len(repr(ChannelBindings(application_data=bytes(9999)))) < 80
