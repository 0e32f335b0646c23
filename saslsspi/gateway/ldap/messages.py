"""LDAP messages as far as a gateway has to understand them (RFC 4511): binds, and its own answers.

Of everything else only the head is looked at. The bounded reader of saslsspi.der reads what is read.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from saslsspi.adapters.ldap.message_heads import Head
from saslsspi.der import Lengths, Reader, element, enumerated, integer, octet_string, sequence
from saslsspi.errors import InvalidToken

__all__ = [
    "START_TLS",
    "BindMethod",
    "BindRequest",
    "Code",
    "Kind",
    "answer",
    "bind_response",
    "disconnect",
    "message_of",
    "names_start_tls",
    "opened",
    "read_bind",
    "text_of",
]

_MAX_NUMBER: Final = (1 << 31) - 1
_CONTROLS: Final = 0xA0
_SIMPLE: Final = 0x80
_SASL: Final = 0xA3
_REQUEST_NAME, _RESPONSE_NAME = 0x80, 0x8A
_BOOLEAN: Final = 0x01
_MOST: Final = 1000

START_TLS: Final = b"1.3.6.1.4.1.1466.20037"
_DISCONNECTION: Final = b"1.3.6.1.4.1.1466.20036"


class Kind(enum.IntEnum):
    """The tags of operations that are looked for."""

    BIND = 0x60
    BIND_RESPONSE = 0x61
    UNBIND = 0x42
    SEARCH = 0x63
    ENTRY = 0x64
    DONE = 0x65
    REFERENCE = 0x73
    ABANDON = 0x50
    EXTENDED = 0x77
    EXTENDED_RESPONSE = 0x78


# Every request that has an answer, with the tag of that.
_ANSWERS: Final = {0x60: 0x61, 0x63: 0x65, 0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x6C: 0x6D, 0x6E: 0x6F, 0x77: 0x78}


class Code(enum.IntEnum):
    """Result codes (RFC 4511 section 4.1.9)."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    SASL_BIND_IN_PROGRESS = 14
    INVALID_CREDENTIALS = 49
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class BindMethod(enum.Enum):
    """What a bind request comes with (RFC 4513 section 5.1)."""

    ANONYMOUS = enum.auto()
    UNAUTHENTICATED = enum.auto()  # a name without a password
    PASSWORD = enum.auto()
    SASL = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True)
class BindRequest:
    """A bind request. Its repr omits the password.

    Attributes:
        critical: Whether a control must be obeyed, or the bind refused.
    """

    version: int
    name: str
    method: BindMethod
    password: bytes = field(default=b"", repr=False)
    critical: bool = False


def opened(octets: bytes) -> tuple[int, Reader]:
    """Return the number of a whole message, and a reader that stands before its operation.

    Raises:
        InvalidToken: it is none.
    """
    outer = Reader(octets, max_size=len(octets), lengths=Lengths.ANY_DEFINITE)
    reader = outer.enter()
    outer.end()
    return reader.integer(max_octets=4), reader


def read_bind(octets: bytes) -> BindRequest:
    """Read a whole bind request.

    Raises:
        InvalidToken: it is none.
    """
    number, message = opened(octets)
    if not 0 < number <= _MAX_NUMBER:
        raise InvalidToken(f"message id {number} is not one that a client may use")
    reader = message.enter(Kind.BIND)
    version = reader.integer(max_octets=4)
    name = text_of(reader.octet_string())
    tag = reader.peek()
    if tag is None:
        raise InvalidToken("a bind request without a method")
    contents = reader.contents(tag)
    reader.end()
    critical = _has_critical(message)
    message.end()
    if tag != _SIMPLE:
        return BindRequest(version, name, BindMethod.SASL if tag == _SASL else BindMethod.OTHER, critical=critical)
    method = BindMethod.PASSWORD if contents else BindMethod.UNAUTHENTICATED if name else BindMethod.ANONYMOUS
    return BindRequest(version, name, method, contents, critical)


def _has_critical(message: Reader) -> bool:
    controls = message.optional(_CONTROLS)
    if controls is None:
        return False
    critical = False
    for _ in range(_MOST):
        if controls.peek() is None:
            break
        control = controls.enter()
        control.octet_string()
        critical = (control.peek() == _BOOLEAN and control.contents(_BOOLEAN) != b"\0") or critical
        if control.peek() is not None:
            control.octet_string()
        control.end()
    controls.end()
    return critical


def names_start_tls(octets: bytes) -> bool:
    """Whether a whole extended request is the one that starts TLS.

    Raises:
        InvalidToken: it is none.
    """
    _, message = opened(octets)
    return message.enter(Kind.EXTENDED).contents(_REQUEST_NAME) == START_TLS


def message_of(number: int, operation: bytes) -> bytes:
    """Write a message."""
    return sequence(integer(number), operation)


def _result(code: int, text: str, *more: bytes) -> bytes:
    return b"".join((enumerated(code), octet_string(b""), octet_string(text.encode()), *more))


def bind_response(number: int, code: int, text: str = "") -> bytes:
    """Write the answer to a bind."""
    return message_of(number, element(Kind.BIND_RESPONSE, _result(code, text)))


def answer(head: Head, code: int, text: str = "") -> bytes:
    """Write the answer to a request that ends with that; b"" for one that has none."""
    kind = _ANSWERS.get(head.operation)
    return b"" if kind is None else message_of(head.number, element(kind, _result(code, text)))


def disconnect(code: int, text: str) -> bytes:
    """Write a Notice of Disconnection (RFC 4511 section 4.4.1)."""
    return message_of(0, element(Kind.EXTENDED_RESPONSE, _result(code, text, element(_RESPONSE_NAME, _DISCONNECTION))))


def text_of(octets: bytes) -> str:
    """Return an LDAPString.

    Raises:
        InvalidToken: it is not UTF-8.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise InvalidToken("an LDAPString is not UTF-8") from None
