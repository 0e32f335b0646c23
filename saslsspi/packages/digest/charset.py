"""How names and passwords become octets: UTF-8, ISO 8859-1, and the rule that mixes them (RFC 2831 section 2.1.2.1).

On the wire a name is UTF-8 when charset=utf-8 was agreed and ISO 8859-1 otherwise. In the hash each value for
itself is ISO 8859-1 whenever all its characters are, so that hashes stored for HTTP Digest go on working.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from saslsspi.crypto.md5 import md5
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import IncompleteCredentials, InvalidToken

__all__ = ["Reading", "accepted_hashes", "client_hash", "decode", "encode", "hashed_octets", "is_utf8"]

_HASH_MIXED: Final = int(Tolerances.HASH_MIXED)
_HASH_UTF8: Final = int(Tolerances.HASH_UTF8)
_OTHER_ENCODINGS: Final = int(Tolerances.OTHER_ENCODINGS)
_UTF8_WITHOUT_CHARSET: Final = int(Tolerances.UTF8_WITHOUT_CHARSET)


class Reading(NamedTuple):
    """One way to read the names that a client wrote.

    Attributes:
        utf8: Whether UTF-8 was announced; in HTTP, whether the name came in it.
        tolerances: What this reading takes.
    """

    username: str
    realm: str
    utf8: bool
    tolerances: int


def is_utf8(octets: bytes) -> bool:
    """Whether octets can be read as UTF-8."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def encode(text: str, *, utf8: bool) -> bytes:
    """Return the octets of a name on the wire.

    Raises:
        IncompleteCredentials: the server takes no UTF-8 and the name does not fit into ISO 8859-1.
    """
    try:
        return text.encode("utf-8" if utf8 else "latin-1")
    except UnicodeEncodeError:
        raise IncompleteCredentials(
            "the server offers no charset=utf-8, and a name or password has characters outside ISO 8859-1",
            requirement="RFC2831-2.1.1-30",
        ) from None


def decode(octets: bytes, *, utf8: bool) -> str:
    """Return the text of a name from the wire; raise InvalidToken where it is not UTF-8 as announced."""
    if octets.isascii():
        return octets.decode("ascii")
    try:
        return octets.decode("utf-8" if utf8 else "latin-1")
    except UnicodeDecodeError:
        raise InvalidToken("a name is not UTF-8, which charset=utf-8 announced") from None


def hashed_octets(text: str, *, utf8: bool) -> bytes:
    """Return the octets of a value inside H(user:realm:password).

    Raises:
        IncompleteCredentials: without UTF-8 the value must fit into ISO 8859-1.
    """
    # "If the "charset" directive was UTF-8 and all the characters of the value are in the ISO 8859-1 character set,
    # then it must be converted to ISO 8859-1 before being hashed."
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return encode(text, utf8=utf8)


def client_hash(username: str, realm: str, password: str, *, utf8: bool, tolerances: int) -> tuple[bytes, int]:
    """Return H(user:realm:password) as this server wants it, and the tolerance that it takes: 0 for the RFC's rule.

    Args:
        username: As text.
        realm: As text.
        password: As text.
        utf8: Whether the server takes UTF-8.
        tolerances: Of the policy; HASH_MIXED or HASH_UTF8 says how the server hashes.

    Raises:
        IncompleteCredentials: without UTF-8 a value does not fit into ISO 8859-1, and no tolerance helps.
    """
    named = tolerances & (_HASH_UTF8 | _HASH_MIXED)
    if not named:
        return md5(_ruled(username, realm, password, utf8=utf8)).digest(), 0
    *_, (octets, tolerance) = _others(username, realm, password, named)
    try:
        ruled = _ruled(username, realm, password, utf8=utf8)
    except IncompleteCredentials:
        ruled = b""
    return md5(octets).digest(), 0 if octets == ruled else tolerance


def accepted_hashes(
    username: str, realm: str, password: str, *, utf8: bool, tolerances: int
) -> Iterator[tuple[bytes | None, int]]:
    """Yield the values of H(user:realm:password) that count as right and their tolerances, the RFC's own first.

    The others are the same password in the encodings that tolerances add. How many there are, and what they cost,
    depends on the tolerances alone.

    Args:
        username: As text.
        realm: As text.
        password: As text.
        utf8: Whether the client announced UTF-8.
        tolerances: Of the policy.

    Yields:
        A hash, None where the client's charset cannot hold the values; and the tolerances that it takes.
    """
    try:
        yield md5(_ruled(username, realm, password, utf8=False)).digest(), 0
    except IncompleteCredentials:
        ruled = md5(_ruled(username, realm, password, utf8=True)).digest()
        allowed = utf8 or tolerances & (_UTF8_WITHOUT_CHARSET | _OTHER_ENCODINGS)
        yield ruled if allowed else None, 0 if utf8 else _UTF8_WITHOUT_CHARSET
    for octets, tolerance in _others(username, realm, password, tolerances):
        yield md5(octets).digest(), tolerance


def _ruled(username: str, realm: str, password: str, *, utf8: bool) -> bytes:
    try:
        # What fits as a whole fits value by value.
        return f"{username}:{realm}:{password}".encode("latin-1")
    except UnicodeEncodeError:
        return b":".join([hashed_octets(value, utf8=utf8) for value in (username, realm, password)])


def _others(username: str, realm: str, password: str, tolerances: int) -> Iterator[tuple[bytes, int]]:
    name = f"{username}:{realm}:".encode()
    if tolerances & (_HASH_UTF8 | _OTHER_ENCODINGS):
        yield name + password.encode(), _HASH_UTF8
    if tolerances & (_HASH_MIXED | _OTHER_ENCODINGS):
        yield name + hashed_octets(password, utf8=True), _HASH_MIXED
