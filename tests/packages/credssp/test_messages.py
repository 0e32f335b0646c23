"""TSRequest and TSCredentials, octet for octet (MS-CSSP section 2.2 and the example of section 4)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saslsspi import errors
from saslsspi.packages.credssp.binding import client_proof, server_proof, subject_public_key
from saslsspi.packages.credssp.credentials import (
    EMPTY,
    PackageCredential,
    PasswordCredentials,
    RemoteGuardCredentials,
    SmartCardCredentials,
    decode_credentials,
)
from saslsspi.packages.credssp.failures import failure_of
from saslsspi.packages.credssp.messages import MAX_SIZE, TSRequest, announced_size
from vector_files import load

VECTORS = {vector["id"]: vector for vector in load("credssp")}
KEY = bytes.fromhex(VECTORS["binding-hash"]["subject_public_key"])
NONCE = bytes(range(32))

# MS-CSSP section 4, "A sample of an unencrypted (ASN.1DER encoded) TSRequest.authInfo structure"
SMART_CARD = bytes.fromhex(
    "3082010fa003020102a182010604820102"
    "3081ffa01a0418620062006200620062006200620062006200620062006200"
    "a181e03081dda003020101a22e042c4f004d004e0049004b00450059002000430061007200"
    "64004d0061006e002000330078003200310020003000a350044e6c0065002d004d00530053006d0061007200"
    "74006300610072006400550073006500720"
    "02d00380062006400610030003100390066002d0031003200360036002d002d0035003300320036003800"
    "a45404524d006900630072006f0073006f0066007400200042006100730065002000530"
    "06d00610072007400200043006100720064002000430072007900700074006f002000500072006f0076006900640065007200"
)


def _message(vector: dict[str, object]) -> TSRequest:
    def octets(name: str) -> bytes | None:
        return bytes.fromhex(str(vector[name])) if name in vector else None

    code = int(str(vector["error_code"]), 16) if "error_code" in vector else None
    version = vector["version"]
    assert isinstance(version, int)
    return TSRequest(
        version, octets("nego_token"), octets("auth_info"), octets("pub_key_auth"), code, octets("client_nonce")
    )


@pytest.mark.requirement("MSCSSP-2.2-01", "MSCSSP-2.2.1-01", "MSCSSP-2.2.1.1-01", "MSCSSP-2.2.1-12")
@pytest.mark.parametrize("name", [name for name in VECTORS if name.startswith("tsrequest")])
def test_ts_requests_are_those_of_the_vectors(name: str) -> None:
    der = bytes.fromhex(VECTORS[name]["der"])
    message = _message(VECTORS[name])
    assert TSRequest.from_bytes(der) == message
    if name != "tsrequest-errorcode-positive":
        assert message.to_bytes() == der
    assert announced_size(der) == len(der)


@pytest.mark.requirement("MSCSSP-3.1.5-13", "MSCSSP-3.1.5-14", "MSCSSP-3.1.5-20", "MSCSSP-3.1.5-22", "MSCSSP-3.1.5-16")
def test_proofs_are_those_of_the_vectors() -> None:
    hashes, echo = VECTORS["binding-hash"], VECTORS["v2-4-server-reply"]
    for version in (5, 6):
        assert client_proof(version, NONCE, KEY).hex() == hashes["client_to_server_hash"]
        assert server_proof(version, NONCE, KEY).hex() == hashes["server_to_client_hash"]
    for version in (2, 3, 4):
        assert client_proof(version, b"", KEY) == KEY
        assert server_proof(version, b"", KEY).hex() == echo["server_plain_reply"]
    assert server_proof(2, b"", b"\xff\x01") == b"\x00\x01"  # "adds 1 to the first byte": there is no carry


@pytest.mark.requirement("MSCSSP-2.2-02", "MSCSSP-2.2.1.2.1-01")
def test_password_credentials_are_those_of_the_vectors() -> None:
    vector = VECTORS["tscredentials-password"]
    credentials = PasswordCredentials(vector["domain"], vector["user"], vector["password"])
    assert credentials.to_bytes().hex() == vector["der"]
    assert decode_credentials(bytes.fromhex(vector["der"])) == credentials
    assert EMPTY.to_bytes().hex() == VECTORS["tscredentials-empty"]["der"]
    assert "hidden" not in repr(PasswordCredentials("", "", "hidden"))


@pytest.mark.requirement("MSCSSP-2.2.1.2.2-01", "MSCSSP-2.2.1.2.2.1-01")
def test_smart_card_credentials_are_those_of_the_example() -> None:
    assert len(SMART_CARD) == 275
    credentials = decode_credentials(SMART_CARD)
    assert credentials == SmartCardCredentials(
        "b" * 12,
        1,
        reader_name="OMNIKEY CardMan 3x21 0",
        container_name="le-MSSmartcardUser-8bda019f-1266--53268",
        csp_name="Microsoft Base Smart Card Crypto Provider",
    )
    assert credentials.to_bytes() == SMART_CARD
    assert "bbbb" not in repr(credentials)
    hinted = SmartCardCredentials("1", 0, "card", user_hint="u", domain_hint="d")
    assert decode_credentials(hinted.to_bytes()) == hinted


@pytest.mark.requirement("MSCSSP-2.2.1.2.3-01", "MSCSSP-2.2.1.2.3.1-01")
@pytest.mark.parametrize("supplemental", [(), (PackageCredential("NTLM", b"\x01"), PackageCredential("x", b""))])
def test_remote_guard_credentials_survive_a_round_trip(supplemental: tuple[PackageCredential, ...]) -> None:
    credentials = RemoteGuardCredentials(PackageCredential("Kerberos", b"secret"), supplemental)
    assert decode_credentials(credentials.to_bytes()) == credentials
    assert "secret" not in repr(credentials)


@pytest.mark.requirement("MSCSSP-2.2.1-02", "MSCSSP-2.2.1.1-02", "MSCSSP-2.2-01", "MSCSSP-2.2.1-12")
@pytest.mark.parametrize(
    "der",
    [
        "",
        "30",
        "3005a003020106ff",  # octets behind
        "3005a003020101",  # version 1
        "3005a003020100",
        "3006a00402020006",  # INTEGER not minimal
        "308005a0030201060000",  # indefinite length
        "30810 5a003020106".replace(" ", ""),  # length not minimal
        "3009a003020106a1023000",  # no token
        "3017a003020106a110300e3005a003040161 3005a003040162".replace(" ", ""),  # two tokens
        "300aa003020106a403020100",  # errorCode 0: success
        "300fa003020106a4080206010000000000",  # errorCode of 6 octets
        "3008a20304 0161a003020106".replace(" ", ""),  # out of order
        "300aa003020106a203040161",  # this one is right but for its length
    ],
)
def test_malformed_ts_requests_are_invalid_tokens(der: str) -> None:
    octets = bytes.fromhex(der)
    if octets.hex() == "300aa003020106a203040161":
        octets = octets[:-1]
    with pytest.raises(errors.InvalidToken):
        TSRequest.from_bytes(octets)


def test_a_ts_request_has_a_largest_size() -> None:
    assert announced_size(b"\x30\x83\x01\xff\xfb") == MAX_SIZE
    for octets in (b"\x30\x83\x01\xff\xfc", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x85", b"\x31"):
        with pytest.raises(errors.InvalidToken):
            announced_size(octets)
    with pytest.raises(errors.InvalidToken):
        TSRequest.from_bytes(bytes(MAX_SIZE + 1))
    assert announced_size(b"\x30\x83\x01") is None


@pytest.mark.requirement("MSCSSP-2.2.1.2-01", "MSCSSP-2.2.1.2-02", "MSCSSP-3.1.5-27")
@pytest.mark.parametrize(
    "octets",
    [
        EMPTY.to_bytes().replace(b"\xa0\x03\x02\x01\x01", b"\xa0\x03\x02\x01\x02"),  # a password under another type
        EMPTY.to_bytes().replace(b"\xa0\x03\x02\x01\x01", b"\xa0\x03\x02\x01\x03"),
        EMPTY.to_bytes().replace(b"\xa0\x03\x02\x01\x01", b"\xa0\x03\x02\x01\x00"),
        EMPTY.to_bytes() + EMPTY.to_bytes(),
        PasswordCredentials("", "", "x").to_bytes().replace(b"\x04\x02x\x00", b"\x04\x02\x00\xd8")[:-1],
        bytes.fromhex("3015a003020101a10e040c300aa0020400a1040402 0000".replace(" ", "")),  # no password
    ],
)
def test_malformed_credentials_are_invalid_tokens(octets: bytes) -> None:
    with pytest.raises(errors.InvalidToken):
        decode_credentials(octets)


def test_text_of_an_odd_size_is_an_invalid_token() -> None:
    octets = PasswordCredentials("", "", "ab").to_bytes().replace(b"\x04\x04a\0b\0", b"\x04\x04abcd")
    assert decode_credentials(octets)
    with pytest.raises(errors.InvalidToken):
        decode_credentials(bytes.fromhex("3018a003020101a111040f300da0020400a1020400a203040161"))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_octets_raise_anything_but_our_error(octets: bytes) -> None:
    for read in (TSRequest.from_bytes, decode_credentials, announced_size, subject_public_key):
        with contextlib.suppress(errors.SaslError):
            read(octets)


@given(
    st.builds(
        TSRequest,
        st.integers(2, 2**31),
        *(st.none() | st.binary(max_size=40) for _ in range(3)),
        st.none() | st.integers(1, 2**32 - 1),
        st.none() | st.binary(max_size=40),
    )
)
@settings(max_examples=200, deadline=None)
def test_every_message_survives_a_round_trip(message: TSRequest) -> None:
    assert TSRequest.from_bytes(message.to_bytes()) == message
    assert "octets" in repr(message) or message[1:4] == (None, None, None)


def test_every_error_code_has_an_error() -> None:
    assert isinstance(failure_of(0xC000006D), errors.LogonDenied)
    assert isinstance(failure_of(0x8009030C), errors.LogonDenied)
    assert isinstance(failure_of(0xC00000BB), errors.UnsupportedFunction)
    assert isinstance(failure_of(0xC000005E), errors.NoAuthenticatingAuthority)
    unknown = failure_of(0xC00700EA)
    assert isinstance(unknown, errors.LogonDenied)
    assert "0xC00700EA" in str(unknown)
    assert unknown.ntstatus == 0xC00700EA
    assert "STATUS_ACCOUNT_LOCKED_OUT" in str(failure_of(0xC0000234))
