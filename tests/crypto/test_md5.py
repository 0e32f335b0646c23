from __future__ import annotations

import hashlib
import hmac
import runpy
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import saslsspi.crypto.md5 as module
from saslsspi.crypto.md5 import HmacMd5, md5, md5_long
from saslsspi.errors import StrongCryptoNotSupported
from saslsspi.status import SecurityStatus

# RFC 2202 section 2.
HMAC_VECTORS = [
    (b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
    (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
    (b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
    (bytes(range(1, 26)), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
    (b"\x0c" * 16, b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
    (b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First", "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
    (
        b"\xaa" * 80,
        b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
        "6f630fad67cda0ee1fb1f562db3aa53e",
    ),
]


@pytest.mark.parametrize("constructor", [md5, md5_long])
def test_md5_gives_the_digests_of_rfc_1321(constructor: Any) -> None:
    # RFC 1321, appendix A.5.
    assert constructor(b"").hexdigest() == "d41d8cd98f00b204e9800998ecf8427e"
    assert constructor(b"message digest").digest().hex() == "f96b697d7cb7938d525a2f31aaf161d0"
    state = constructor(b"message ")
    copied = state.copy()
    copied.update(b"digest")
    assert copied.hexdigest() == "f96b697d7cb7938d525a2f31aaf161d0"
    assert state.digest() == hashlib.md5(b"message ").digest()


@pytest.mark.parametrize(("key", "message", "mac"), HMAC_VECTORS)
def test_hmac_md5_gives_the_macs_of_rfc_2202(key: bytes, message: bytes, mac: str) -> None:
    keyed = HmacMd5(key)
    assert keyed.digest(message).hex() == mac
    assert keyed.digest(message[:3], message[3:]).hex() == mac, "the key's states must survive a digest"


@given(st.binary(max_size=140), st.lists(st.binary(max_size=80), max_size=4))
def test_hmac_md5_of_parts_is_that_of_the_whole(key: bytes, parts: list[bytes]) -> None:
    assert HmacMd5(key).digest(*parts) == hmac.digest(key, b"".join(parts), "md5")


def test_hmac_md5_states_serve_a_hot_path() -> None:
    keyed = HmacMd5(b"Jefe")
    inner, outer = keyed.inner.copy(), keyed.outer.copy()
    inner.update(b"what do ya want for nothing?")
    outer.update(inner.digest())
    assert outer.hexdigest() == "750c783e6ab0b503eaa86e310a5db738"


def test_hmac_md5_repr_shows_no_key() -> None:
    assert "Jefe" not in repr(HmacMd5(b"Jefe"))


def _refuse_in_fips(data: bytes = b"", *, usedforsecurity: bool = True) -> object:
    if usedforsecurity:
        raise ValueError("[digital envelope routines] disabled for FIPS")
    return module.md5(data)


def _refuse(*_: object, **__: object) -> object:
    raise ValueError("[digital envelope routines] unsupported")


def test_md5_for_other_than_security_serves_in_fips_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_md5", None)
    monkeypatch.setattr(hashlib, "md5", _refuse_in_fips)
    there = runpy.run_path(module.__file__)
    assert there["md5"](b"").hexdigest() == "d41d8cd98f00b204e9800998ecf8427e"


def test_md5_built_in_serves_where_openssl_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("_md5")
    monkeypatch.setattr(hashlib, "md5", _refuse)
    there = runpy.run_path(module.__file__)
    assert there["md5_long"](b"").hexdigest() == "d41d8cd98f00b204e9800998ecf8427e"


def test_md5_forbidden_by_the_platform_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_md5", None)
    monkeypatch.setattr(hashlib, "md5", _refuse)
    there = runpy.run_path(module.__file__)
    with pytest.raises(StrongCryptoNotSupported, match="MD5") as caught:
        there["HmacMd5"](b"key")
    assert caught.value.status is SecurityStatus.SEC_E_STRONG_CRYPTO_NOT_SUPPORTED
