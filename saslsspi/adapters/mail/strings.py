"""Quoted strings and literals, as IMAP's kin write them on a line (RFC 5804 section 4, after RFC 3501 section 4.3).

A literal announces its size at the end of a line and goes on behind it. Here a line holds its literals in place, CRLF
and all, so that one piece of octets is one command or one response.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final, NamedTuple

from saslsspi.errors import InvalidToken

__all__ = ["LINE", "Word", "literal", "read_line", "string", "words"]

LINE: Final = -1
"""What a reader yields to get a line without its CRLF; a number from 0 on gets it so many octets."""

_LONGEST_QUOTED: Final = 1024  # RFC 5804 section 4
_LITERAL: Final = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_QUOTABLE: Final = re.compile(rb"[^\0\r\n]*\Z")
_WORD: Final = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"|\{(\d{1,10})\+?\}\r\n|([()])|([^ "(){}\\\r\n]+)')
_ESCAPE: Final = re.compile(rb'["\\]')
_ESCAPED: Final = re.compile(rb'\\(["\\])')


class Word(NamedTuple):
    """An atom, a parenthesis or a string of a line.

    Attributes:
        text: Of a string what it stands for, without quotes and escapes.
    """

    text: bytes
    is_string: bool


def literal(line: bytes) -> re.Match[bytes] | None:
    """Return the announcement of a literal at the end of a line: its size, and "+" where nobody waits for leave."""
    return _LITERAL.search(line)


def read_line(limit: int) -> Generator[int, bytes, bytes]:
    """Read a line with its literals; yields what it needs, LINE or a size.

    Raises:
        InvalidToken: it is longer than limit octets.
    """
    whole = part = yield LINE
    while (found := _LITERAL.search(part)) is not None:
        size = int(found[1])
        if len(whole) + size > limit:
            raise InvalidToken(f"a literal of {size} octets is longer than we read")
        octets = yield size
        part = yield LINE
        whole = b"".join((whole, b"\r\n", octets, part))
        if len(whole) > limit:
            raise InvalidToken(f"a line with literals is longer than the {limit} octets that we read")
    return whole


def words(line: bytes) -> list[Word]:
    """Cut a line into its words.

    Raises:
        InvalidToken: it is not made of atoms, strings and parentheses with single spaces between.
    """
    found: list[Word] = []
    position = 0
    while position < len(line):
        match = _WORD.match(line, position)
        if match is None:
            raise InvalidToken(f"octet {position} of a line begins no word")
        position = match.end()
        if match[1] is not None:
            found.append(Word(_ESCAPED.sub(rb"\1", match[1]), True))
        elif match[2] is not None:
            size = int(match[2])
            if len(line) - position < size:
                raise InvalidToken(f"a literal of {size} octets is cut short")
            found.append(Word(line[position : position + size], True))
            position += size
        else:
            found.append(Word(match[3] or match[4], False))
        if line[position : position + 1] == b" ":
            position += 1
    return found


def string(text: bytes, *, from_client: bool) -> bytes:
    """Write a string: quoted where that is possible, else as a literal; only a client's has the plus (section 4)."""
    if len(text) <= _LONGEST_QUOTED and _QUOTABLE.match(text):
        quoted = _ESCAPE.sub(rb"\\\g<0>", text)
        if len(quoted) <= _LONGEST_QUOTED:
            return b'"' + quoted + b'"'
    return b"{%d%s}\r\n" % (len(text), b"+" if from_client else b"") + text
