"""MIC tokens of RFC 4121 section 4.2.6.1, verified without the library, which counts what it verifies.

Windows signs SPNEGO's list of mechanisms with the sequence number 0, whatever the AP-REP says of numbers. The library
would take that for a message of long ago, or refuse those that come next.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from saslsspi.errors import MessageAltered

__all__ = ["HEADER_SIZE", "mic_token", "numbered_zero", "verify_mic_token"]

HEADER_SIZE: Final = 16
_TOK_ID: Final = b"\x04\x04"
_FILLER: Final = b"\xff" * 5
_BY_ACCEPTOR, _ACCEPTOR_SUBKEY = 1, 4  # bits of Flags; Sealed (2) is never set in a MIC token
_USAGE_ACCEPTOR, _USAGE_INITIATOR = 23, 25  # KG-USAGE-ACCEPTOR-SIGN, KG-USAGE-INITIATOR-SIGN
_CHECKSUM_KEY: Final = b"\x99"  # RFC 3961 section 5.3: Kc


class _Kind(NamedTuple):
    """How an encryption type makes checksums.

    Attributes:
        digest: Of the HMAC.
        size: Octets of the checksum.
        key_size: Octets of Kc where it is derived as RFC 8009 section 3 has it; 0 derives it as RFC 3961 section 5.1.
    """

    digest: str
    size: int
    key_size: int


_KINDS: Final[Mapping[str, _Kind]] = {
    "AES128-CTS-HMAC-SHA1-96": _Kind("sha1", 12, 0),
    "AES256-CTS-HMAC-SHA1-96": _Kind("sha1", 12, 0),
    "AES128-CTS-HMAC-SHA256-128": _Kind("sha256", 16, 16),
    "AES256-CTS-HMAC-SHA384-192": _Kind("sha384", 24, 24),
}


def numbered_zero(token: bytes, enctype: str) -> bool:
    """Whether this is a MIC token with the sequence number 0, of an encryption type that is known here."""
    return enctype in _KINDS and token.startswith(_TOK_ID) and token[8:HEADER_SIZE] == bytes(8)


def mic_token(key: bytes, enctype: str, message: bytes, number: int, *, by_acceptor: bool, subkey: bool) -> bytes:
    """Return the MIC token of a message.

    Args:
        key: Of the context, 16 or 32 octets.
        enctype: Its encryption type's name, one of AES.
        message: What is signed.
        number: SND_SEQ.
        by_acceptor: Whose it is.
        subkey: Whether the key is the acceptor's subkey.
    """
    flags = (_BY_ACCEPTOR if by_acceptor else 0) | (_ACCEPTOR_SUBKEY if subkey else 0)
    header = _TOK_ID + bytes((flags,)) + _FILLER + number.to_bytes(8, "big")
    return header + _checksum(key, enctype, message + header, by_acceptor=by_acceptor)


def verify_mic_token(key: bytes, enctype: str, message: bytes, token: bytes, *, by_acceptor: bool) -> None:
    """Verify a MIC token, whatever its number.

    Raises:
        MessageAltered: it is not over this message, or not of this side.
    """
    header, received = token[:HEADER_SIZE], token[HEADER_SIZE:]
    flags = header[2] if len(header) == HEADER_SIZE else 0
    if (
        header[:2] != _TOK_ID
        or header[3:8] != _FILLER
        or bool(flags & _BY_ACCEPTOR) is not by_acceptor
        or flags & ~(_BY_ACCEPTOR | _ACCEPTOR_SUBKEY)
        or not hmac.compare_digest(_checksum(key, enctype, message + header, by_acceptor=by_acceptor), received)
    ):
        raise MessageAltered("the MIC does not verify", requirement="RFC4178-5-14")


def _checksum(key: bytes, enctype: str, octets: bytes, *, by_acceptor: bool) -> bytes:
    kind = _KINDS[enctype]
    constant = (_USAGE_ACCEPTOR if by_acceptor else _USAGE_INITIATOR).to_bytes(4, "big") + _CHECKSUM_KEY
    if kind.key_size:
        own = hmac.digest(key, b"\0\0\0\1" + constant + b"\0" + (8 * kind.key_size).to_bytes(4, "big"), kind.digest)
        own = own[: kind.key_size]
    else:
        own = _derived(key, constant)
    return hmac.digest(own, octets, kind.digest)[: kind.size]


def _derived(key: bytes, constant: bytes) -> bytes:
    """DR of RFC 3961 section 5.1 with AES, whose random-to-key is the identity (RFC 3962 section 4)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # loaded by whoever meets Windows

    cipher = Cipher(algorithms.AES(key), modes.ECB())  # one block at a time is what the text says
    made, block = b"", _folded(constant)
    while len(made) < len(key):
        encryptor = cipher.encryptor()
        block = encryptor.update(block) + encryptor.finalize()
        made += block
    return made[: len(key)]


def _folded(constant: bytes) -> bytes:
    """128-fold (RFC 3961 section 5.1): copies that fill whole blocks, each turned 13 bits further right; their sum."""
    bits = 8 * len(constant)
    copies = math.lcm(bits, 128) // bits
    number, joined = int.from_bytes(constant, "big"), 0
    for copy in range(copies):
        turn = 13 * copy % bits
        joined = joined << bits | (number >> turn | number << (bits - turn)) & ((1 << bits) - 1)
    octets, total = joined.to_bytes(copies * len(constant), "big"), 0
    for at in range(0, len(octets), 16):
        total += int.from_bytes(octets[at : at + 16], "big")
    while total >> 128:  # the carry comes in at the other end
        total = (total & ((1 << 128) - 1)) + (total >> 128)
    return total.to_bytes(16, "big")
