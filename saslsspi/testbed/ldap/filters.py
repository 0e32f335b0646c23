"""Search filters: read from the wire and tried on entries (RFC 4511 section 4.5.1.7).

A test answers True, False, or None for Undefined, and only True selects an entry.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from saslsspi.der import Reader, context
from saslsspi.errors import InvalidToken
from saslsspi.testbed.ldap.names import prepare

__all__ = ["MAX_TERMS", "And", "Comparison", "Equality", "Filter", "Not", "Or", "Present", "Substrings",
           "Undefined", "Values", "read_filter"]  # fmt: skip

MAX_TERMS: Final = 256
"""How many terms a filter may have; a search tries each on every entry in scope."""

Values = Mapping[str, tuple[str, ...]]
"""Prepared values of an entry by lower-case attribute type."""


class Filter(Protocol):
    """What selects entries."""

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Try it on an entry; attribute types that are not known are Undefined."""


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts."""

    parts: tuple[Filter, ...]

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """False goes before Undefined."""
        answer: bool | None = True
        for part in self.parts:
            found = part.test(values, known)
            if found is False:
                return False
            if found is None:
                answer = None
        return answer


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts."""

    parts: tuple[Filter, ...]

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """True goes before Undefined."""
        answer: bool | None = False
        for part in self.parts:
            found = part.test(values, known)
            if found:
                return True
            if found is None:
                answer = None
        return answer


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; the opposite of Undefined is Undefined."""

    part: Filter

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Turn the answer round."""
        found = self.part.test(values, known)
        return None if found is None else not found


@dataclass(frozen=True, slots=True)
class Present:
    """The entry has the attribute."""

    attribute: str

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Look the attribute up."""
        return self.attribute in values if self.attribute in known else None


@dataclass(frozen=True, slots=True)
class Equality:
    """A value equals."""

    attribute: str
    value: str

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Compare prepared values."""
        if self.attribute not in known:
            return None
        return self.value in values.get(self.attribute, ())


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value is at least, or at most, the asserted one; numbers compare as numbers."""

    attribute: str
    value: str
    order: Callable[[tuple[int, str], tuple[int, str]], bool]

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Compare prepared values."""
        if self.attribute not in known:
            return None
        asserted = _rank(self.value)
        return any(self.order(_rank(value), asserted) for value in values.get(self.attribute, ()))


@dataclass(frozen=True, slots=True)
class Substrings:
    """A value holds the pieces in their order."""

    attribute: str
    initial: str
    middle: tuple[str, ...]
    final: str

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Look for the pieces one after another."""
        if self.attribute not in known:
            return None
        return any(map(self._fits, values.get(self.attribute, ())))

    def _fits(self, value: str) -> bool:
        at, end = len(self.initial), len(value) - len(self.final)
        if at > end or not value.startswith(self.initial) or not value.endswith(self.final):
            return False
        for piece in self.middle:
            found = value.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True


@dataclass(frozen=True, slots=True)
class Undefined:
    """A matching rule that this server does not have."""

    def test(self, values: Values, known: Container[str]) -> bool | None:
        """Never select anything."""
        return None


_AND, _OR, _NOT, _EQUAL, _SUBSTRINGS, _AT_LEAST, _AT_MOST, _APPROXIMATE, _EXTENSIBLE = map(
    context, (0, 1, 2, 3, 4, 5, 6, 8, 9)
)
_PRESENT: Final = 0x87
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82


def read_filter(reader: Reader) -> Filter:
    """Read a Filter.

    Raises:
        InvalidToken: it is malformed, too deep, or has more than MAX_TERMS terms.
    """
    return _FilterReader().read(reader)


class _FilterReader:
    def __init__(self) -> None:
        self._terms = 0

    def read(self, reader: Reader) -> Filter:
        self._count()
        tag = reader.peek()
        if tag in (_AND, _OR):
            inner = reader.enter(tag)
            parts = []
            while inner.peek() is not None:
                parts.append(self.read(inner))
            return And(tuple(parts)) if tag == _AND else Or(tuple(parts))
        if tag == _NOT:
            inner = reader.enter(tag)
            part = self.read(inner)
            inner.end()
            return Not(part)
        if tag in (_EQUAL, _APPROXIMATE):
            return Equality(*_assertion(reader, tag))
        if tag == _AT_LEAST:
            return Comparison(*_assertion(reader, tag), operator.ge)
        if tag == _AT_MOST:
            return Comparison(*_assertion(reader, tag), operator.le)
        if tag == _SUBSTRINGS:
            return self._substrings(reader.enter(tag))
        if tag == _PRESENT:
            return Present(_attribute(reader.contents(tag)))
        reader.contents(_EXTENSIBLE)
        return Undefined()

    def _substrings(self, reader: Reader) -> Filter:
        attribute = _attribute(reader.contents(_OCTETS))
        pieces = reader.enter()
        reader.end()
        initial, final = "", ""
        middle: list[str] = []
        # RFC 4511 section 4.5.1.7.2: initial comes first and once, final last and once, and there is at least one.
        while (tag := pieces.peek()) is not None:
            self._count()
            piece = _value(pieces.contents(tag))
            if tag == _INITIAL and not initial and not middle:
                initial = piece
            elif tag == _ANY:
                middle.append(piece)
            elif tag == _FINAL:
                final = piece
                pieces.end()
            else:
                raise InvalidToken("the pieces of a substring filter are in no order that there is")
        return Substrings(attribute, initial, tuple(middle), final)

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise InvalidToken(f"a filter of more than {MAX_TERMS} terms")


_OCTETS: Final = 0x04


def _assertion(reader: Reader, tag: int) -> tuple[str, str]:
    inner = reader.enter(tag)
    attribute, value = _attribute(inner.contents(_OCTETS)), _value(inner.contents(_OCTETS))
    inner.end()
    return attribute, value


def _attribute(octets: bytes) -> str:
    # Options (RFC 4512 section 2.5.2) do not occur in this directory.
    return octets.decode("utf-8", "replace").lower()


def _value(octets: bytes) -> str:
    return prepare(octets.decode("utf-8", "replace"))


def _rank(value: str) -> tuple[int, str]:
    """Return what sorts numbers as numbers, without making one of a peer's million digits."""
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")
        return len(digits), digits
    return -1, value
