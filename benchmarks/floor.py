"""The floor: the bare calls that DIGEST-MD5 needs at each qop, on the same inputs and with nothing around them.

Both sides of a handshake hash H(user:realm:password), H(A1), two H(A2), the response-value and rspauth, and draw one
nonce; a layer adds the signing keys with two prepared MAC states a side, encryption the sealing keys and two cipher
objects a side. The calls are those of hashlib and cryptography, as anybody would write them.
"""

from __future__ import annotations

import hashlib
import os
from binascii import b2a_base64
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

_SECRET = b"alice:example.test:wonderland"
_A1 = bytes(16) + b":" + b"n" * 24 + b":" + b"c" * 24
_A2 = b"AUTHENTICATE:ldap/ldap.example.test"
_KD = b"0" * 32 + b":" + b"n" * 24 + b":00000001:" + b"c" * 24 + b":auth:" + b"0" * 32
_MAGIC = bytes(16) + b"Digest session key to client-to-server signing key magic constant"
_KEY = bytes(range(16))
_INNER = hashlib.md5(_KEY.ljust(64, b"\0"))
_OUTER = hashlib.md5(_KEY.rjust(64, b"\0"))


def one_side() -> None:
    """One side's part of a handshake at qop auth."""
    md5 = hashlib.md5
    b2a_base64(os.urandom(18), newline=False)
    md5(_SECRET).digest()
    md5(_A1).hexdigest()
    md5(_A2).hexdigest()
    md5(_A2).hexdigest()
    md5(_KD).hexdigest()
    md5(_KD).hexdigest()


def _authenticate() -> None:
    one_side()
    one_side()


def _sign() -> None:
    _authenticate()
    md5 = hashlib.md5
    for _ in range(2):
        for _ in range(2):
            key = md5(_MAGIC).digest().ljust(64, b"\0")
            md5(key)
            md5(key)


def _rc4() -> None:
    _sign()
    for _ in range(4):
        hashlib.md5(_MAGIC).digest()
        Cipher(ARC4(_KEY), mode=None).encryptor()


def _triple_des() -> None:
    _sign()
    key = bytes(range(24))
    for _ in range(2):
        hashlib.md5(_MAGIC).digest()
        Cipher(TripleDES(key), CBC(bytes(8))).encryptor()
        hashlib.md5(_MAGIC).digest()
        Cipher(TripleDES(key), CBC(bytes(8))).decryptor()


HANDSHAKE: dict[str, Callable[[], None]] = {
    "auth": _authenticate,
    "auth-int": _sign,
    "auth-conf rc4": _rc4,
    "auth-conf 3des": _triple_des,
}


def _mac(data: bytes) -> bytes:
    inner = _INNER.copy()
    inner.update(data)
    outer = _OUTER.copy()
    outer.update(inner.digest())
    return outer.digest()


def message(level: str, size: int) -> Callable[[], object]:
    """Return wrap and unwrap of one message as bare calls: a MAC on each side, a cipher call on each side."""
    data = bytes(size)
    if level == "auth-int":
        return lambda: (_mac(data), _mac(data))
    if level == "auth-conf rc4":
        encipher = Cipher(ARC4(_KEY), mode=None).encryptor().update
        decipher = Cipher(ARC4(_KEY), mode=None).encryptor().update
        padded = bytes(size + 10)
    else:
        cipher = Cipher(TripleDES(bytes(range(24))), CBC(bytes(8)))
        encipher, decipher = cipher.encryptor().update, cipher.decryptor().update
        padded = bytes(size + 10 + 8 - (size + 10) % 8)
    return lambda: (_mac(data), encipher(padded), decipher(padded), _mac(data))
