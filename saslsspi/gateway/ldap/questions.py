"""What a gateway asks a server before anything is carried: the messages of binds, of TLS, and of two questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from saslsspi.der import Reader, element, enumerated, integer, octet_string, sequence
from saslsspi.errors import InvalidToken
from saslsspi.gateway.ldap.messages import START_TLS, Code, Kind, message_of, opened, text_of

__all__ = ["FoundEntry", "ResultMessage", "base_search", "begin_tls", "read_answer", "sasl_request", "unbind",
           "who_am_i"]  # fmt: skip

_SASL: Final = 0xA3
_SASL_CREDENTIALS: Final = 0x87
_REFERRAL: Final = 0xA3
_REQUEST_NAME, _RESPONSE_NAME, _RESPONSE_VALUE = 0x80, 0x8A, 0x8B
_BOOLEAN: Final = 0x01
_SET: Final = 0x31
_PRESENT: Final = 0x87
_MOST: Final = 1000
_VERSION: Final = 3
_ANYTHING: Final = b"objectClass"
_WHO_AM_I: Final = b"1.3.6.1.4.1.4203.1.11.3"


class ResultMessage(NamedTuple):
    """An answer of a server.

    Attributes:
        kind: Its tag.
        credentials: serverSaslCreds, None without; of an extended response its value.
    """

    number: int
    kind: int
    code: int
    text: str
    credentials: bytes | None


class FoundEntry(NamedTuple):
    """An entry of a search.

    Attributes:
        name: Its DN, as the server writes it.
        attributes: The values of each, by name in lower case.
    """

    number: int
    name: str
    attributes: dict[str, tuple[str, ...]]

    def first(self, attribute: str) -> str:
        """Return an attribute's first value, "" where it has none."""
        return next(iter(self.attributes.get(attribute.lower(), ())), "")


def read_answer(octets: bytes) -> ResultMessage | FoundEntry:
    """Read a server's whole message: an entry, or an answer that has a result.

    Raises:
        InvalidToken: it is neither.
    """
    number, message = opened(octets)
    kind = message.peek()
    if kind is None:
        raise InvalidToken("an LDAPMessage without an operation")
    if kind == Kind.REFERENCE:
        return ResultMessage(number, kind, Code.SUCCESS, "", None)
    reader = message.enter(kind)
    if kind == Kind.ENTRY:
        return FoundEntry(number, text_of(reader.octet_string()), _attributes(reader))
    code = reader.enumerated()
    reader.octet_string()  # matchedDN
    text = reader.octet_string().decode("utf-8", "replace")
    if reader.peek() == _REFERRAL:
        reader.contents(_REFERRAL)
    if reader.peek() == _RESPONSE_NAME:
        reader.contents(_RESPONSE_NAME)
    value = None
    if (tag := reader.peek()) in (_SASL_CREDENTIALS, _RESPONSE_VALUE):
        assert tag is not None
        value = reader.contents(tag)
    reader.end()
    return ResultMessage(number, kind, code, text, value)


def _attributes(reader: Reader) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}

    def attribute(item: Reader) -> None:
        inner = item.enter()
        name = text_of(inner.octet_string()).lower()
        values = inner.enter(_SET)
        found[name] = tuple(_values(values))
        inner.end()

    reader.sequence_of(attribute, max_count=_MOST)
    reader.end()
    return found


def _values(reader: Reader) -> Iterator[str]:
    for _ in range(_MOST):
        if reader.peek() is None:
            return
        yield reader.octet_string().decode("utf-8", "replace")
    reader.end()


def sasl_request(number: int, mechanism: str, credentials: bytes | None) -> bytes:
    """Write one message of a SASL exchange; None leaves the credentials out."""
    given = b"" if credentials is None else octet_string(credentials)
    sasl = element(_SASL, octet_string(mechanism.encode("ascii")), given)
    return message_of(number, element(Kind.BIND, integer(_VERSION), octet_string(b""), sasl))


def unbind(number: int) -> bytes:
    """Write the request that ends a session."""
    return message_of(number, element(Kind.UNBIND))


def begin_tls(number: int) -> bytes:
    """Write the request that starts TLS (section 4.14.1)."""
    return message_of(number, element(Kind.EXTENDED, element(_REQUEST_NAME, START_TLS)))


def who_am_i(number: int) -> bytes:
    """Write the request that asks who one is (RFC 4532)."""
    return message_of(number, element(Kind.EXTENDED, element(_REQUEST_NAME, _WHO_AM_I)))


def base_search(number: int, name: str, attributes: Sequence[str]) -> bytes:
    """Write a search for one entry."""
    operation = element(
        Kind.SEARCH,
        octet_string(name.encode()),
        enumerated(0),  # baseObject
        enumerated(0),  # neverDerefAliases
        integer(1),
        integer(0),
        element(_BOOLEAN, b"\0"),
        element(_PRESENT, _ANYTHING),
        sequence(*(octet_string(attribute.encode()) for attribute in attributes)),
    )
    return message_of(number, operation)
