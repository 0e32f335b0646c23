"""The memory of nonces: its contract, and one in memory for one server process.

Whoever replays a recorded request hopes that its nonce was forgotten, so forgotten is not unused. A memory that is
full forgets the oldest nonce of whoever has most of them, and from then on takes no nonce of that owner that is not
younger: a watermark stands for all that was dropped. An honest client is told to use a new nonce, and asks nobody.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from saslsspi.errors import InvalidToken

__all__ = ["KeptSession", "MemoryNonceStore", "NonceRecord", "NonceStore"]

_MAX_COUNT: Final = 0xFFFFFFFF


class KeptSession(Protocol):
    """A package's own immutable record of a session, which can be written down."""

    def to_bytes(self) -> bytes:
        """Write it down, in a form that says which it is."""

    @classmethod
    def from_bytes(cls, octets: bytes, /) -> Self:
        """Read it again.

        Raises:
            InvalidToken: it is something else.
        """


_Session = TypeVar("_Session", bound=KeptSession)


class NonceRecord(NamedTuple):
    """What subsequent authentication needs of a session (RFC 2831 section 2.2).

    Attributes:
        issued: When the nonce was made, in seconds of the environment's clock.
        session: The package's own record; it holds a key derived from the password. A store that servers share keeps
            its octets, and gives those back.
        owner: Who logged on with it, user and realm: what one does costs another nothing.
        store_key: The key of the store that the nonce was made with; b"" for a nonce that its server draws for one
            exchange and takes in no other.
    """

    issued: float
    session: KeptSession | bytes | None
    owner: str
    store_key: bytes = b""

    def session_as(self, kind: type[_Session]) -> _Session | None:
        """Return the session if it is of a kind, and None for another package's or what cannot be read."""
        if isinstance(self.session, bytes):
            try:
                return kind.from_bytes(self.session)
            except InvalidToken:
                return None
        return self.session if isinstance(self.session, kind) else None


class NonceStore(Protocol):
    """Remembers nonces and how often each was used. Bounded, and safe under threads.

    Servers share one where a nonce of one is to serve at another: processes behind one name, or several acceptors.
    """

    def key(self, drawn: bytes) -> bytes:
        """Return the secret that belongs to this memory: what the first caller has drawn, for all who share it.

        Nonces are signed with it, so that a nonce counts for its first use only where its uses are remembered. A
        memory that was lost has another key afterwards, so it is asked for whenever a nonce is made or taken.
        """

    def remember(self, nonce: bytes, record: NonceRecord) -> bool:
        """Use count 1 of a nonce, and store it: True for exactly one caller, now and ever.

        False as well for a nonce that may have been dropped since it was used, and for one that was made with
        another key than the store has now.
        """

    def find(self, nonce: bytes) -> NonceRecord | None:
        """Return the record of a nonce, or None."""

    def advance(self, nonce: bytes, count: int) -> bool:
        """Use count on a nonce: True for exactly one caller, and only when count is the last one plus 1."""

    def forget(self, nonce: bytes) -> None:
        """Drop a nonce; its count 1 stays used."""


class MemoryNonceStore:
    """Remembers the newest nonces and their counts, in one process. Safe under threads.

    Args:
        size: How many nonces are kept. When it is full, the oldest nonce of an owner who has most makes room.
    """

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._key = b""
        self._records: dict[bytes, tuple[NonceRecord, int]] = {}
        self._owners = _Owners()
        self._dropped: dict[str, float] = {}
        """By owner, the youngest issue of a nonce that was dropped."""
        self._dropped_of_others = float("-inf")
        """The same of all owners who are not in that table."""

    def __len__(self) -> int:
        return len(self._records)

    def key(self, drawn: bytes) -> bytes:
        """Return the secret of this memory; see NonceStore.key."""
        with self._lock:
            self._key = self._key or drawn
            return self._key

    def remember(self, nonce: bytes, record: NonceRecord) -> bool:
        """Use count 1 of a nonce, and store it; see NonceStore.remember."""
        with self._lock:
            if nonce in self._records or record.issued <= self._dropped.get(record.owner, self._dropped_of_others):
                return False
            while len(self._records) >= self._size:
                self._drop(self._owners.oldest_of_most())
            self._records[nonce] = (record, 1)
            self._owners.add(record.owner, nonce)
            return True

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
        """Drop a nonce; its count 1 stays used."""
        with self._lock:
            if nonce in self._records:
                self._drop(nonce)

    def _drop(self, nonce: bytes) -> None:
        record, _ = self._records.pop(nonce)
        self._owners.remove(record.owner, nonce)
        before = self._dropped.pop(record.owner, self._dropped_of_others)
        if len(self._dropped) >= self._size:
            # This table is bounded too: the watermark of the owner who dropped nothing for longest becomes everybody's.
            self._dropped_of_others = max(self._dropped_of_others, self._dropped.pop(next(iter(self._dropped))))
        self._dropped[record.owner] = max(before, record.issued)


class _Owners:
    """Who has how many nonces, so that an owner who has most is found without a search."""

    def __init__(self) -> None:
        self._nonces: dict[str, dict[bytes, None]] = {}
        self._by_count: dict[int, dict[str, None]] = {}
        self._most = 0

    def add(self, owner: str, nonce: bytes) -> None:
        """Add an owner's youngest nonce."""
        held = self._nonces.setdefault(owner, {})
        self._move(owner, len(held), len(held) + 1)
        held[nonce] = None

    def remove(self, owner: str, nonce: bytes) -> None:
        """Remove a nonce."""
        held = self._nonces[owner]
        del held[nonce]
        self._move(owner, len(held) + 1, len(held))
        if not held:
            del self._nonces[owner]

    def oldest_of_most(self) -> bytes:
        """Return the oldest nonce of the owner who has most of them, of several the one who came to it first."""
        return next(iter(self._nonces[next(iter(self._by_count[self._most]))]))

    def _move(self, owner: str, before: int, after: int) -> None:
        if before:
            peers = self._by_count[before]
            del peers[owner]
            if not peers:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, {})[owner] = None
        # By one up or down: where the most had that owner alone, it has him still with one less.
        self._most = max(self._most, after) if after > before else self._most - (self._most not in self._by_count)
