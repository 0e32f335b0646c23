"""How texts become octets: SASLprep of user names and passwords (RFC 4013), a trace's preparation (RFC 4505), UTF-8."""

from __future__ import annotations

import enum
import re
import stringprep
from collections.abc import Callable
from typing import Final, TypeAlias
from unicodedata import ucd_3_2_0

from saslsspi.errors import InvalidParameter

__all__ = ["MAX_CODE_POINTS", "Preparation", "encode_field", "prepare", "saslprep", "trace_prep"]

MAX_CODE_POINTS: Final = 4096  # sorting combining marks costs time quadratic in their number

_Tables: TypeAlias = tuple[tuple[str, Callable[[str], bool]], ...]

# RFC 4013 section 2.3, in its order; C.1.2 cannot be left after mapping but may come back from normalisation.
_PROHIBITED: Final[_Tables] = (
    ("C.1.2, a non-ASCII space", stringprep.in_table_c12),
    ("C.2.1 or C.2.2, a control character", stringprep.in_table_c21_c22),
    ("C.3, private use", stringprep.in_table_c3),
    ("C.4, a non-character", stringprep.in_table_c4),
    ("C.5, a surrogate", stringprep.in_table_c5),
    ("C.6, inappropriate for plain text", stringprep.in_table_c6),
    ("C.7, inappropriate for canonical representation", stringprep.in_table_c7),
    ("C.8, a change of display properties", stringprep.in_table_c8),
    ("C.9, a tagging character", stringprep.in_table_c9),
)
# All of them in one expression: a text that it finds nothing in costs one search, and one that it does is looked at
# table by table, for the error. A logon prepares a text beyond ASCII for every user (saslsspi.accounts.decoys).
_ANY_PROHIBITED: Final = re.compile(
    "[\\u00a0\\u1680\\u2000-\\u200b\\u202f\\u205f\\u3000"  # C.1.2
    "\\x00-\\x1f\\x7f-\\x9f\\u06dd\\u070f\\u180e\\u200c\\u200d\\u2028\\u2029\\u2060-\\u2063\\u206a-\\u206f"  # C.2
    "\\ufeff\\ufff9-\\ufffc\\U0001d173-\\U0001d17a\\ue000-\\uf8ff\\U000f0000-\\U0010ffff"  # C.2.2, C.3, C.4
    "\\ufdd0-\\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(15)) +  # C.4
    "\\ud800-\\udfff\\ufff9-\\ufffd\\u2ff0-\\u2ffb"  # C.5, C.6, C.7
    "\\u0340\\u0341\\u200e\\u200f\\u202a-\\u202e\\U000e0001\\U000e0020-\\U000e007f]"  # C.8, C.9
)  # fmt: skip
# RFC 4013 section 2.1: B.1 becomes nothing, and C.1.2 but for what B.1 has of it a space.
_MAPPED: Final = {
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((0xAD, 0x34F, 0x1806, *range(0x180B, 0x180E), *range(0x200B, 0x200E), 0x2060, 0xFEFF), ""),
    **dict.fromkeys(range(0xFE00, 0xFE10), ""),
}
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})  # table D.1 by its property; D.2 is "L"
# RFC 4505 section 3: spaces of every kind and C.7 are left out of that list.
_PROHIBITED_IN_TRACE: Final[_Tables] = tuple(entry for entry in _PROHIBITED if entry[0][:5] not in {"C.1.2", "C.7, "})


class Preparation(enum.Enum):
    """What is done with a user name or a password before it is used."""

    REQUIRED = "required"  # SASLprep, and what it refuses is refused (RFC 5802 section 5.1, RFC 4616 section 2)
    TRIED = "tried"  # SASLprep, and what it refuses is taken as it is: PostgreSQL and its clients
    NONE = "none"  # nothing: user names of MongoDB


def prepare(text: str, preparation: Preparation, *, stored: bool = False) -> str:
    """Return a user name or a password as a policy wants it; it may be empty, which most users of it must refuse.

    Args:
        text: As the user types it.
        preparation: What is done.
        stored: See saslprep.

    Raises:
        InvalidParameter: it is required to be prepared, and cannot be.
    """
    if preparation is Preparation.NONE:
        return text
    try:
        return saslprep(text, stored=stored) or (text if preparation is Preparation.TRIED else "")
    except InvalidParameter:
        if preparation is Preparation.TRIED:
            return text
        raise


def saslprep(text: str, *, stored: bool = False) -> str:
    """Return text prepared by SASLprep (RFC 4013); it may be empty, which most users of it must refuse.

    Args:
        text: A user name or a password.
        stored: Whether the result is kept for later comparison; then code points that Unicode 3.2 leaves
            unassigned are refused, which a query may carry (section 2.5).

    Raises:
        InvalidParameter: a rule is broken; the text of the error names the rule and never the characters.
    """
    if len(text) > MAX_CODE_POINTS:
        raise InvalidParameter(f"SASLprep takes at most {MAX_CODE_POINTS} code points, not {len(text)}")
    if text.isascii() and text.isprintable():
        return text
    prepared = ucd_3_2_0.normalize("NFKC", text.translate(_MAPPED))
    _check_prohibited(prepared, _PROHIBITED, "SASLprep prohibits", "RFC 4013 section 2.3")
    _check_bidirectional(prepared, "SASLprep refuses", "RFC 4013 section 2.4")
    # Table A.1 is what has no category and is no non-character; those were refused above.
    if stored and "Cn" in map(ucd_3_2_0.category, prepared):
        raise InvalidParameter("SASLprep refuses an unassigned code point in a stored string (RFC 4013 section 2.5)")
    return prepared


def trace_prep(text: str) -> str:
    """Return text checked by the trace profile, which changes nothing (RFC 4505 section 3).

    Raises:
        InvalidParameter: a rule is broken; the text of the error names the rule and never the characters.
    """
    if len(text) > MAX_CODE_POINTS:
        raise InvalidParameter(f"a trace has at most {MAX_CODE_POINTS} code points, not {len(text)}")
    _check_prohibited(text, _PROHIBITED_IN_TRACE, "a trace cannot hold", "RFC 4505 section 3")
    _check_bidirectional(text, "a trace cannot hold", "RFC 3454 section 6")
    return text


def _check_prohibited(prepared: str, tables: _Tables, complaint: str, source: str) -> None:
    if _ANY_PROHIBITED.search(prepared) is None:
        return
    for table, contains in tables:
        if any(map(contains, prepared)):
            raise InvalidParameter(f"{complaint} a character of table {table} ({source})")


def _check_bidirectional(prepared: str, complaint: str, source: str) -> None:
    # RFC 3454 section 6: "If a string contains any RandALCat character, the string MUST NOT contain any LCat
    # character" and "a RandALCat character MUST be the first character of the string, and ... the last".
    directions = set(map(ucd_3_2_0.bidirectional, prepared))
    if directions.isdisjoint(_RIGHT_TO_LEFT):
        return
    if "L" in directions:
        raise InvalidParameter(f"{complaint} both directions of text in one string ({source})")
    if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
        raise InvalidParameter(f"{complaint} right-to-left text that is not at both ends ({source})")


def encode_field(text: str, what: str) -> bytes:
    """Return an identity or a password in UTF-8.

    Raises:
        InvalidParameter: it holds NUL or a surrogate.
    """
    if "\0" in text:
        raise InvalidParameter(f"{what} holds no NUL", requirement="RFC4422-3.4.1-01")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidParameter(f"{what} holds a surrogate, which UTF-8 cannot carry") from None
