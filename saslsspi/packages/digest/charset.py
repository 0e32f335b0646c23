"""How names and passwords become octets: UTF-8, ISO 8859-1, and the rule that mixes them (RFC 2831 section 2.1.2.1).

On the wire a name is UTF-8 when charset=utf-8 was agreed and ISO 8859-1 otherwise. In the hash each value for
itself is ISO 8859-1 whenever all its characters are, so that hashes stored for HTTP Digest go on working.
"""

from __future__ import annotations

from typing import Final

from saslsspi.crypto.md5 import md5
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import IncompleteCredentials, InvalidToken

__all__ = ["decode", "encode", "hashed_octets", "secret_hashes"]


def encode(text: str, utf8: bool) -> bytes:
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


def decode(octets: bytes, utf8: bool) -> str:
    """Return the text of a name from the wire; raise InvalidToken where it is not UTF-8 as announced."""
    if octets.isascii():
        return octets.decode("ascii")
    try:
        return octets.decode("utf-8" if utf8 else "latin-1")
    except UnicodeDecodeError:
        raise InvalidToken("a name is not UTF-8, which charset=utf-8 announced") from None


def hashed_octets(text: str, utf8: bool) -> bytes:
    """Return the octets of a value inside H(user:realm:password).

    Raises:
        IncompleteCredentials: without UTF-8 the value must fit into ISO 8859-1.
    """
    # "If the "charset" directive was UTF-8 and all the characters of the value are in the ISO 8859-1 character set,
    # then it must be converted to ISO 8859-1 before being hashed."
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return encode(text, utf8)


def secret_hashes(username: str, realm: str, password: str, utf8: bool, tolerances: int) -> list[tuple[bytes, int]]:
    """Return the values of H(user:realm:password) that count as right and their tolerances, the RFC's own first.

    The others are the encodings that named tolerances add; each is one more guess at a password.

    Raises:
        IncompleteCredentials: without UTF-8 a value does not fit into ISO 8859-1, and no tolerance helps.
    """
    try:
        # What fits as a whole fits value by value.
        octets = f"{username}:{realm}:{password}".encode("latin-1")
    except UnicodeEncodeError:
        if not utf8 and tolerances & _OTHER_HASHES:
            octets = b""
        else:
            octets = b":".join([hashed_octets(value, utf8) for value in (username, realm, password)])
    hashed = [(md5(octets).digest(), 0)] if octets else []
    if tolerances & _OTHER_HASHES:
        name = f"{username}:{realm}:".encode()
        if tolerances & Tolerances.HASH_UTF8:
            hashed.append((md5(name + password.encode()).digest(), int(Tolerances.HASH_UTF8)))
        if tolerances & Tolerances.HASH_MIXED:
            hashed.append((md5(name + hashed_octets(password, True)).digest(), int(Tolerances.HASH_MIXED)))
    return hashed


_OTHER_HASHES: Final = int(Tolerances.HASH_UTF8 | Tolerances.HASH_MIXED)
