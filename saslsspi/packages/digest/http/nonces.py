"""The nonces of an HTTP server: made without state, and remembered when they have been used (RFC 7616 section 5.4).

A nonce is its time, the session that it belongs to, randomness, and a MAC over these and the realm; opaque is a MAC
over the session, so that a response cannot be moved to another one and nextnonce stays in its own. The key of the MAC
belongs to the store that remembers uses: where that is another, a nonce is stale, whoever made it. No two nonces of one
process have the same time, so that a store which drops one need not doubt the next.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Final

from saslsspi.packages.digest.http.bindings import MARK

__all__ = ["Nonces"]

_MAC_SIZE: Final = 16
_SESSION_SIZE: Final = 12
_RANDOM_SIZE: Final = 12
_TIME_SIZE: Final = 8
_HEX_SIZE: Final = 2 * (_TIME_SIZE + _SESSION_SIZE + _RANDOM_SIZE + _MAC_SIZE)
_SESSION: Final = slice(_TIME_SIZE, _TIME_SIZE + _SESSION_SIZE)
_PER_SECOND: Final = 1_000_000  # nonces carry microseconds


class Nonces:
    """Makes nonces and knows its own again.

    Args:
        store_key: The secret of the store that remembers their uses.
        own: A further secret, of a server that shares its nonces with some users of the store and not with all.
    """

    __slots__ = ("_key", "_last", "_lock", "store_key")

    def __init__(self, store_key: bytes, own: bytes = b"") -> None:
        self.store_key = store_key
        self._key = hmac.digest(store_key, own, hashlib.sha256)
        self._lock = threading.Lock()
        self._last = 0

    def make(
        self, now: float, random: Callable[[int], bytes], realm: bytes, *, marked: bool, before: bytes = b""
    ) -> bytes:
        """Return a new nonce.

        Args:
            now: Seconds of the environment's clock.
            random: The environment's randomness.
            realm: The server's identity, which the nonce is for.
            marked: Whether the server takes channel bindings.
            before: A nonce of ours whose session goes on; b"" begins one.
        """
        session = self._octets(before)[_SESSION] if before else random(_SESSION_SIZE)
        with self._lock:
            time = self._last = max(int(now * _PER_SECOND), self._last + 1)
        head = time.to_bytes(_TIME_SIZE) + session + random(_RANDOM_SIZE)
        mark = MARK if marked else b""
        return mark + (head + self._mac(b"nonce", mark + head, realm)).hex().encode()

    def issued(self, nonce: bytes, realm: bytes) -> float | None:
        """Return when a nonce was made, in seconds; None for one that is not ours."""
        mark = MARK if nonce.startswith(MARK) else b""
        octets = self._octets(nonce)
        head, mac = octets[:-_MAC_SIZE], octets[-_MAC_SIZE:]
        if not octets or not hmac.compare_digest(self._mac(b"nonce", mark + head, realm), mac):
            return None
        return int.from_bytes(head[:_TIME_SIZE]) / _PER_SECOND

    def opaque(self, nonce: bytes) -> bytes:
        """Return the opaque that goes with a nonce of ours."""
        return self._mac(b"opaque", self._octets(nonce)[_SESSION], b"").hex().encode()

    def _octets(self, nonce: bytes) -> bytes:
        """Return what the digits of a nonce stand for; b"" where they are not ours."""
        digits = nonce.removeprefix(MARK)
        try:
            return bytes.fromhex(digits.decode("ascii")) if len(digits) == _HEX_SIZE else b""
        except ValueError:
            return b""

    def _mac(self, purpose: bytes, head: bytes, realm: bytes) -> bytes:
        return hmac.digest(self._key, b"\0".join((purpose, head, realm)), hashlib.sha256)[:_MAC_SIZE]
