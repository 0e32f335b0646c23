from __future__ import annotations

import hashlib

import pytest

import saslsspi.crypto.md4 as module
from saslsspi.crypto.md4 import md4

# RFC 1320, appendix A.5.
VECTORS = [
    (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
    (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
    (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
    (b"message digest", "d9130a8164549fe818874806e1c7014b"),
    (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
    (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
]


@pytest.mark.parametrize(("message", "digest"), VECTORS)
def test_md4_gives_the_digests_of_rfc_1320(message: bytes, digest: str) -> None:
    assert md4(message).hex() == digest


@pytest.mark.parametrize(("message", "digest"), VECTORS)
def test_md4_of_our_own_gives_the_digests_of_rfc_1320(message: bytes, digest: str) -> None:
    assert module._digest(message).hex() == digest


def test_md4_of_the_platform_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    def new(name: str, data: bytes = b"", *, usedforsecurity: bool = True) -> object:
        assert (name, usedforsecurity) == ("md4", False)
        return hashlib.md5(data)

    monkeypatch.setattr(hashlib, "new", new)
    module._implementation.cache_clear()
    try:
        assert md4(b"abc") == hashlib.md5(b"abc").digest()
    finally:
        module._implementation.cache_clear()


def test_md4_works_where_the_platform_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def new(*_: object, **__: object) -> object:
        raise ValueError("unsupported hash type md4")

    monkeypatch.setattr(hashlib, "new", new)
    module._implementation.cache_clear()
    try:
        assert md4(b"abc").hex() == "a448017aaf21d8525fc10ae87aa6729d"
    finally:
        module._implementation.cache_clear()
