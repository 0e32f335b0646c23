"""LDAP messages as `demo --show-wire` tells of them: which operation, and the token in a bind (RFC 4511 section 4)."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.der import Lengths, Reader, Tag
from saslsspi.errors import InvalidToken
from saslsspi.testbed.ldap.messages import message_size

__all__ = ["LdapMessage", "ldap_message"]

_LARGEST: Final = 1 << 24
_BIND, _BIND_RESPONSE, _ENTRY = 0x60, 0x61, 0x64
_SASL, _SERVER_CREDENTIALS = 0xA3, 0x87
_OPERATIONS: Final = {
    0x42: "UnbindRequest", _BIND: "BindRequest", _BIND_RESPONSE: "BindResponse", 0x63: "SearchRequest",
    _ENTRY: "SearchResultEntry", 0x65: "SearchResultDone", 0x77: "ExtendedRequest", 0x78: "ExtendedResponse",
}  # fmt: skip


class LdapMessage(NamedTuple):
    """One message.

    Attributes:
        what: The operation, and the mechanism of a bind.
        size: All of it, in octets.
        token: The mechanism's message in a bind; None in any other.
    """

    what: str
    size: int
    token: bytes | None = None


def ldap_message(octets: bytes) -> LdapMessage | None:
    """Tell of the message at the start; None where there is none, or not all of it."""
    try:
        size = message_size(octets, _LARGEST)
        if size is None or size > len(octets):
            return None
        outer = Reader(octets[:size], max_size=size, lengths=Lengths.ANY_DEFINITE)
        message = outer.enter()
        message.integer(max_octets=4)
        tag = message.peek() or 0
        if tag == _BIND:
            return _bind(message.enter(tag), size)
        if tag == _BIND_RESPONSE:
            return LdapMessage("BindResponse", size, _credentials(message.enter(tag)))
        return LdapMessage(_OPERATIONS.get(tag, f"operation 0x{tag:02x}"), size)
    except InvalidToken:
        return None


def _bind(request: Reader, size: int) -> LdapMessage:
    request.integer()
    request.octet_string()
    if request.peek() != _SASL:
        return LdapMessage("BindRequest, simple", size)
    sasl = request.enter(_SASL)
    mechanism = sasl.octet_string().decode("ascii", "replace")
    token = None if sasl.peek() is None else sasl.octet_string()
    return LdapMessage(f"BindRequest, SASL {mechanism}", size, token)


def _credentials(response: Reader) -> bytes | None:
    response.contents(Tag.ENUMERATED)
    response.octet_string()
    response.octet_string()
    return response.contents(_SERVER_CREDENTIALS) if response.peek() == _SERVER_CREDENTIALS else None
