"""One Redis (6.2 or later) that server processes share, and the secret that they share beside it.

Whatever goes wrong with it is the same to the rest: it does not answer, and nobody waits long for that. Once it has
failed it is left alone for a moment, so that a slow one does not make every logon slow.

What is kept there is named and sealed with keys made of the secret: who reads Redis learns no nonce, no name and no
key. Who can write to it can make servers forget, which they notice, or put an old state back, which they do not.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from saslsspi.errors import InvalidParameter

__all__ = ["Script", "SharedRedis"]

_LOG: Final = logging.getLogger("saslsspi.redis")
_LOG.addHandler(logging.NullHandler())
_SECRET_SIZE: Final = 16  # octets, at least
_TIMEOUT: Final = 0.5
_PAUSE: Final = 1.0

Script = Callable[[Sequence[bytes], Sequence[bytes | int]], Any]
"""One step in Redis, atomic: takes the names of keys and arguments, and returns its answer; None: there is none."""


class SharedRedis:
    """A Redis and the secret of its users. Safe under threads and after fork, as the client is.

    Args:
        client: Of redis-py, blocking, and not with decode_responses. It should have a socket_timeout and no retries:
            `at` makes one so.
        secret: At least 16 octets that nobody guesses, the same in every server process.
        prefix: What the names of its keys begin with. It is in braces there, so that a cluster keeps them together.
        pause: Seconds for which a Redis that did not answer is not asked again.
        monotonic: Seconds that only go up.
        random: Takes a count of octets and returns so many, unpredictable ones: names of epochs, nonces of AES-GCM.
    """

    def __init__(
        self,
        client: redis.Redis,
        secret: bytes,
        *,
        prefix: str = "saslsspi",
        pause: float = _PAUSE,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.random = random
        if not isinstance(secret, bytes) or len(secret) < _SECRET_SIZE:
            raise InvalidParameter(f"the servers' secret is bytes, at least {_SECRET_SIZE} of them")
        if client.get_encoder().decode_responses:
            raise InvalidParameter("a Redis client for sealed records is made without decode_responses")
        self._client = client
        self._secret = secret
        self._prefix = f"{{{prefix}}}:".encode()
        self._pause = pause
        self._monotonic = monotonic
        self._asleep_until = float("-inf")
        self._away = False

    @classmethod
    def at(cls, url: str, secret: bytes, *, timeout: float = _TIMEOUT, prefix: str = "saslsspi") -> Self:
        """Return the Redis at a URL.

        Args:
            url: As redis-py takes it: redis://, rediss:// (TLS), unix://.
            secret: See the class.
            timeout: Seconds that a logon waits for an answer.
            prefix: See the class.
        """
        client = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        return cls(client, secret, prefix=prefix)

    def derived(self, purpose: bytes) -> bytes:
        """Return 32 octets that only the servers can know, others for each purpose."""
        return hmac.digest(self._secret, b"saslsspi " + purpose, hashlib.sha256)

    def name(self, *parts: bytes) -> bytes:
        """Return the name of a key in Redis."""
        return self._prefix + b":".join(parts)

    def script(self, lua: str) -> Script:
        """Return a step that runs in Redis as a whole or not at all."""
        registered = self._client.register_script(lua)

        def run(names: Sequence[bytes], arguments: Sequence[bytes | int]) -> Any:
            if self._monotonic() < self._asleep_until:
                return None
            try:
                answer = registered(keys=list(names), args=list(arguments))
            except (redis.RedisError, OSError) as error:
                self._missed(error)
                return None
            if self._away:
                self._away = False
                _LOG.warning("Redis answers again")
            return answer

        return run

    def _missed(self, error: Exception) -> None:
        self._asleep_until = self._monotonic() + self._pause
        if not self._away:
            self._away = True
            _LOG.warning("Redis does not answer, clients are challenged anew: %s", type(error).__name__)
