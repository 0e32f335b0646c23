"""SASL framing, read octet by octet from a connection (RFC 4422 section 3.7)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Stream"]


class Stream:
    """Cuts buffers out of what a function delivers.

    Args:
        receive: Returns the next octets, b"" at the end, and raises TimeoutError where nothing comes.

    Attributes:
        state: How the stream ended.
    """

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._pending = bytearray()
        self.state = ""

    def buffer(self) -> bytes | None:
        """Return the next buffer without its length; None at the end of the stream."""
        head = self._take(4)
        return None if head is None else self._take(int.from_bytes(head))

    def _take(self, size: int) -> bytes | None:
        while len(self._pending) < size:
            octets = self._receive()
            if not octets:
                self.state = f"closed with {len(self._pending)} octets of a buffer" if self._pending else "closed"
                return None
            self._pending += octets
        taken = bytes(self._pending[:size])
        del self._pending[:size]
        return taken
