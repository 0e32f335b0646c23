"""Security layers: protected buffers with their 4-octet lengths, cut out of any split or join of the stream.

RFC 4422 section 3.7: each buffer of protected data is preceded by its length in network byte order.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NoReturn

from saslsspi.engine.protection import Octets, Protection
from saslsspi.errors import ContextMisuse, InvalidToken, SaslError

__all__ = ["Deframer", "Layer"]

_LENGTH: Final = Struct(">I").pack
_VIEWED: Final = 4096  # from this size on a view costs less than a copy


class Deframer:
    """Cuts length-prefixed buffers out of a stream; holds at most one unfinished buffer.

    Args:
        max_size: Largest length that is taken, in octets.

    Attributes:
        pending: What has come of the unfinished buffer; one object for the life of the stream.
    """

    __slots__ = ("_max_size", "pending")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self.pending = bytearray()

    @property
    def empty(self) -> bool:
        """Whether the stream stands between two buffers."""
        return not self.pending

    @property
    def missing(self) -> int:
        """How many octets are due up to the end of this length, or of this buffer when its length is known."""
        have = len(self.pending)
        return 4 - have if have < 4 else 4 + int.from_bytes(self.pending[:4]) - have

    def feed(self, octets: Octets) -> list[bytes]:
        """Take octets from the stream and return the buffers that are now whole, without their lengths.

        Raises:
            InvalidToken: a length is above the maximum; nothing of that buffer is kept.
        """
        pending = self.pending
        pending += octets
        buffers = []
        start, end = 0, len(pending)
        while end - start >= 4:
            size = int.from_bytes(pending[start : start + 4])
            if size > self._max_size:
                pending.clear()
                raise InvalidToken(
                    f"a protected buffer of {size} octets is announced, the agreed maximum is {self._max_size}",
                    requirement="RFC4422-3.7-06",
                )
            if end - start - 4 < size:
                break
            buffers.append(bytes(pending[start + 4 : start + 4 + size]))
            start += 4 + size
        del pending[:start]
        return buffers


class Layer:
    """The security layer of an authenticated connection, both directions.

    One thread may wrap while another unwraps. After any error the layer is dead: the connection ends.

    Attributes:
        max_payload: Largest plain text that goes into one buffer, in octets; wrap cuts longer ones.
    """

    __slots__ = ("_cut", "_deframer", "_max_receive", "_pending", "_seal", "_unseal", "max_payload")

    def __init__(self, protection: Protection) -> None:
        self.max_payload = protection.max_payload
        self._max_receive = protection.max_receive
        self._seal = protection.seal
        self._unseal = protection.unseal
        self._deframer = Deframer(protection.max_receive)
        self._cut: Callable[[Octets], list[bytes]] = self._deframer.feed
        self._pending = self._deframer.pending

    def wrap(self, data: Octets) -> bytes:
        """Return the octets for the wire, lengths included: one buffer, or as many as needed.

        Raises:
            SaslError: the message cannot be protected.
        """
        if len(data) > self.max_payload:
            view, step = memoryview(data), self.max_payload
            return b"".join([self.wrap(view[at : at + step]) for at in range(0, len(view), step)])
        parts = self._seal(data)
        if len(parts) == 2:
            head, tail = parts
            return b"".join((_LENGTH(len(head) + len(tail)), head, tail))
        return b"".join((_LENGTH(sum(map(len, parts))), *parts))

    def unwrap(self, octets: Octets) -> bytes:
        """Take octets from the wire, split or joined in any way, and return the plain text that is complete.

        Raises:
            OutOfSequence, MessageAltered, InvalidToken: see feed.
        """
        size = len(octets) - 4
        if not self._pending and 0 <= size <= self._max_receive and octets[:4] == _LENGTH(size):
            try:
                return self._unseal(memoryview(octets)[4:] if size > _VIEWED else octets[4:])
            except SaslError:
                self._end()
                raise
        return b"".join(self.feed(octets))

    def feed(self, octets: Octets) -> list[bytes]:
        """Like unwrap, a message for each buffer, so that an empty one can be told from none.

        Raises:
            OutOfSequence: a buffer was lost, repeated or reordered.
            MessageAltered: a buffer does not verify.
            InvalidToken: a length is above the agreed maximum.
        """
        try:
            return [self._unseal(buffer) for buffer in self._cut(octets)]
        except SaslError:
            self._end()
            raise

    @property
    def at_boundary(self) -> bool:
        """Whether no buffer is half received; a stream that ends elsewhere was truncated."""
        return self._deframer.empty

    @property
    def missing(self) -> int:
        """How many octets can be fed without going past the end of the buffer that is being received."""
        return self._deframer.missing

    def _end(self) -> None:
        self._cut = self._seal = self._unseal = _refuse


def _refuse(data: Octets) -> NoReturn:
    raise ContextMisuse("the security layer has failed; close the connection")
