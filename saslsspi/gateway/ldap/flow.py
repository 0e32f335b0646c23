"""The streams of LDAP messages that a gateway carries, in memory that does not grow with them.

Requests cuts what a client sends: whole messages where they are short, else pieces. Boundaries follows what a server
sends, of which only the ends of messages matter: that is where an answer of the gateway's own has room.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.adapters.ldap.message_heads import Head, MessageEnds, read_head
from saslsspi.errors import InvalidToken
from saslsspi.gateway.ldap.messages import Kind

__all__ = ["LONGEST_WHOLE", "Boundaries", "Piece", "Requests", "WholeRequest"]

LONGEST_WHOLE: Final = 1 << 16
"""A message of so many octets is kept until it is whole, and one that is longer goes on as it comes."""


class WholeRequest(NamedTuple):
    """A whole message of a client. Its repr omits the octets: a password may be in them."""

    head: Head
    octets: bytes

    def __repr__(self) -> str:
        return f"<WholeRequest {self.head}>"


class Piece(NamedTuple):
    """A part of a message that is too long to be kept.

    Attributes:
        head: Of the message, with its first part; else None.
    """

    octets: bytes
    head: Head | None = None

    def __repr__(self) -> str:
        return f"<Piece of {len(self.octets)} octets>"


class Requests:
    """A client's stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0

    @property
    def waiting(self) -> int:
        """How many octets have come that were not taken yet."""
        return len(self._buffer)

    @property
    def inside(self) -> bool:
        """Whether a part of a long message was taken, and not yet its end."""
        return self._left > 0

    def feed(self, octets: bytes) -> None:
        """Take what has come."""
        self._buffer += octets

    def take(self) -> WholeRequest | Piece | None:
        """Return what is next, None where more has to come first.

        Raises:
            InvalidToken: this is not LDAP, or a bind is longer than any bind.
        """
        if self._left:
            return self._piece(None)
        head = read_head(self._buffer)
        if head is None:
            return None
        if head.size > LONGEST_WHOLE:
            if head.operation in (Kind.BIND, Kind.UNBIND):
                raise InvalidToken(f"a bind request of {head.size} octets, at most {LONGEST_WHOLE} are taken")
            self._left = head.size
            return self._piece(head)
        return WholeRequest(head, self._cut(head.size)) if len(self._buffer) >= head.size else None

    def _piece(self, head: Head | None) -> Piece | None:
        if not self._buffer:
            return None
        size = min(self._left, len(self._buffer))
        self._left -= size
        return Piece(self._cut(size), head)

    def _cut(self, size: int) -> bytes:
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        return octets


class Boundaries:
    """A server's stream."""

    def __init__(self) -> None:
        self._ends = MessageEnds()

    def take(self, octets: bytes) -> int:
        """Follow what has come, and return where in it the last message ends; 0 where none does.

        Raises:
            InvalidToken: this is not LDAP.
        """
        last = 0
        while last < len(octets) and (end := self._ends.next(octets, last)) is not None:
            last = end
        return last
