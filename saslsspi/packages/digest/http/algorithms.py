"""The algorithms of Digest for HTTP and what they compute (RFC 2617 section 3.2.2, RFC 7616 section 3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple

from saslsspi.crypto.md5 import md5
from saslsspi.errors import CryptoSystemInvalid, InvalidToken

__all__ = ["ALGORITHMS", "Algorithm", "DigestRequest", "entity_hash", "request_value"]

_AUTH_INT: Final = b"auth-int"


class Algorithm(NamedTuple):
    """One value of the algorithm directive.

    Attributes:
        name: As it is written on the wire.
        digest: H: returns lower-case hex digits.
        hex_size: How many of them.
        session: Whether it is a -sess form, whose key is made once for a session.
    """

    name: bytes
    digest: Callable[[bytes], bytes]
    hex_size: int
    session: bool


def _md5(data: bytes) -> bytes:
    return md5(data).hexdigest().encode()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _sha512_256(data: bytes) -> bytes:
    # FIPS 180-4, with initial values of its own: not SHA-512 cut to 256 bits, which RFC 7616 prints (erratum 4897).
    try:
        return hashlib.new("sha512_256", data).hexdigest().encode()
    except ValueError as error:
        raise CryptoSystemInvalid("this platform has no SHA-512/256") from error


ALGORITHMS: Final = {
    algorithm.name.lower(): algorithm
    for algorithm in (
        Algorithm(b"SHA-256", _sha256, 64, session=False),
        Algorithm(b"SHA-256-sess", _sha256, 64, session=True),
        Algorithm(b"SHA-512-256", _sha512_256, 64, session=False),
        Algorithm(b"SHA-512-256-sess", _sha512_256, 64, session=True),
        Algorithm(b"MD5", _md5, 32, session=False),
        Algorithm(b"MD5-sess", _md5, 32, session=True),
    )
}
"""By name in lower case."""


class DigestRequest(NamedTuple):
    """What a request digest is about, as the peers write it on the wire, without quotes.

    Attributes:
        qop: None is the form of RFC 2069.
        method: b"" for the server's proof.
        entity: H(entity-body) in hex; counts under auth-int.
    """

    nonce: bytes
    nc: bytes
    cnonce: bytes
    qop: bytes | None
    method: bytes
    uri: bytes
    entity: bytes = b""


def request_value(algorithm: Algorithm, ha1: bytes, request: DigestRequest) -> bytes:
    """Return the request-digest, or with an empty method the server's rspauth, in hex.

    Args:
        algorithm: Of the challenge.
        ha1: H(A1) in hex.
        request: What it is about.
    """
    digest, qop = algorithm.digest, request.qop
    # "auth: method:uri. auth-int: method:uri:H(entity-body)."
    a2 = b"%b:%b" % (request.method, request.uri)
    if qop is not None and qop.lower() == _AUTH_INT:
        a2 += b":" + request.entity
    if qop is None:
        return digest(b"%b:%b:%b" % (ha1, request.nonce, digest(a2)))
    return digest(b":".join((ha1, request.nonce, request.nc, request.cnonce, qop, digest(a2))))


def entity_hash(algorithm: Algorithm, given: bytes) -> bytes:
    """Return H(entity-body) in hex as the caller gave it; nothing given is the empty body.

    Raises:
        InvalidToken: it is not so many hex digits as the algorithm makes.
    """
    if not given:
        return algorithm.digest(b"")
    value = given.lower()
    if len(value) != algorithm.hex_size or value.strip(b"0123456789abcdef"):
        raise InvalidToken(
            f"H(entity-body) is {len(given)} octets; {algorithm.name.decode()} makes {algorithm.hex_size} hex digits"
        )
    return value
