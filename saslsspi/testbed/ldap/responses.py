"""LDAP responses: each function returns one whole message (RFC 4511 section 4)."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from saslsspi.der import element, enumerated, integer, octet_string, sequence

__all__ = ["BIND", "DISCONNECTION", "EXTENDED", "SEARCH_DONE", "Result", "ResultCode", "bind_response",
           "disconnection", "extended_response", "response", "search_entry"]  # fmt: skip

BIND, SEARCH_ENTRY, SEARCH_DONE, EXTENDED = 0x61, 0x64, 0x65, 0x78
"""Tags of the responses."""
DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"
_SERVER_SASL_CREDS, _RESPONSE_NAME, _RESPONSE_VALUE = 0x87, 0x8A, 0x8B


class ResultCode(enum.IntEnum):
    """What a result says (RFC 4511 appendix A), as far as this server says it."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    SIZE_LIMIT_EXCEEDED = 4
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    SASL_BIND_IN_PROGRESS = 14
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class Result(NamedTuple):
    """How an operation ended.

    Attributes:
        text: The diagnostic message.
        matched: For NO_SUCH_OBJECT, the name of the nearest entry above.
    """

    code: ResultCode
    text: str = ""
    matched: str = ""


def response(number: int, tag: int, result: Result, *more: bytes) -> bytes:
    """Return a response that is an LDAPResult, and what follows it."""
    return sequence(
        integer(number),
        element(
            tag,
            enumerated(result.code),
            octet_string(result.matched.encode()),
            octet_string(result.text.encode()),
            *more,
        ),
    )


def bind_response(number: int, result: Result, credentials: bytes | None) -> bytes:
    """Return a bind response; None leaves serverSaslCreds out, which differs from an empty one."""
    return response(number, BIND, result, *([] if credentials is None else [element(_SERVER_SASL_CREDS, credentials)]))


def extended_response(number: int, result: Result, *, name: str | None = None, value: bytes | None = None) -> bytes:
    """Return an extended response."""
    more = [] if name is None else [element(_RESPONSE_NAME, name.encode())]
    more += [] if value is None else [element(_RESPONSE_VALUE, value)]
    return response(number, EXTENDED, result, *more)


def disconnection(result: Result) -> bytes:
    """Return the notice that the connection ends now (RFC 4511 section 4.4.1)."""
    return extended_response(0, result, name=DISCONNECTION)


def search_entry(number: int, encoded_name: bytes, encoded_attributes: bytes) -> bytes:
    """Return a search result entry of a name and a list of attributes that are encoded already."""
    return sequence(integer(number), element(SEARCH_ENTRY, encoded_name, encoded_attributes))
