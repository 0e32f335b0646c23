"""Distinguished names: from text to a form that compares (RFC 4514; RFC 4517 section 4.2.15)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from saslsspi.errors import InvalidParameter

__all__ = ["Name", "leaf", "parse_name", "prepare"]

Name = tuple[frozenset[tuple[str, str]], ...]
"""A name in comparable form, the entry's own RDN first: each RDN a set of (type, prepared value)."""

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_ESCAPE: Final = re.compile(rb"\\([0-9A-Fa-f]{2}|[ \"#+,;<=>\\])")
_TRAILING: Final = re.compile(r"(?<!\\) +\Z")  # an escaped blank stays
# A backslash takes the next character with it, so a separator behind one does not separate.
_UNESCAPED: Final = {mark: re.compile(rf"((?:[^\\{mark}]|\\.)*)(?:[{mark}]|\Z)", re.DOTALL) for mark in ",+"}
_MAX_PARTS: Final = 64


def parse_name(text: str) -> Name:
    """Return a name in comparable form; () is the root.

    Raises:
        InvalidParameter: it is not a distinguished name.
    """
    if not text.strip(" "):
        return ()
    return tuple(
        frozenset((kind, prepare(value)) for kind, value in map(_pair, _split(part, "+"))) for part in _split(text, ",")
    )


def leaf(text: str) -> tuple[str, str]:
    """Return type and value of the first pair of a name's own RDN, the value as it was written.

    Raises:
        InvalidParameter: it is not a distinguished name.
    """
    return _pair(_split(_split(text, ",")[0], "+")[0])


def prepare(value: str) -> str:
    """Return a value as caseIgnoreMatch compares it, near enough: folded, and with single blanks."""
    if value.isascii():
        return " ".join(value.lower().split())
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def _split(text: str, mark: str) -> list[str]:
    parts: list[str] = []
    at, pattern = 0, _UNESCAPED[mark]
    while True:
        found = pattern.match(text, at)
        if found is None or len(parts) == _MAX_PARTS:
            raise InvalidParameter("a distinguished name has a backslash at its end, or too many parts")
        parts.append(found[1])
        if found.end() == len(text) and found.end(1) == len(text):
            return parts
        at = found.end()


def _pair(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    kind = kind.strip(" ")
    if not equals or not _TYPE.fullmatch(kind):
        raise InvalidParameter("a part of a distinguished name is not type=value")
    return kind.lower(), _unescape(_TRAILING.sub("", value.lstrip(" ")))


def _unescape(value: str) -> str:
    octets = value.encode()
    if _ESCAPE.sub(b"", octets).count(b"\\") or re.search(rb'["<>;\x00]', _ESCAPE.sub(b"", octets)):
        raise InvalidParameter("a value in a distinguished name has a character that must be escaped")
    try:
        return _ESCAPE.sub(lambda found: _octet(found[1]), octets).decode()
    except UnicodeDecodeError:
        raise InvalidParameter("a value in a distinguished name is not UTF-8") from None


def _octet(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.decode("ascii")) if len(escaped) == 2 else escaped
