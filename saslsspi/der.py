"""A bounded reader and writer of DER (X.690): what SPNEGO and the GSS-API token header need, no more.

Reader walks one element after another and raises InvalidToken, with the offset, on everything that is not DER: lengths
that are indefinite, not minimal or longer than what encloses them, tags of more than one octet, octets left over,
nesting and sizes above the caps. The functions at the end write; each returns one whole element.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from saslsspi.errors import InvalidParameter, InvalidToken

__all__ = [
    "MAX_DEPTH",
    "MAX_SIZE",
    "Lengths",
    "Reader",
    "Tag",
    "application",
    "bit_string",
    "context",
    "decode_oid",
    "element",
    "encode_oid",
    "enumerated",
    "general_string",
    "integer",
    "octet_string",
    "oid",
    "sequence",
]

MAX_DEPTH: Final = 16
MAX_SIZE: Final = 1 << 17  # a Kerberos ticket with a large PAC stays below 64 KiB
_MAX_OID_SIZE: Final = 64
_DOTTED: Final = re.compile(r"(0|[1-9][0-9]{0,134})(\.(0|[1-9][0-9]{0,134}))+")  # 64 octets hold 135 digits

_T = TypeVar("_T")


class Tag(enum.IntEnum):
    """The identifier octets of the universal types used here (X.690 section 8.1.2)."""

    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    OID = 0x06
    ENUMERATED = 0x0A
    GENERAL_STRING = 0x1B
    SEQUENCE = 0x30


def context(number: int) -> int:
    """Return the tag [number], context-specific and constructed: an EXPLICIT one."""
    return 0xA0 | number


def application(number: int) -> int:
    """Return the tag [APPLICATION number], constructed."""
    return 0x60 | number


class Lengths(enum.Enum):
    """Which length octets a Reader takes."""

    MINIMAL = enum.auto()  # X.690 section 10.1: "encoded in the minimum number of octets"
    ANY_DEFINITE = enum.auto()  # BER's long form with leading zeros too; for peers that write it


class Reader:
    """A cursor over the elements that lie in a run of octets.

    Every read names the tag it expects; end() must close each Reader, so that nothing is left over.
    Offsets in errors count from the start of the outermost Reader's data.
    """

    __slots__ = ("_at", "_data", "_depth", "_lengths", "_stop")

    def __init__(self, data: bytes, *, max_size: int = MAX_SIZE, lengths: Lengths = Lengths.MINIMAL) -> None:
        """Begin at the first octet.

        Raises:
            InvalidToken: there are more than max_size octets.
        """
        if len(data) > max_size:
            raise InvalidToken(f"DER of {len(data)} octets, at most {max_size} are taken")
        self._data, self._at, self._stop = data, 0, len(data)
        self._lengths, self._depth = lengths, 0

    def peek(self) -> int | None:
        """Return the tag of the next element, or None at the end."""
        return self._data[self._at] if self._at < self._stop else None

    def end(self) -> None:
        """Raise InvalidToken unless everything is read."""
        if self._at != self._stop:
            raise self._error(f"{self._stop - self._at} octets left over")

    def rest(self) -> bytes:
        """Read what is left as it stands; the inner token of RFC 2743 section 3.1 is not DER."""
        start, self._at = self._at, self._stop
        return self._data[start : self._stop]

    def contents(self, tag: int) -> bytes:
        """Read one element and return its contents octets."""
        start, stop = self._next(tag)
        return self._data[start:stop]

    def encoded(self, tag: int) -> bytes:
        """Read one element and return all its octets, header included, as they were received."""
        start = self._at
        _, stop = self._next(tag)
        return self._data[start:stop]

    def enter(self, tag: int = Tag.SEQUENCE) -> Reader:
        """Read one constructed element and return a Reader of what lies in it."""
        if self._depth == MAX_DEPTH:
            raise self._error(f"elements nest deeper than {MAX_DEPTH}")
        inner = Reader.__new__(Reader)
        inner._data, inner._lengths, inner._depth = self._data, self._lengths, self._depth + 1
        inner._at, inner._stop = self._next(tag)
        return inner

    def optional(self, tag: int) -> Reader | None:
        """Enter the next element if it has this tag, else return None and stay."""
        return self.enter(tag) if self.peek() == tag else None

    def integer(self, tag: int = Tag.INTEGER, *, max_octets: int = 8) -> int:
        """Read an INTEGER, signed, of at most max_octets (X.690 section 8.3)."""
        start, stop = self._next(tag)
        if not 1 <= stop - start <= max_octets:
            raise self._error(f"INTEGER of {stop - start} octets, expected 1 to {max_octets}", start)
        # X.690 section 8.3.2: the first nine bits "shall not all be ones" and "shall not all be zero".
        if stop - start > 1 and (self._data[start], self._data[start + 1] >> 7) in ((0, 0), (0xFF, 1)):
            raise self._error("INTEGER is not minimal", start)
        return int.from_bytes(self._data[start:stop], signed=True)

    def enumerated(self) -> int:
        """Read an ENUMERATED of at most 4 octets."""
        return self.integer(Tag.ENUMERATED, max_octets=4)

    def octet_string(self) -> bytes:
        """Read an OCTET STRING."""
        return self.contents(Tag.OCTET_STRING)

    def general_string(self) -> bytes:
        """Read a GeneralString; its character set is the reader's business."""
        return self.contents(Tag.GENERAL_STRING)

    def bit_string(self, *, max_bits: int = 64) -> tuple[bool, ...]:
        """Read a BIT STRING, bit 0 first (X.690 section 8.6)."""
        start, stop = self._next(Tag.BIT_STRING)
        unused = self._data[start] if start < stop else 8
        count = (stop - start - 1) * 8 - unused
        if unused > 7 or count < 0:
            raise self._error("BIT STRING has no valid count of unused bits", start)
        if count > max_bits:
            raise self._error(f"BIT STRING of {count} bits, at most {max_bits} are taken", start)
        bits = int.from_bytes(self._data[start + 1 : stop])
        if bits & (1 << unused) - 1:
            raise self._error("BIT STRING has unused bits that are not 0", start)
        return tuple(bool(bits >> unused + at & 1) for at in range(count - 1, -1, -1))

    def oid(self) -> str:
        """Read an OBJECT IDENTIFIER as dotted text."""
        start, stop = self._next(Tag.OID)
        try:
            return decode_oid(self._data[start:stop])
        except InvalidToken as error:
            raise self._error(error.text, start) from None

    def sequence_of(self, read: Callable[[Reader], _T], *, max_count: int = 64) -> list[_T]:
        """Read a SEQUENCE OF, each item by read; at most max_count items."""
        inner = self.enter()
        items: list[_T] = []
        while inner.peek() is not None:
            if len(items) == max_count:
                raise inner._error(f"SEQUENCE OF more than {max_count} items")
            before = inner._at
            items.append(read(inner))
            assert inner._at > before, "the item reader must read"
        return items

    def _next(self, tag: int) -> tuple[int, int]:
        """Move past one element; return where its contents start and stop."""
        data, at, stop = self._data, self._at, self._stop
        if stop - at < 2:
            raise self._error(f"{stop - at} octets left where tag 0x{tag:02x} is due")
        if data[at] != tag:
            raise self._error(f"tag 0x{data[at]:02x} where 0x{tag:02x} is due")
        length, start = data[at + 1], at + 2
        if length > 0x7F:
            start += length & 0x7F
            # 0x80 is the indefinite form; more than four octets of length are never needed.
            if not 0x81 <= length <= 0x84 or start > stop:
                raise self._error(f"length octet 0x{length:02x} is not taken here")
            length = int.from_bytes(data[at + 2 : start])
            if self._lengths is Lengths.MINIMAL and (length < 0x80 or data[at + 2] == 0):
                raise self._error(f"length {length} is not in minimal form")
        if length > stop - start:
            raise self._error(f"length {length} exceeds the {stop - start} octets left")
        self._at = start + length
        return start, self._at

    def _error(self, text: str, at: int | None = None) -> InvalidToken:
        return InvalidToken(f"DER at offset {self._at if at is None else at}: {text}")


