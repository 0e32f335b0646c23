"""LDAP messages, as plain as RFC 4511 writes them: binds, a root DSE search, extended operations, and answers."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.der import Lengths, Reader, element, enumerated, integer, octet_string, sequence
from saslsspi.errors import InvalidToken

__all__ = ["DISCONNECTION", "START_TLS", "WHO_AM_I", "LdapAnswer", "bind", "extended", "message", "parse", "root_dse",
           "sasl", "simple", "whole"]  # fmt: skip

WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"


class LdapAnswer(NamedTuple):
    """One message of a server.

    Attributes:
        id: The messageID.
        tag: The tag of the protocolOp.
        code: The result code; None for an entry.
        credentials: serverSaslCreds; None is absent.
        raw: The whole message.
    """

    id: int
    tag: int
    code: int | None
    text: str
    credentials: bytes | None
    value: bytes | None
    values: tuple[str, ...]
    raw: bytes


def message(number: int, operation: bytes) -> bytes:
    """An LDAPMessage."""
    return sequence(integer(number), operation)


def sasl(mechanism: str, credentials: bytes | None) -> bytes:
    """The sasl choice."""
    return element(
        0xA3, octet_string(mechanism.encode()), *([] if credentials is None else [octet_string(credentials)])
    )


def simple(password: str) -> bytes:
    """The simple choice."""
    return element(0x80, password.encode())


def bind(choice: bytes, *, name: str = "", version: int = 3) -> bytes:
    """A BindRequest."""
    return element(0x60, integer(version), octet_string(name.encode()), choice)


def extended(name: str) -> bytes:
    """An ExtendedRequest."""
    return element(0x77, element(0x80, name.encode()))


def root_dse(*attributes: str) -> bytes:
    """A search of the root DSE."""
    present = element(0x87, b"objectClass")
    wanted = sequence(*(octet_string(name.encode()) for name in attributes))
    return element(0x63, octet_string(b""), enumerated(0), enumerated(0), integer(0), integer(0), element(1, b"\0"),
                   present, wanted)  # fmt: skip


def whole(buffer: bytes) -> int | None:
    """Return the size of the message at the start of a buffer, or None while it is incomplete."""
    if len(buffer) < 2:
        return None
    size, header = buffer[1], 2
    if size > 0x7F:
        header += size & 0x7F
        size = int.from_bytes(buffer[2:header])
    return size + header if len(buffer) >= size + header else None


def parse(octets: bytes) -> LdapAnswer:
    """Read one message."""
    outer = Reader(octets, max_size=max(len(octets), 1), lengths=Lengths.ANY_DEFINITE)
    body = outer.enter()
    number, tag = body.integer(), body.peek()
    if tag is None:
        raise InvalidToken("an LDAP message without an operation")
    inner = body.enter(tag)
    if tag == 0x64:
        inner.contents(0x04)
        values: list[str] = []
        listed = inner.enter()
        while listed.peek() is not None:
            attribute = listed.enter()
            attribute.contents(0x04)
            members = attribute.enter(0x31)
            while members.peek() is not None:
                values.append(members.contents(0x04).decode(errors="replace"))
        return LdapAnswer(number, tag, None, "", None, None, tuple(values), octets)
    code, _, text = inner.enumerated(), inner.contents(0x04), inner.contents(0x04).decode(errors="replace")
    found: dict[int, bytes] = {}
    while (kind := inner.peek()) is not None:
        found[kind] = inner.contents(kind)
    return LdapAnswer(number, tag, code, text, found.get(0x87), found.get(0x8B), (), octets)
