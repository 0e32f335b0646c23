"""Failed logons, counted for all servers that share a Redis, by its clock."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from saslsspi.accounts.failures import MemoryFailures
from saslsspi.accounts.shared.redis import SharedRedis

__all__ = ["RedisFailures"]

_MOST: Final = 1024

_WINDOW: Final = """
local time = redis.call('TIME')
local now, window = time[1] * 1000000 + time[2], tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
"""

_ADD: Final = (
    _WINDOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return redis.call('ZCARD', KEYS[1])
"""
)

_COUNT: Final = _WINDOW + "return redis.call('ZCARD', KEYS[1])"


class RedisFailures:
    """Counts failures by name in a Redis; names stand there as what only the servers can make of them.

    While Redis is away each process counts for itself: fewer failures are seen then, and none is forgotten.

    Args:
        shared: The Redis.
        meanwhile: Counts while it is away.
    """

    def __init__(self, shared: SharedRedis, meanwhile: MemoryFailures | None = None) -> None:
        self._shared = shared
        self._key = shared.derived(b"names of accounts and addresses")
        self._meanwhile = MemoryFailures() if meanwhile is None else meanwhile
        self._add = shared.script(_ADD)
        self._count = shared.script(_COUNT)

    def add(self, name: str, window: float) -> int:
        """Count a failure; see FailureMemory.add."""
        here = self._meanwhile.add(name, window)
        counted = self._add([self._named(name)], [round(window * 1_000_000), self._shared.random(8), _MOST])
        return here if counted is None else max(here, int(counted))

    def count(self, name: str, window: float) -> int:
        """Return how many there were."""
        here = self._meanwhile.count(name, window)
        counted = self._count([self._named(name)], [round(window * 1_000_000)])
        return here if counted is None else max(here, int(counted))

    def _named(self, name: str) -> bytes:
        octets = name.encode("utf-8", "surrogatepass")
        return self._shared.name(b"failures", hmac.digest(self._key, octets, hashlib.sha256)[:16].hex().encode())