def decode_oid(contents: bytes) -> str:
    """Return the dotted text of an OBJECT IDENTIFIER's contents octets (X.690 section 8.19)."""
    if not 1 <= len(contents) <= _MAX_OID_SIZE or contents[-1] & 0x80:
        raise InvalidToken(f"OBJECT IDENTIFIER of {len(contents)} octets is empty, cut or too long")
    arcs, value = [], 0
    for octet in contents:
        # X.690 section 8.19.2: "the leading octet of the subidentifier shall not have the value 0x80".
        if octet == 0x80 and not value:
            raise InvalidToken("OBJECT IDENTIFIER has an arc that is not minimal")
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(value)
            value = 0
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))


def encode_oid(dotted: str) -> bytes:
    """Return the contents octets of an OBJECT IDENTIFIER; the exact inverse of decode_oid.

    Raises:
        InvalidParameter: dotted is not an object identifier.
    """
    if not _DOTTED.fullmatch(dotted):
        raise InvalidParameter("an object identifier is two or more numbers joined by dots")
    top, second, *others = map(int, dotted.split("."))
    if top > 2 or (top < 2 and second > 39):
        raise InvalidParameter("an object identifier begins with 0.0 to 0.39, 1.0 to 1.39 or 2")
    contents = b"".join(_base128(arc) for arc in (top * 40 + second, *others))
    if len(contents) > _MAX_OID_SIZE:
        raise InvalidParameter(f"object identifier of {len(contents)} octets, at most {_MAX_OID_SIZE} are written")
    return contents


def _base128(value: int) -> bytes:
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(value & 0x7F | 0x80)
    return bytes(reversed(octets))


def element(tag: int, *parts: bytes) -> bytes:
    """Write an element whose contents are the parts in a row."""
    contents = b"".join(parts)
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets) + contents


def sequence(*parts: bytes) -> bytes:
    """Write a SEQUENCE, or SEQUENCE OF, of elements."""
    return element(Tag.SEQUENCE, *parts)


def integer(value: int, tag: int = Tag.INTEGER) -> bytes:
    """Write an INTEGER, signed, in as few octets as it needs."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return element(tag, value.to_bytes(size, signed=True))


def enumerated(value: int) -> bytes:
    """Write an ENUMERATED."""
    return integer(value, Tag.ENUMERATED)


def octet_string(data: bytes) -> bytes:
    """Write an OCTET STRING."""
    return element(Tag.OCTET_STRING, data)


def general_string(data: bytes) -> bytes:
    """Write a GeneralString of octets that are already in its character set."""
    return element(Tag.GENERAL_STRING, data)


def bit_string(bits: Sequence[bool]) -> bytes:
    """Write a BIT STRING, bit 0 first."""
    unused = -len(bits) % 8
    value = sum(bit << at for at, bit in enumerate(reversed(bits)))
    return element(Tag.BIT_STRING, bytes((unused,)), (value << unused).to_bytes((len(bits) + unused) // 8))


def oid(dotted: str) -> bytes:
    """Write an OBJECT IDENTIFIER from dotted text."""
    return element(Tag.OID, encode_oid(dotted))
