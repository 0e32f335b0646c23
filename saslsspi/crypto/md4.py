"""MD4 (RFC 1320), which NTLM's password hash needs and which OpenSSL 3 keeps in its legacy provider only."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable
from typing import Final

__all__ = ["md4"]

_BLOCK: Final = struct.Struct("<16I")
_STATE: Final = struct.Struct("<4I")
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
# RFC 1320 section 3.4: the order in which rounds 2 and 3 take the words of a block; four words make one turn.
_ROUND_2: Final = (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
_ROUND_3: Final = (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)


def md4(data: bytes) -> bytes:
    """Return the 16-octet MD4 digest of data (RFC 1320)."""
    return _implementation()(data)


@functools.cache
def _implementation() -> Callable[[bytes], bytes]:
    """Ask once whether the platform has MD4; about a microsecond a digest there, fifteen a block here."""
    try:
        hashlib.new("md4", usedforsecurity=False)
    except ValueError:
        return _digest
    return lambda data: hashlib.new("md4", data, usedforsecurity=False).digest()


def _digest(data: bytes) -> bytes:
    padding = b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8 & (1 << 64) - 1)
    state: tuple[int, ...] = _START
    for words in _BLOCK.iter_unpack(data + padding):
        state = _compress(state, words)
    return _STATE.pack(*state)


def _compress(state: tuple[int, ...], x: tuple[int, ...]) -> tuple[int, ...]:
    """Run the three rounds over one block of sixteen words (RFC 1320 section 3.4)."""
    mask = 0xFFFFFFFF
    a, b, c, d = state
    for i in range(0, 16, 4):
        a = (t := (a + (d ^ b & (c ^ d)) + x[i]) & mask) << 3 & mask | t >> 29
        d = (t := (d + (c ^ a & (b ^ c)) + x[i + 1]) & mask) << 7 & mask | t >> 25
        c = (t := (c + (b ^ d & (a ^ b)) + x[i + 2]) & mask) << 11 & mask | t >> 21
        b = (t := (b + (a ^ c & (d ^ a)) + x[i + 3]) & mask) << 19 & mask | t >> 13
    for i in range(0, 16, 4):
        i0, i1, i2, i3 = _ROUND_2[i : i + 4]
        a = (t := (a + (b & (c | d) | c & d) + x[i0] + 0x5A827999) & mask) << 3 & mask | t >> 29
        d = (t := (d + (a & (b | c) | b & c) + x[i1] + 0x5A827999) & mask) << 5 & mask | t >> 27
        c = (t := (c + (d & (a | b) | a & b) + x[i2] + 0x5A827999) & mask) << 9 & mask | t >> 23
        b = (t := (b + (c & (d | a) | d & a) + x[i3] + 0x5A827999) & mask) << 13 & mask | t >> 19
    for i in range(0, 16, 4):
        i0, i1, i2, i3 = _ROUND_3[i : i + 4]
        a = (t := (a + (b ^ c ^ d) + x[i0] + 0x6ED9EBA1) & mask) << 3 & mask | t >> 29
        d = (t := (d + (a ^ b ^ c) + x[i1] + 0x6ED9EBA1) & mask) << 9 & mask | t >> 23
        c = (t := (c + (d ^ a ^ b) + x[i2] + 0x6ED9EBA1) & mask) << 11 & mask | t >> 21
        b = (t := (b + (c ^ d ^ a) + x[i3] + 0x6ED9EBA1) & mask) << 15 & mask | t >> 17
    return (state[0] + a) & mask, (state[1] + b) & mask, (state[2] + c) & mask, (state[3] + d) & mask
