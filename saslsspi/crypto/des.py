"""DES as DIGEST-MD5 and NTLM use it: seven-octet keys, single blocks, and CBC that runs on from message to message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from saslsspi.errors import InvalidParameter, StrongCryptoNotSupported

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
    from cryptography.hazmat.primitives.ciphers.modes import CBC

__all__ = ["cbc_decryptor", "cbc_encryptor", "des_encrypt_block", "expand_key"]

_Start: TypeAlias = "Callable[[Cipher[CBC]], CipherContext]"

# The octet that has the upper seven bits of another one, and odd parity in bit 0.
_ODD: Final = bytes(octet & 0xFE | ((octet >> 1).bit_count() + 1) % 2 for octet in range(256))


def expand_key(seven: bytes) -> bytes:
    """Spread 56 key bits over 8 octets, each with odd parity in its lowest bit (FIPS 46-3; MS-NLMP 6)."""
    if len(seven) != 7:
        raise InvalidParameter(f"DES key material of {len(seven)} octets, expected 7")
    bits = int.from_bytes(seven)
    # Written out: a loop takes four times as long, and a logon at 3des does this eight times.
    return bytes(
        (
            bits >> 48,
            bits >> 41 & 0xFF,
            bits >> 34 & 0xFF,
            bits >> 27 & 0xFF,
            bits >> 20 & 0xFF,
            bits >> 13 & 0xFF,
            bits >> 6 & 0xFF,
            bits << 1 & 0xFF,
        )
    ).translate(_ODD)


def des_encrypt_block(key8: bytes, block8: bytes) -> bytes:
    """Encipher one block of 8 octets under an 8-octet key; parity bits do not matter."""
    if len(key8) != 8 or len(block8) != 8:
        raise InvalidParameter(f"DES key of {len(key8)} octets, block of {len(block8)}, expected 8 and 8")
    return cbc_encryptor(key8, bytes(8)).update(block8)


def cbc_encryptor(key: bytes, iv: bytes) -> CipherContext:
    """Begin to encipher in CBC mode; the chain runs on over every update.

    Args:
        key: 8 octets for DES, 16 for two-key triple DES (K1 K2).
        iv: 8 octets.

    Returns:
        An object whose update takes whole blocks; there is no padding.

    Raises:
        InvalidParameter: the key or the iv has another size.
        StrongCryptoNotSupported: the platform forbids DES.
    """
    return _start(key, iv, lambda cipher: cipher.encryptor())


def cbc_decryptor(key: bytes, iv: bytes) -> CipherContext:
    """Begin to decipher in CBC mode; the exact inverse of cbc_encryptor."""
    return _start(key, iv, lambda cipher: cipher.decryptor())


def _start(key: bytes, iv: bytes, start: _Start) -> CipherContext:
    if len(key) not in (8, 16) or len(iv) != 8:
        raise InvalidParameter(f"DES key of {len(key)} octets, vector of {len(iv)}, expected 8 or 16 and 8")
    # `cryptography` deprecates the short forms of a triple DES key, so it always gets K1 K2 K3: K K K or K1 K2 K1.
    return _library()((key * 3)[:24], iv, start)


@functools.cache
def _library() -> Callable[[bytes, bytes, _Start], CipherContext]:
    # Imported with the first key: `cryptography` costs more than all of this library's own start.
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    def begin(key24: bytes, iv: bytes, start: _Start) -> CipherContext:
        try:
            return start(Cipher(TripleDES(key24), CBC(iv)))
        except (UnsupportedAlgorithm, InternalError) as error:
            raise StrongCryptoNotSupported("this platform forbids DES") from error

    return begin
