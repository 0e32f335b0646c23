from __future__ import annotations

import pytest
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import ciphers
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.crypto.rc4 import Rc4
from saslsspi.errors import InvalidParameter, StrongCryptoNotSupported

# RFC 6229 section 2: key, offset, 16 octets of key stream there. The cipher written out below gives the same.
VECTORS = [
    ("0102030405", 0x0000, "b2396305f03dc027ccc3524a0a1118a8"),
    ("0102030405", 0x00F0, "28cb1132c96ce286421dcaadb8b69eae"),
    ("0102030405", 0x0600, "d8729db41882259bee4f825325f5a130"),
    ("0102030405", 0x1000, "ff25b58995996707e51fbdf08b34d875"),
    ("01020304050607", 0x0000, "293f02d47f37c9b633f2af5285feb46b"),
    ("0102030405060708090a", 0x0000, "ede3b04643e586cc907dc21851709902"),
    ("0102030405060708090a", 0x0010, "03516ba78f413beb223aa5d4d2df6711"),
    ("0102030405060708090a", 0x1000, "08b6be45124a43e2eb77953f84dc8553"),
    ("8b37641910833222772a", 0x0000, "ab65c26eddb287600db2fda10d1e605c"),
    ("8b37641910833222772a", 0x1000, "5f6bfc73815874d97100f086979357d8"),
    ("0102030405060708090a0b0c0d0e0f10", 0x0000, "9ac7cc9a609d1ef7b2932899cde41b97"),
    ("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", 0, "eaa6bd25880bf93d3f5d1e4ca2611d91"),
]
KEY = b"\x5a" * 16


@pytest.mark.parametrize(("key", "offset", "stream"), VECTORS)
def test_rc4_gives_the_key_streams_of_rfc_6229(key: str, offset: int, stream: str) -> None:
    cipher = Rc4(bytes.fromhex(key))
    cipher.update(bytes(offset))
    assert cipher.update(bytes(16)).hex() == stream


def written_out(key: bytes, size: int) -> bytes:
    """Return key stream by the algorithm as the textbooks have it."""
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    stream, i, j = bytearray(), 0, 0
    for _ in range(size):
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        stream.append(state[(state[i] + state[j]) % 256])
    return bytes(stream)


@pytest.mark.parametrize(("key", "offset", "stream"), VECTORS)
def test_the_vectors_are_those_of_the_cipher_written_out(key: str, offset: int, stream: str) -> None:
    assert written_out(bytes.fromhex(key), offset + 16)[offset:].hex() == stream


@pytest.mark.parametrize(("key", "offset", "stream"), VECTORS)
def test_rc4_restore_reaches_the_key_streams_of_rfc_6229(key: str, offset: int, stream: str) -> None:
    cipher = Rc4(bytes.fromhex(key))
    cipher.update(bytes(5000))
    cipher.restore(offset)
    assert cipher.update(bytes(16)).hex() == stream


@given(st.integers(0, 300), st.integers(0, 300), st.binary(max_size=40))
def test_rc4_restore_leads_anywhere_and_keeps_a_bound_update(before: int, target: int, data: bytes) -> None:
    cipher = Rc4(KEY)
    update = cipher.update
    update(bytes(before))
    cipher.restore(target)
    assert cipher.position == target
    reference = Rc4(KEY)
    reference.update(bytes(target))
    assert update(data) == reference.update(data)
    assert cipher.position == target + len(data)


def test_rc4_restore_skips_more_than_one_chunk() -> None:
    ahead, stepped = Rc4(KEY), Rc4(KEY)
    ahead.restore(150_000)
    stepped.update(bytes(150_000))
    assert ahead.position == 150_000
    assert ahead.update(bytes(16)) == stepped.update(bytes(16))


def test_rc4_restore_below_zero_is_refused() -> None:
    cipher = Rc4(KEY)
    cipher.update(bytes(3))
    with pytest.raises(InvalidParameter):
        cipher.restore(-1)
    assert cipher.position == 3


def test_rc4_fresh_begins_anew_and_leaves_the_first_alone() -> None:
    first = Rc4(KEY)
    stream = first.update(bytes(16))
    second = first.fresh()
    assert (second.position, first.position) == (0, 16)
    assert second.update(bytes(16)) == stream


def test_rc4_takes_views_of_octets() -> None:
    assert Rc4(KEY).update(memoryview(b"abc")) == Rc4(KEY).update(b"abc")


@pytest.mark.parametrize("size", [0, 4, 6, 9, 33])
def test_rc4_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidParameter, match=f"{size} octets"):
        Rc4(bytes(size))


def test_rc4_repr_shows_no_key() -> None:
    cipher = Rc4(b"topsecret-key-16")
    assert "secret" not in repr(cipher)
    assert repr(cipher) == "<Rc4 128 bits, position 0>"


@pytest.mark.parametrize("error", [UnsupportedAlgorithm("RC4"), InternalError("disabled for FIPS", [])])
def test_rc4_forbidden_by_the_platform_is_said_so(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise error

    Rc4(KEY)
    monkeypatch.setattr(ciphers.Cipher, "encryptor", refuse)
    with pytest.raises(StrongCryptoNotSupported, match="RC4"):
        Rc4(KEY)
