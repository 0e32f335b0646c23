"""MD5 (RFC 1321) and HMAC-MD5 (RFC 2104) for the hot paths: the fastest constructors, and prepared keyed states."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Final, Protocol, Self, TypeAlias

from saslsspi.errors import StrongCryptoNotSupported

__all__ = ["LONG", "HmacMd5", "Md5", "md5", "md5_long"]

LONG: Final = 2048
"""From this size on, in octets, md5_long is the faster one."""

_Octets: TypeAlias = bytes | bytearray | memoryview


class Md5(Protocol):
    """What an MD5 hash object does, whichever library made it."""

    def copy(self) -> Self:
        """Return an independent object in the same state."""

    def update(self, data: _Octets, /) -> None:
        """Hash more octets."""

    def digest(self) -> bytes:
        """Return the 16 octets; the object stays usable."""

    def hexdigest(self) -> str:
        """Return the digest as 32 lower-case hex digits."""


class _Constructor(Protocol):
    def __call__(self, data: _Octets = b"", /) -> Md5: ...


def _forbidden(data: _Octets = b"", /) -> Md5:
    raise StrongCryptoNotSupported("this platform forbids MD5, even where it is not used for security")


def _built_in() -> _Constructor:
    from _md5 import md5  # type: ignore[import-not-found]  # a private module of CPython; typeshed has no stub

    constructor: _Constructor = md5
    return constructor


def _openssl() -> _Constructor:
    return hashlib.md5


def _openssl_under_fips() -> _Constructor:
    return functools.partial(hashlib.md5, usedforsecurity=False)  # the flag costs 150 ns a call


def _first_permitted(*choices: Callable[[], _Constructor]) -> _Constructor:
    for choose in choices:
        try:
            constructor = choose()
            constructor(b"")
        except (ImportError, ValueError):  # left out of this Python; refused by a FIPS provider
            continue
        return constructor
    return _forbidden


# One digest on CPython 3.11 with OpenSSL 3, in nanoseconds:
#
#     octets      16    64   256   1024   4096   65536
#     built-in   142   224   460   1420   5200   80600
#     OpenSSL    293   364   583   1450   4850   72700
#
# So md5 is CPython's own, to which FIPS builds do not reach, and md5_long OpenSSL's, which wins above about 1.5 KiB.
# On a platform without one of them both names mean the other.
md5: Final[_Constructor] = _first_permitted(_built_in, _openssl, _openssl_under_fips)
md5_long: Final[_Constructor] = _first_permitted(_openssl, _openssl_under_fips, _built_in)


class HmacMd5:
    """HMAC-MD5 under one key (RFC 2104), a quarter of the cost of hmac.digest on short messages.

    Attributes:
        inner: The state after the key XOR ipad; copy it, never update it.
        outer: The state after the key XOR opad; copy it, never update it.
    """

    __slots__ = ("_ipad", "_long", "inner", "outer")

    def __init__(self, key: bytes) -> None:
        # RFC 2104 section 2: keys longer than a block are hashed first.
        block = (md5(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._ipad: Final = block.translate(_IPAD)
        self._long: Md5 | None = None
        self.inner: Final = md5(self._ipad)
        self.outer: Final = md5(block.translate(_OPAD))

    def begin_long(self) -> Md5:
        """Return the state of inner in the implementation that is faster from LONG octets on."""
        if self._long is None:
            self._long = md5_long(self._ipad)
        return self._long.copy()

    def digest(self, *parts: _Octets) -> bytes:
        """Return the MAC, 16 octets, of the parts in a row."""
        inner = self.inner.copy()
        for part in parts:
            inner.update(part)
        outer = self.outer.copy()
        outer.update(inner.digest())
        return outer.digest()


_IPAD: Final = bytes(octet ^ 0x36 for octet in range(256))
_OPAD: Final = bytes(octet ^ 0x5C for octet in range(256))
