"""Where bind responses end in a stream of LDAP messages (RFC 4511 section 5.1).

The codec is ldap3's; this looks at tags and lengths only, and keeps no contents:

    LDAPMessage ::= SEQUENCE { messageID INTEGER (0 .. 2^31-1), protocolOp CHOICE { ... }, controls [0] OPTIONAL }
"""

from __future__ import annotations

from typing import Final

from saslsspi.errors import InvalidToken

__all__ = ["BindResponses"]

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_BIND_RESPONSE: Final = 0x61  # [APPLICATION 1], constructed
_LONG: Final = 0x80
_LONGEST_LENGTH: Final = 4
_LONGEST_HEAD: Final = 17  # up to and with the tag of protocolOp, both lengths in their longest form


class BindResponses:
    """Follows a stream of LDAP messages; a Boundary of LayeredSocket."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._is_bind_response = False

    def take(self, text: bytes) -> int | None:
        """Follow text up to the end of the next bind response; see Boundary.

        Raises:
            InvalidToken: this is not LDAP.
        """
        at = 0
        while at < len(text):
            if not self._left:
                old = len(self._head)
                self._head += text[at : at + _LONGEST_HEAD - old]
                head = _measure(self._head)
                if head is None:
                    return None  # all of text is in the head: a head of the longest size is measured
                size, self._left, self._is_bind_response = head
                # What was taken for the head beyond its size is looked at again.
                at += size - old
                self._head = b""
            step = min(self._left, len(text) - at)
            at += step
            self._left -= step
            if not self._left and self._is_bind_response:
                self._is_bind_response = False
                return at
        return None


def _measure(head: bytes) -> tuple[int, int, bool] | None:
    """Return the size of a message's head, how much follows, and whether it is a bind response; None: too short."""
    if head[0] != _SEQUENCE:
        raise InvalidToken(f"an LDAP message begins with 0x30, and not with 0x{head[0]:02x}")
    measured = _length(head, 1)
    if measured is None:
        return None
    size, body = measured
    if len(head) <= body:
        return None
    if head[body] != _INTEGER:
        raise InvalidToken(f"the messageID of an LDAP message has tag 0x{head[body]:02x}")
    measured = _length(head, body + 1)
    if measured is None:
        return None
    number_size, number = measured
    if number_size > _LONGEST_LENGTH:
        raise InvalidToken(f"the messageID of an LDAP message has {number_size} octets")
    operation = number + number_size
    if len(head) <= operation:
        return None
    left = body + size - operation - 1
    if left < 0:
        raise InvalidToken("an LDAP message ends before its operation begins")
    return operation + 1, left, head[operation] == _BIND_RESPONSE


def _length(head: bytes, at: int) -> tuple[int, int] | None:
    """Return a definite length and where its contents begin; None when the octets do not reach."""
    if len(head) <= at:
        return None
    first = head[at]
    if first < _LONG:
        return first, at + 1
    count = first - _LONG
    if not 1 <= count <= _LONGEST_LENGTH:
        raise InvalidToken(f"an LDAP message with a length of {count or 'no'} octets")
    if len(head) < at + 1 + count:
        return None
    return int.from_bytes(head[at + 1 : at + 1 + count]), at + 1 + count
