"""The memory of nonces: its contract, and one in memory for one server process."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple, Protocol

__all__ = ["MemoryNonceStore", "NonceRecord", "NonceStore"]

_MAX_COUNT: Final = 0xFFFFFFFF


class NonceRecord(NamedTuple):
    """What subsequent authentication needs of a session (RFC 2831 section 2.2).

    Attributes:
        issued: When the nonce was made, in seconds of the environment's clock.
        session: The package's own immutable record; it holds a key derived from the password.
    """

    issued: float
    session: object


class NonceStore(Protocol):
    """Remembers nonces and how often each was used. Bounded, and safe under threads."""

    def remember(self, nonce: bytes, record: NonceRecord) -> None:
        """Store a nonce whose count 1 was just used; the oldest makes room when the store is full."""

    def find(self, nonce: bytes) -> NonceRecord | None:
        """Return the record of a nonce, or None."""

    def advance(self, nonce: bytes, count: int) -> bool:
        """Use count on a nonce: True for exactly one caller, and only when count is the last one plus 1."""

    def forget(self, nonce: bytes) -> None:
        """Drop a nonce."""


class MemoryNonceStore:
    """Remembers the newest nonces and their counts. Safe under threads.

    Args:
        size: How many nonces are kept; the oldest makes room.
    """

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._records: dict[bytes, tuple[NonceRecord, int]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def remember(self, nonce: bytes, record: NonceRecord) -> None:
        """Store a nonce whose count 1 was just used."""
        with self._lock:
            while len(self._records) >= self._size:
                del self._records[next(iter(self._records))]
            self._records[nonce] = (record, 1)

    def find(self, nonce: bytes) -> NonceRecord | None:
        """Return the record of a nonce, or None."""
        entry = self._records.get(nonce)
        return None if entry is None else entry[0]

    def advance(self, nonce: bytes, count: int) -> bool:
        """Use count on a nonce: True for exactly one caller, and only when count is the last one plus 1."""
        with self._lock:
            entry = self._records.get(nonce)
            if entry is None or count != entry[1] + 1 or count > _MAX_COUNT:
                return False
            self._records[nonce] = (entry[0], count)
            return True

    def forget(self, nonce: bytes) -> None:
        """Drop a nonce."""
        with self._lock:
            self._records.pop(nonce, None)
