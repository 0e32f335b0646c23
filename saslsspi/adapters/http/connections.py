"""What a server knows of its HTTP connections: contexts that are half way, and who has logged on (MS-NTHT section 3.2).

NTLM, CredSSP and Negotiate authenticate a connection. Contexts that wait for the client's next token and users that are
known stand apart, so that nobody who only begins logons can push a user out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

__all__ = ["ConnectionMemory"]

_SIZE: Final = 4096

Value = TypeVar("Value")


class ConnectionMemory(Generic[Value]):
    """Values by connection, bounded and timed. Safe under threads.

    Args:
        lifetime: For how many seconds a value is kept after its last use.
        clock: Seconds that only go up.
        size: How many are kept; the one that was not used for longest makes room.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float], size: int = _SIZE) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._size = size
        self._lock = threading.Lock()
        self._values: dict[Hashable, tuple[float, Value]] = {}  # the least recently used first

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, connection: Hashable, value: Value) -> None:
        """Store what is known of a connection, in place of what was."""
        now = self._clock()
        with self._lock:
            self._values.pop(connection, None)
            self._expire(now)
            while len(self._values) >= self._size:
                del self._values[next(iter(self._values))]
            self._values[connection] = now, value

    def take(self, connection: Hashable) -> Value | None:
        """Return what is known of a connection, and forget it."""
        now = self._clock()
        with self._lock:
            self._expire(now)
            entry = self._values.pop(connection, None)
        return None if entry is None else entry[1]

    def find(self, connection: Hashable) -> Value | None:
        """Return what is known of a connection; this counts as a use."""
        now = self._clock()
        with self._lock:
            self._expire(now)
            entry = self._values.pop(connection, None)
            if entry is None:
                return None
            self._values[connection] = now, entry[1]
        return entry[1]

    def forget(self, connection: Hashable) -> None:
        """Drop a connection."""
        with self._lock:
            self._values.pop(connection, None)

    def _expire(self, now: float) -> None:
        """Drop what has stood too long; values are in the order of their use, so the first that stays ends it."""
        while self._values:
            oldest = next(iter(self._values))
            if now - self._values[oldest][0] <= self._lifetime:
                return
            del self._values[oldest]
