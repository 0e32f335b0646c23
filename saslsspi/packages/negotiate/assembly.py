"""Tokens that arrive in pieces (MS-SPNG sections 3.1.5.7 to 3.1.5.9)."""

from __future__ import annotations

from typing import Final

from saslsspi.der import MAX_SIZE
from saslsspi.errors import InvalidToken

__all__ = ["Assembly"]

_FIRST_OCTETS: Final = frozenset((0x60, 0xA0, 0xA1))
_HEADER: Final = 5  # "the entire ASN.1 header" of a token below 64 KiB
_MOST: Final = 1024


class Assembly:
    """Puts the pieces of one token together; the header of the first one says how long it is.

    A negotiation has at most 1,024 tokens and pieces: who goes on without end occupies a context and never logs on.
    """

    __slots__ = ("_count", "_size", "_token")

    def __init__(self) -> None:
        self._token = bytearray()
        self._size = 0
        self._count = 0

    @property
    def unfinished(self) -> bool:
        """Whether pieces are missing."""
        return bool(self._token)

    def feed(self, piece: bytes) -> bytes | None:
        """Take a piece; return the token once it is whole, None before.

        Raises:
            InvalidToken: a piece is too short, its header announces more than is taken, or there are too many.
        """
        self._count += 1
        if self._count > _MOST:
            raise InvalidToken(f"more than {_MOST} tokens and pieces of one negotiation")
        if not self._token:
            if not piece or piece[0] not in _FIRST_OCTETS:
                return piece
            self._size = _announced(piece)
            if len(piece) >= self._size:
                return piece
            self._token += piece
            return None
        if not piece:
            raise InvalidToken("an empty piece of a token")
        self._token += piece
        if len(self._token) < self._size:
            # MS-SPNG section 3.1.1 of MaxOutputTokenSize: "This value MUST be at least 5 bytes", so only the last piece
            # has fewer.
            if len(piece) < _HEADER:
                raise InvalidToken(
                    f"a piece of {len(piece)} octets in the middle of a token, at least {_HEADER} are due"
                )
            return None
        token = bytes(self._token)
        self._token.clear()
        return token


def _announced(token: bytes) -> int:
    """Return how long a token is, by its DER header."""
    if len(token) < 2:
        raise InvalidToken("a token of one octet has no header")
    length = token[1]
    if length < 0x80:
        return 2 + length
    count = length & 0x7F
    if not 1 <= count <= 4 or len(token) < 2 + count:
        raise InvalidToken(f"a first piece of {len(token)} octets does not hold the header, at least {_HEADER} do")
    size = 2 + count + int.from_bytes(token[2 : 2 + count])
    if size > MAX_SIZE:
        raise InvalidToken(
            f"a token of {size} octets is announced, at most {MAX_SIZE} are taken", requirement="MSSPNG-3.1.5.9-03"
        )
    return size
