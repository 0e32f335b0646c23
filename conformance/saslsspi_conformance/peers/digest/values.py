"""The formulas of RFC 2831 on hashlib, hmac and plain ciphers: sections 2.1.2.1, 2.1.3, 2.3 and 2.4."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

__all__ = ["CIPHER_KEY_SIZE", "Keys", "Values", "hashed", "quoted", "unquoted"]

CIPHER_KEY_SIZE: Final = {"rc4": 16, "3des": 16, "rc4-56": 7, "des": 16, "rc4-40": 5}
"""How many octets of H(A1) go into the sealing keys (section 2.4)."""


def _h(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def quoted(value: bytes) -> bytes:
    """Write a quoted string."""
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def unquoted(raw: bytes) -> bytes:
    """Read a quoted string, or return a token as it is."""
    if not raw.startswith(b'"'):
        return raw
    found, octets = bytearray(), iter(raw[1:-1])
    for octet in octets:
        found.append(next(octets, octet) if octet == 0x5C else octet)
    return bytes(found)


def hashed(text: str, *, utf8: bool = True) -> bytes:
    """Encode as A1 wants it: ISO 8859-1 where every character has a place there, else UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


@dataclass(kw_only=True)
class Values:
    """The values of one authentication, as octets in the encoding in which they are hashed."""

    username: bytes
    realm: bytes = b""
    password: bytes
    nonce: bytes = b""
    cnonce: bytes = b""
    nc: bytes = b"00000001"
    qop: bytes = b"auth"
    digest_uri: bytes
    authzid: bytes | None = None
    first_nonce: bytes | None = None
    """The nonce of the initial authentication, in a subsequent one."""

    def ha1(self) -> bytes:
        """H(A1), 16 octets."""
        nonce = self.nonce if self.first_nonce is None else self.first_nonce
        a1 = _h(self.username + b":" + self.realm + b":" + self.password) + b":" + nonce + b":" + self.cnonce
        return _h(a1 if self.authzid is None else a1 + b":" + self.authzid)

    def _value(self, a2: bytes) -> bytes:
        if self.qop.lower() != b"auth":
            a2 += b":" + b"0" * 32
        parts = (self.nonce, self.nc, self.cnonce, self.qop, _h(a2).hex().encode())
        return _h(self.ha1().hex().encode() + b":" + b":".join(parts)).hex().encode()

    def response(self) -> bytes:
        """The client's response-value."""
        return self._value(b"AUTHENTICATE:" + self.digest_uri)

    def rspauth(self) -> bytes:
        """The server's response-value."""
        return self._value(b":" + self.digest_uri)


_SIGNING: Final = b"Digest session key to %b signing key magic constant"
_SEALING: Final = b"Digest H(A1) to %b sealing key magic constant"


class Keys:
    """One direction of a layer: keys, counter and cipher state, and whatever a case wants to be wrong.

    Args:
        ha1: H(A1).
        to_server: Whether the client sends with these.
        cipher: Name of the cipher; "" for auth-int.
    """

    def __init__(self, ha1: bytes, *, to_server: bool, cipher: str = "") -> None:
        way = b"client-to-server" if to_server else b"server-to-client"
        self._signing = _h(ha1 + _SIGNING % way)
        self.number = 0
        self.block = 1
        self._encrypt: Callable[[bytes], bytes] | None = None
        self._decrypt: Callable[[bytes], bytes] | None = None
        if cipher:
            sealing = _h(ha1[: CIPHER_KEY_SIZE[cipher]] + _SEALING % way)
            self.block = 8 if "des" in cipher else 1
            self._encrypt, self._decrypt = _cipher(cipher, sealing)

    def mac(self, text: bytes, number: int) -> bytes:
        """The first 10 octets of HMAC-MD5 over sequence number and text."""
        return hmac.digest(self._signing, number.to_bytes(4) + text, "md5")[:10]

    def wrap(
        self,
        text: bytes,
        *,
        number: int | None = None,
        kind: int = 1,
        mac: bytes | None = None,
        padding: bytes | None = None,
        length: int | None = None,
    ) -> bytes:
        """Return one buffer with its length, right but for what is given."""
        used = self.number if number is None else number
        tag = self.mac(text, used) if mac is None else mac
        if self._encrypt is None:
            protected = text + tag
        else:
            fill = 8 - (len(text) + 10) % 8 if self.block == 8 else 0
            pad = bytes([fill]) * fill if padding is None else padding
            protected = self._encrypt(text + pad + tag)
        buffer = protected + kind.to_bytes(2) + used.to_bytes(4)
        self.number = (used + 1) & 0xFFFFFFFF
        return (len(buffer) if length is None else length).to_bytes(4) + buffer

    def unwrap(self, buffer: bytes) -> tuple[bytes, str]:
        """Return the text of a buffer without its length, and what is wrong with the buffer ("" is nothing)."""
        if len(buffer) < 16:
            return b"", f"a buffer of {len(buffer)} octets holds no MAC block"
        protected, kind, number = buffer[:-6], buffer[-6:-4], int.from_bytes(buffer[-4:])
        if self._decrypt is not None:
            if len(protected) % self.block:
                return b"", f"{len(protected)} enciphered octets are no whole blocks"
            protected = self._decrypt(protected)
        text, tag = protected[:-10], protected[-10:]
        if self.block == 8:
            fill = text[-1] if text else 0
            if not 1 <= fill <= 8 or text[-fill:] != bytes([fill]) * fill:
                return b"", "the padding is wrong"
            text = text[:-fill]
        wrong = []
        if number != self.number:
            wrong.append(f"sequence number {number} where {self.number} is due")
        if kind != b"\0\1":
            wrong.append(f"type {kind.hex()}")
        if tag != self.mac(text, number):
            wrong.append("the MAC does not verify")
        self.number = (number + 1) & 0xFFFFFFFF
        return text, ", ".join(wrong)


def _cipher(name: str, key: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    if name.startswith("rc4"):
        stream = Cipher(ARC4(key), None).encryptor()
        return stream.update, stream.update
    first = _des_key(key[:7])
    whole = first * 3 if name == "des" else first + _des_key(key[7:14]) + first
    cipher = Cipher(TripleDES(whole), CBC(key[8:]))
    return cipher.encryptor().update, cipher.decryptor().update


def _des_key(seven: bytes) -> bytes:
    bits = int.from_bytes(seven)
    groups = [(bits >> shift) & 0x7F for shift in range(49, -1, -7)]
    return bytes((group << 1) | (1 - group.bit_count() % 2) for group in groups)
