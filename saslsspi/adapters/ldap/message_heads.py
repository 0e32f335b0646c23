"""Where messages end in a stream of LDAP (RFC 4511 section 5.1), without a look at their contents.

LDAPMessage ::= SEQUENCE { messageID INTEGER (0 .. 2^31-1), protocolOp CHOICE { ... }, controls [0] OPTIONAL }
"""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.der import Tag
from saslsspi.errors import InvalidToken

__all__ = ["Head", "MessageEnds", "read_head"]

_LONG: Final = 0x80
_LONGEST_LENGTH: Final = 4
_LONGEST: Final = (1 << 32) + 5  # octets that a length of four octets can mean
_LONGEST_HEAD: Final = 17  # up to and with the tag of protocolOp, both lengths in their longest form
_SHORTEST: Final = 4  # octets of a messageID and a tag
_TLS_HANDSHAKE: Final = 0x16


class Head(NamedTuple):
    """The beginning of a message.

    Attributes:
        number: The messageID.
        operation: The tag of protocolOp.
        size: Of the whole message, in octets.
    """

    number: int
    operation: int
    size: int


class MessageEnds:
    """Follows a stream that comes in pieces, and keeps nothing of it but the beginning of a head.

    Attributes:
        operation: The tag of the operation of the message that is followed, or has ended last.
    """

    def __init__(self) -> None:
        self.operation = 0
        self._head = b""
        self._left = 0

    def next(self, octets: bytes, at: int) -> int | None:
        """Return where in octets the message ends that goes on at `at`; None where more of it is to come.

        Raises:
            InvalidToken: this is not LDAP.
        """
        if not self._left:
            old = len(self._head)
            seen = self._head + octets[at : at + _LONGEST_HEAD - old]
            head = read_head(seen)
            if head is None:
                self._head = seen  # all of them: a head of the longest size is read
                return None
            self._head = b""
            self._left = head.size - old
            self.operation = head.operation
        step = min(self._left, len(octets) - at)
        self._left -= step
        return None if self._left else at + step


def read_head(buffer: bytes | bytearray, longest: int = _LONGEST) -> Head | None:
    """Read the beginning of a message, or return None while more of it is to come.

    Args:
        buffer: What has come.
        longest: How many octets a message may have.

    Raises:
        InvalidToken: no LDAP message begins so, or it is longer.
    """
    if not buffer:
        return None
    if buffer[0] != Tag.SEQUENCE:
        raise InvalidToken(f"an LDAP message begins with 0x30, and not with 0x{buffer[0]:02x}" + _hint(buffer[0]))
    outer = _length(buffer, 1)
    if outer is None:
        return None
    size, body = outer
    if size < _SHORTEST:
        raise InvalidToken(f"an LDAPMessage of {size} octets")
    if body + size > longest:
        raise InvalidToken(f"an LDAPMessage of {body + size} octets, at most {longest} are taken here")
    if len(buffer) <= body:
        return None
    if buffer[body] != Tag.INTEGER:
        raise InvalidToken(f"tag 0x{buffer[body]:02x} where a messageID is due")
    inner = _length(buffer, body + 1)
    if inner is None:
        return None
    octets, at = inner
    if not 1 <= octets <= _LONGEST_LENGTH:
        raise InvalidToken(f"a messageID of {octets} octets")
    if body + size <= at + octets:
        raise InvalidToken("an LDAPMessage ends before its operation")
    if len(buffer) <= at + octets:
        return None
    number = int.from_bytes(buffer[at : at + octets], signed=True)
    if number < 0:
        raise InvalidToken("a messageID below 0")
    return Head(number, buffer[at + octets], body + size)


def _length(buffer: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return a length and where its contents begin; None where the octets do not reach."""
    if len(buffer) <= at:
        return None
    first = buffer[at]
    if first < _LONG:
        return first, at + 1
    # RFC 4511 section 5.1: "Only the definite form of length encoding is used."
    count = first - _LONG
    if not 1 <= count <= _LONGEST_LENGTH:
        raise InvalidToken(f"length octet 0x{first:02x} of an LDAPMessage is not taken here")
    if len(buffer) < at + 1 + count:
        return None
    return int.from_bytes(buffer[at + 1 : at + 1 + count]), at + 1 + count


def _hint(first: int) -> str:
    return ": the peer speaks TLS, and this port does not" if first == _TLS_HANDSHAKE else ""
