from __future__ import annotations

import pytest
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import ciphers
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.crypto.des import cbc_decryptor, cbc_encryptor, des_encrypt_block, expand_key
from saslsspi.errors import InvalidParameter, StrongCryptoNotSupported

KEY = bytes.fromhex("0123456789abcdef")
TEXT = b"Now is the time for all "


@given(st.binary(min_size=7, max_size=7))
def test_expand_key_keeps_the_bits_and_sets_odd_parity(seven: bytes) -> None:
    expanded = expand_key(seven)
    assert [octet.bit_count() % 2 for octet in expanded] == [1] * 8
    assert "".join(f"{octet >> 1:07b}" for octet in expanded) == f"{int.from_bytes(seven):056b}"


def test_expand_key_gives_the_lm_hash_of_ms_nlmp_4_2_2() -> None:
    halves = (b"PASSWOR", b"D".ljust(7, b"\0"))
    lm_hash = b"".join(des_encrypt_block(expand_key(half), b"KGS!@#$%") for half in halves)
    assert lm_hash.hex() == "e52cac67419a9a224a3b108f3fa6cb6d"


def test_des_block_is_that_of_fips_81() -> None:
    # FIPS 81, table B1 (ECB).
    blocks = b"".join(des_encrypt_block(KEY, TEXT[at : at + 8]) for at in (0, 8, 16))
    assert blocks.hex() == "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53"


def test_des_cbc_is_that_of_fips_81_and_runs_on_over_calls() -> None:
    # FIPS 81, table C1 (CBC).
    vector = bytes.fromhex("1234567890abcdef")
    cipher = cbc_encryptor(KEY, vector)
    sealed = cipher.update(TEXT[:8]) + cipher.update(TEXT[8:])
    assert sealed.hex() == "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"
    plain = cbc_decryptor(KEY, vector)
    assert plain.update(sealed[:16]) + plain.update(sealed[16:]) == TEXT


def test_two_key_triple_des_is_that_of_nist() -> None:
    # NIST's example for two-key TDEA: the first block, where a zero vector makes CBC the same as ECB.
    key = bytes.fromhex("0123456789abcdef23456789abcdef01")
    sealed = cbc_encryptor(key, bytes(8)).update(bytes.fromhex("6bc1bee22e409f96"))
    assert sealed.hex() == "06ede3d82884090a"
    assert cbc_decryptor(key, bytes(8)).update(sealed).hex() == "6bc1bee22e409f96"


@pytest.mark.parametrize(("key", "vector"), [(7, 8), (24, 8), (0, 8), (8, 7), (16, 16)])
def test_des_sizes_that_do_not_fit_are_refused(key: int, vector: int) -> None:
    for begin in (cbc_encryptor, cbc_decryptor):
        with pytest.raises(InvalidParameter):
            begin(bytes(key), bytes(vector))


@pytest.mark.parametrize(("key", "block"), [(16, 8), (8, 7), (8, 16)])
def test_des_block_sizes_that_do_not_fit_are_refused(key: int, block: int) -> None:
    with pytest.raises(InvalidParameter):
        des_encrypt_block(bytes(key), bytes(block))


@pytest.mark.parametrize("size", [0, 6, 8])
def test_expand_key_takes_seven_octets_only(size: int) -> None:
    with pytest.raises(InvalidParameter):
        expand_key(bytes(size))


@pytest.mark.parametrize("error", [UnsupportedAlgorithm("3DES"), InternalError("disabled for FIPS", [])])
def test_des_forbidden_by_the_platform_is_said_so(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise error

    monkeypatch.setattr(ciphers.Cipher, "encryptor", refuse)
    monkeypatch.setattr(ciphers.Cipher, "decryptor", refuse)
    for begin in (cbc_encryptor, cbc_decryptor):
        with pytest.raises(StrongCryptoNotSupported, match="DES"):
            begin(KEY, bytes(8))
