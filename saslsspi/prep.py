"""How texts become octets: SASLprep of user names and passwords (RFC 4013), a trace's preparation (RFC 4505), UTF-8."""

from __future__ import annotations

import enum
import stringprep
from collections.abc import Callable
from functools import lru_cache, reduce
from operator import or_
from typing import Final, TypeAlias
from unicodedata import ucd_3_2_0

from saslsspi.errors import InvalidParameter

__all__ = ["MAX_CODE_POINTS", "Preparation", "encode_field", "prepare", "saslprep", "trace_prep"]

MAX_CODE_POINTS: Final = 4096  # sorting combining marks costs time quadratic in their number

_Tables: TypeAlias = tuple[tuple[str, Callable[[str], bool]], ...]

_MANY: Final = 4096  # characters that are remembered
_FORBIDDEN, _RIGHT_TO_LEFT, _UNASSIGNED = 1, 2, 4  # what may be wrong with one

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
    prepared = ucd_3_2_0.normalize("NFKC", "".join(map(_mapped, text)))
    doubts = reduce(or_, map(_doubts, prepared), 0)
    if doubts & _FORBIDDEN:
        _check_prohibited(prepared, _PROHIBITED, "SASLprep prohibits", "RFC 4013 section 2.3")
    if doubts & _RIGHT_TO_LEFT:
        _check_bidirectional(prepared, "SASLprep refuses", "RFC 4013 section 2.4")
    if stored and doubts & _UNASSIGNED:
        raise InvalidParameter("SASLprep refuses an unassigned code point in a stored string (RFC 4013 section 2.5)")
    return prepared


@lru_cache(_MANY)
def _mapped(character: str) -> str:
    """Return what RFC 4013 section 2.1 makes of a character: itself, a space, or nothing."""
    if stringprep.in_table_b1(character):
        return ""
    return " " if stringprep.in_table_c12(character) else character


@lru_cache(_MANY)
def _doubts(character: str) -> int:
    """Return the doubts about a character, remembered: there are ten tables to look into."""
    prohibited = any(contains(character) for _, contains in _PROHIBITED)
    return (
        (_FORBIDDEN if prohibited else 0)
        | (_RIGHT_TO_LEFT if stringprep.in_table_d1(character) else 0)
        | (_UNASSIGNED if stringprep.in_table_a1(character) else 0)
    )


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
    for table, contains in tables:
        if any(map(contains, prepared)):
            raise InvalidParameter(f"{complaint} a character of table {table} ({source})")


def _check_bidirectional(prepared: str, complaint: str, source: str) -> None:
    # RFC 3454 section 6: "If a string contains any RandALCat character, the string MUST NOT contain any LCat
    # character" and "a RandALCat character MUST be the first character of the string, and ... the last".
    if not any(map(stringprep.in_table_d1, prepared)):
        return
    if any(map(stringprep.in_table_d2, prepared)):
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
