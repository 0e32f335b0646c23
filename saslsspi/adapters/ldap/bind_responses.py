"""Where bind responses end in what a server sends: behind one of them a layer may begin. The codec is ldap3's."""

from __future__ import annotations

from typing import Final

from saslsspi.adapters.ldap.message_heads import MessageEnds

__all__ = ["BindResponses"]

_BIND_RESPONSE: Final = 0x61  # [APPLICATION 1], constructed


class BindResponses:
    """Follows a stream of LDAP messages; a Boundary of LayeredSocket."""

    def __init__(self) -> None:
        self._ends = MessageEnds()

    def take(self, text: bytes) -> int | None:
        """Follow text up to the end of the next bind response; see Boundary.

        Raises:
            InvalidToken: this is not LDAP.
        """
        at: int | None = 0
        while at is not None and at < len(text):
            at = self._ends.next(text, at)
            if at is not None and self._ends.operation == _BIND_RESPONSE:
                return at
        return None
