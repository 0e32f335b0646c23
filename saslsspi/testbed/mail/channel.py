"""One connection of a mail protocol: TLS beneath, a SASL layer on top, bounded lines out of the middle."""

from __future__ import annotations

from saslsspi.errors import InvalidToken
from saslsspi.testbed.channel import Channel

__all__ = ["LineChannel"]


class LineChannel(Channel):
    """A channel that is read by lines and by octets."""

    async def read_line(self, max_size: int) -> bytes | None:
        """Return the next line without its CRLF, or None when the peer has closed.

        Raises:
            InvalidToken: it is longer than max_size octets.
            SaslError: the security layer has failed.
        """
        searched = 0
        while (end := self._plain.find(b"\n", searched)) < 0:
            if len(self._plain) > max_size:
                break
            searched = len(self._plain)
            if not await self._more():
                return None
        if not 0 <= end <= max_size:
            raise InvalidToken(f"a line is longer than {max_size} octets")
        line = bytes(self._plain[:end])
        del self._plain[: end + 1]
        return line.removesuffix(b"\r")

    async def read_exactly(self, size: int) -> bytes | None:
        """Return so many octets, or None when the peer has closed before."""
        while len(self._plain) < size:
            if not await self._more():
                return None
        octets = bytes(self._plain[:size])
        del self._plain[:size]
        return octets
