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

# Seven key bits to the octet that has them on top and odd parity in bit 0.
_ODD: Final = bytes(bits << 1 | (bits.bit_count() + 1) % 2 for bits in range(128))


def expand_key(seven: bytes) -> bytes:
    """Spread 56 key bits over 8 octets, each with odd parity in its lowest bit (FIPS 46-3; MS-NLMP 6)."""
    if len(seven) != 7:
        raise InvalidParameter(f"DES key material of {len(seven)} octets, expected 7")
    bits = int.from_bytes(seven)
    return bytes(_ODD[bits >> shift & 0x7F] for shift in range(49, -1, -7))


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
