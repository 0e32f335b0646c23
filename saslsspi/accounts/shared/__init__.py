"""What several server processes share, in Redis: the uses of nonces, and how often somebody failed."""

from __future__ import annotations

from saslsspi.accounts.shared.failures import RedisFailures
from saslsspi.accounts.shared.nonces import RedisNonceStore
from saslsspi.accounts.shared.redis import SharedRedis

__all__ = ["RedisFailures", "RedisNonceStore", "SharedRedis"]
