"""What binds Negotiate to the TLS connection around it: the server's public key (MS-CSSP section 3.1.5, steps 3 and 4).

From version 5 on both sides send a hash over a nonce and the key; before, the key itself, which lets a man in the
middle choose what is encrypted (CVE-2018-0886).
"""

from __future__ import annotations

import functools
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from saslsspi.der import Reader, Tag, context
from saslsspi.errors import InvalidToken

__all__ = ["HASHED_FROM", "client_proof", "same", "server_proof", "subject_public_key"]

HASHED_FROM: Final = 5
"""The first version that sends hashes."""

# "The hash MUST include the null terminator (\0) of the string."
_CLIENT: Final = b"CredSSP Client-To-Server Binding Hash\0"
_SERVER: Final = b"CredSSP Server-To-Client Binding Hash\0"


@functools.lru_cache(maxsize=64)
def subject_public_key(certificate: bytes) -> bytes:
    """Return what is inside the BIT STRING subjectPublicKey of a certificate (RFC 3280 section 4.1), for any key.

    Raises:
        InvalidToken: it is no certificate.
    """
    tbs = Reader(certificate).enter().enter()
    if tbs.peek() == context(0):
        tbs.encoded(context(0))  # version
    tbs.encoded(Tag.INTEGER)  # serialNumber
    for _ in range(4):  # signature, issuer, validity, subject
        tbs.encoded(Tag.SEQUENCE)
    info = tbs.enter()
    info.encoded(Tag.SEQUENCE)  # algorithm
    bits = info.contents(Tag.BIT_STRING)
    if len(bits) < 2 or bits[0]:
        raise InvalidToken("the certificate's public key is no whole number of octets")
    return bits[1:]


def client_proof(version: int, nonce: bytes, key: bytes) -> bytes:
    """Return what the client encrypts in step 3."""
    return sha256(_CLIENT + nonce + key).digest() if version >= HASHED_FROM else key


def server_proof(version: int, nonce: bytes, key: bytes) -> bytes:
    """Return what the server encrypts in step 4."""
    if version >= HASHED_FROM:
        return sha256(_SERVER + nonce + key).digest()
    # "The server then adds 1 to the first byte representing the public key"; there is no carry in that.
    return bytes(((key[0] + 1) & 0xFF,)) + key[1:]


def same(expected: bytes, received: bytes) -> bool:
    """Compare in constant time."""
    return compare_digest(expected, received)
