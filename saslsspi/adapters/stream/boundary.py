"""Where streams end, and where their messages do."""

from __future__ import annotations

from typing import Protocol

from saslsspi.errors import InvalidToken

__all__ = ["Boundary", "Truncated"]


class Truncated(InvalidToken):
    """The connection ended in the middle of a protected buffer, or of a message."""


class Boundary(Protocol):
    """Knows where those messages of a protocol end that can switch a layer on."""

    def take(self, text: bytes) -> int | None:
        """Follow the plain text of a stream up to the end of the next such message.

        Returns:
            How many octets that were; None where all of text was followed and no such message ends in it.

        Raises:
            SaslError: this is not the protocol.
        """
