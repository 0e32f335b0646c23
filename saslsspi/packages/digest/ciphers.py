"""The ciphers of auth-conf, strongest first (RFC 2831 sections 2.1.1 and 2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from saslsspi.crypto.des import cbc_decryptor, cbc_encryptor, expand_key
from saslsspi.crypto.rc4 import key_stream
from saslsspi.engine.policy import Policy
from saslsspi.engine.protection import Octets
from saslsspi.errors import InvalidParameter

__all__ = ["CIPHERS", "Cipher", "permitted_ciphers"]

Update = Callable[[Octets], bytes]


class Begin(Protocol):
    """Makes one direction's cipher; its state runs on."""

    def __call__(self, key: bytes, /, *, encipher: bool) -> Update: ...


class Cipher(NamedTuple):
    """A cipher of auth-conf.

    Attributes:
        ssf: Security strength factor.
        key_size: Octets of H(A1) that go into its key.
        block_size: In octets, at most 255; 1 for a stream cipher, which needs no padding.
        begin: Takes the 16-octet sealing key and whether to encipher; returns a function whose state runs on.
    """

    name: bytes
    ssf: int
    key_size: int
    block_size: int
    begin: Begin


def _rc4(key: bytes, *, encipher: bool) -> Update:
    return key_stream(key)


def _des(key: bytes, *, encipher: bool) -> Update:
    # "The IV for "des" and "3des" is the last 8 bytes of Kcc or Kcs."
    begin = cbc_encryptor if encipher else cbc_decryptor
    return begin(expand_key(key[:7]), key[8:]).update


def _triple_des(key: bytes, *, encipher: bool) -> Update:
    begin = cbc_encryptor if encipher else cbc_decryptor
    return begin(expand_key(key[:7]) + expand_key(key[7:14]), key[8:]).update


CIPHERS: Final = {
    cipher.name: cipher
    for cipher in (
        Cipher(b"rc4", 128, 16, 1, _rc4),
        Cipher(b"3des", 112, 16, 8, _triple_des),
        Cipher(b"rc4-56", 56, 7, 1, _rc4),
        Cipher(b"des", 55, 16, 8, _des),
        Cipher(b"rc4-40", 40, 5, 1, _rc4),
    )
}


def permitted_ciphers(policy: Policy) -> tuple[Cipher, ...]:
    """Return the ciphers that the policy names and whose strength it accepts, in its order of preference."""
    permitted = []
    for name in policy.ciphers:
        cipher = CIPHERS.get(name.lower().encode())
        if cipher is None:
            known = ", ".join(known.decode() for known in CIPHERS)
            raise InvalidParameter(f"{name!r} is not a DIGEST-MD5 cipher; there are {known}")
        if policy.min_ssf <= cipher.ssf <= policy.max_ssf:
            permitted.append(cipher)
    return tuple(permitted)
