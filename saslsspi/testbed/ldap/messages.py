"""LDAP requests: cut from the stream and decoded (RFC 4511 sections 4 and 5.1).

The bounded reader of saslsspi.der reads the octets: sizes, depth and lengths are checked before anything is built, and
whatever is wrong is an InvalidToken. The pyasn1 classes that ldap3 has of this protocol cannot read a nested filter.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from saslsspi.adapters.ldap.message_heads import read_head
from saslsspi.der import Lengths, Reader, Tag
from saslsspi.errors import InvalidToken
from saslsspi.testbed.ldap.filters import Filter, read_filter

__all__ = ["Abandon", "Extended", "Message", "Operation", "SaslBind", "Scope", "Search", "SimpleBind", "Unbind",
           "UnknownBind", "Unsupported", "message_size", "read_message"]  # fmt: skip

MAX_MESSAGE_ID: Final = (1 << 31) - 1
_MAX_COUNT: Final = 256

_BIND, _UNBIND, _SEARCH, _ABANDON, _EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
# Modify, add, delete, modifyDN and compare, each with the tag of its response.
_UNSUPPORTED: Final = {0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F}
_CONTROLS: Final = 0xA0
_SIMPLE, _SASL = 0x80, 0xA3
_REQUEST_NAME, _REQUEST_VALUE = 0x80, 0x81


class Scope(enum.IntEnum):
    """How far below its base a search looks."""

    BASE = 0
    ONE = 1
    SUBTREE = 2


@dataclass(frozen=True, slots=True)
class SimpleBind:
    """A bind by name and password. Its repr omits the password."""

    version: int
    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SaslBind:
    """One message of a SASL exchange. Its repr omits the token.

    Attributes:
        credentials: The client's token; None is none, b"" an empty one.
    """

    version: int
    mechanism: str
    credentials: bytes | None = field(repr=False)


class UnknownBind(NamedTuple):
    """A bind by a method that is neither simple nor SASL."""

    version: int


class Unbind(NamedTuple):
    """The end of the session."""


class Abandon(NamedTuple):
    """The client no longer wants an answer.

    Attributes:
        target: The message that started the operation.
    """

    target: int


class Extended(NamedTuple):
    """An operation named by an object identifier."""

    name: str
    value: bytes | None


class Unsupported(NamedTuple):
    """An operation that changes or compares entries.

    Attributes:
        response_tag: The tag of its response.
    """

    response_tag: int


@dataclass(frozen=True, slots=True)
class Search:
    """A search.

    Attributes:
        size_limit: How many entries the client wants at most; 0 for no limit.
        attributes: What to return, lower case; empty for all user attributes.
    """

    base: str
    scope: Scope
    size_limit: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...]


Bind = SimpleBind | SaslBind | UnknownBind
Operation = Bind | Unbind | Abandon | Extended | Unsupported | Search


class Message(NamedTuple):
    """A request.

    Attributes:
        critical: The controls that must be obeyed, or the operation refused.
    """

    id: int
    operation: Operation
    critical: tuple[str, ...]


def message_size(buffer: bytes | bytearray, max_size: int) -> int | None:
    """Return how many octets the message at the start of a buffer has, or None while its length is incomplete.

    Raises:
        InvalidToken: no LDAP message begins like this, or it is larger than max_size.
    """
    head = read_head(buffer, max_size)
    return None if head is None else head.size


def read_message(octets: bytes) -> Message:
    """Decode one whole message.

    Raises:
        InvalidToken: it is not a request as RFC 4511 defines it.
    """
    outer = Reader(octets, max_size=len(octets), lengths=Lengths.ANY_DEFINITE)
    reader = outer.enter()
    outer.end()
    number = reader.integer(max_octets=4)
    if not 0 < number <= MAX_MESSAGE_ID:
        raise InvalidToken(f"message id {number} is not one that a client may use")
    operation = _operation(reader)
    controls = reader.optional(_CONTROLS)
    critical = () if controls is None else _critical_controls(controls)
    reader.end()
    return Message(number, operation, critical)


def _operation(reader: Reader) -> Operation:
    tag = reader.peek()
    if tag == _BIND:
        return _bind(reader.enter(tag))
    if tag == _SEARCH:
        return _search(reader.enter(tag))
    if tag == _EXTENDED:
        return _extended(reader.enter(tag))
    if tag == _UNBIND:
        if reader.contents(tag):
            raise InvalidToken("an unbind request with contents")
        return Unbind()
    if tag == _ABANDON:
        return Abandon(reader.integer(tag, max_octets=4))
    if tag in _UNSUPPORTED:
        reader.contents(tag)
        return Unsupported(_UNSUPPORTED[tag])
    raise InvalidToken("no request has this tag" if tag is None else f"no request has tag 0x{tag:02x}")


def _bind(reader: Reader) -> Bind:
    version = reader.integer(max_octets=4)
    name = _text(reader.contents(Tag.OCTET_STRING))
    tag = reader.peek()
    if tag == _SIMPLE:
        bind: Bind = SimpleBind(version, name, reader.contents(tag))
    elif tag == _SASL:
        # RFC 4513 section 5.2.1.2: the name is ignored.
        sasl = reader.enter(tag)
        mechanism = _text(sasl.contents(Tag.OCTET_STRING))
        credentials = sasl.contents(Tag.OCTET_STRING) if sasl.peek() is not None else None
        sasl.end()
        bind = SaslBind(version, mechanism, credentials)
    elif tag is None:
        raise InvalidToken("a bind request without a method")
    else:
        reader.contents(tag)
        bind = UnknownBind(version)
    reader.end()
    return bind


def _search(reader: Reader) -> Search:
    base = _text(reader.contents(Tag.OCTET_STRING))
    scope, dereference = reader.enumerated(), reader.enumerated()
    size_limit, time_limit = reader.integer(max_octets=4), reader.integer(max_octets=4)
    if scope not in tuple(Scope) or not 0 <= dereference <= 3 or size_limit < 0 or time_limit < 0:
        raise InvalidToken("scope, dereferencing or a limit of a search is out of range")
    types_only = reader.contents(_BOOLEAN) != b"\0"
    wanted = read_filter(reader)
    attributes = reader.sequence_of(lambda item: _text(item.contents(Tag.OCTET_STRING)).lower(), max_count=_MAX_COUNT)
    reader.end()
    return Search(base, Scope(scope), size_limit, types_only, wanted, tuple(attributes))


def _extended(reader: Reader) -> Extended:
    name = _text(reader.contents(_REQUEST_NAME))
    value = reader.contents(_REQUEST_VALUE) if reader.peek() is not None else None
    reader.end()
    return Extended(name, value)


_BOOLEAN: Final = 0x01


def _critical_controls(reader: Reader) -> tuple[str, ...]:
    critical = []
    for _ in range(_MAX_COUNT):
        if reader.peek() is None:
            break
        control = reader.enter()
        name = _text(control.contents(Tag.OCTET_STRING))
        if control.peek() == _BOOLEAN and control.contents(_BOOLEAN) != b"\0":
            critical.append(name)
        if control.peek() is not None:
            control.contents(Tag.OCTET_STRING)
        control.end()
    reader.end()
    return tuple(critical)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise InvalidToken("an LDAPString is not UTF-8") from None
