"""The directive lists of Digest: `name=value` pairs with commas between (RFC 2831 sections 2.1 and 7).

One pass of one expression cuts a message into directives. It is the RFC's grammar, white space and empty list
elements included; whether quotes around a value were right is for the message to judge, which knows the directive.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from saslsspi.errors import InvalidToken

__all__ = ["Directive", "directives", "has_bare_backslash", "is_token", "quote", "unquote"]

# Section 7.2: LWS = [CRLF] 1*( SP | HT ). Written so that each octet can be matched in one way only.
_LWS: Final = rb"[ \t]*+(?:\r\n[ \t]++)*+"
# token = 1*<any CHAR except CTLs or separators>
_TOKEN: Final = rb"[!#$%&'*+\-.0-9A-Z^_`a-z|~]++"
# Section 7.2: qdtext = <any TEXT except <">>; quoted-pair = "\\" CHAR, which goes before it.
_TEXT: Final = rb"[^\"\\\x00-\x08\x0a-\x1f\x7f]*+"
_QUOTED: Final = rb'"(' + _TEXT + rb"(?:(?:\\[\x00-\x7f]|\r\n[ \t])" + _TEXT + rb')*+)"'
_SCAN: Final = re.compile(
    rb"(" + _TOKEN + rb")" + _LWS + rb"=" + _LWS + rb"(?:" + _QUOTED + rb"|(" + _TOKEN + rb"))"
    + _LWS + rb"(?:,|\Z)"
    + rb"|[ \t,]|\r\n[ \t]"  # between directives: white space and the commas of null elements
    + rb"|(.+)",  # anything else is no directive
    re.DOTALL,
).findall  # fmt: skip
_WHOLE_TOKEN: Final = re.compile(_TOKEN).fullmatch
_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_SPECIAL: Final = re.compile(rb'(["\\])')
_IMPROPER_PAIR: Final = re.compile(rb'(?:[^\\]|\A)(?:\\\\)*\\[^"\\]')

Directive: TypeAlias = tuple[bytes, bytes, bytes, bytes]
"""Name, the inside of a quoted string with its quoted pairs, the bare token, and what is no directive.

A bare token has at least one octet, so where it is empty the value stood in quotes.
"""


def directives(message: bytes, limit: int, alone: frozenset[bytes]) -> tuple[dict[bytes, Directive], list[Directive]]:
    """Cut a message into its directives.

    Args:
        message: The whole message.
        limit: The first size, in octets, that is too large.
        alone: Names that may not occur more than once.

    Returns:
        A directive of each name, by lower-case name, and all of them in order.

    Raises:
        InvalidToken: the message is too large, breaks the grammar, or repeats a directive that stands alone.
    """
    if len(message) >= limit:
        raise InvalidToken(f"message of {len(message)} octets, must be shorter than {limit}")
    scanned: list[Directive] = _SCAN(message)
    found = {directive[0].lower(): directive for directive in scanned}
    if b"" in found or len(found) != len(scanned):
        _check(scanned, alone)
        found.pop(b"", None)
    if not found:
        raise InvalidToken("the message holds no directive")
    return found, scanned


def _check(scanned: list[Directive], alone: frozenset[bytes]) -> None:
    """Raise unless what was scanned beside directives is white space and commas, and what must is there once."""
    seen = set()
    for name, _, _, stray in scanned:
        key = name.lower()
        if stray:
            raise InvalidToken("the message is not a list of directives: an unfinished quote, or no name=value")
        if key in seen and key in alone:
            raise InvalidToken(f"directive {key.decode()} occurs twice")
        seen.add(key)


def unquote(value: bytes) -> bytes:
    """Resolve the quoted pairs of a quoted string's inside."""
    return _PAIR.sub(rb"\1", value) if b"\\" in value else value


def quote(value: bytes) -> bytes:
    """Write a quoted string, double quotes and backslashes escaped; the inverse of unquote."""
    if b'"' in value or b"\\" in value:
        value = _SPECIAL.sub(rb"\\\1", value)
    return b'"%b"' % value


def is_token(value: bytes) -> bool:
    """Whether a value is a token, all of it ASCII: what a directive without quotes can hold."""
    return _WHOLE_TOKEN(value) is not None


def has_bare_backslash(value: bytes) -> bool:
    """Whether a quoted string's inside holds a backslash that escapes nothing that needs it (MS-DPSP 2.2)."""
    return b"\\" in value and _IMPROPER_PAIR.search(value) is not None
