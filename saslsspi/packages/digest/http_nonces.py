"""The nonces of an HTTP server: made without state, and remembered when they have been used (RFC 7616 section 5.4).

A nonce is its time, randomness, and a MAC over both and the realm; opaque is another MAC over the nonce, so that a
response cannot be moved to another session. Any server that has the key takes the first use of a nonce; further uses
are counted in the store.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from typing import Final

from saslsspi.packages.digest.http_bindings import MARK
from saslsspi.sspi.environment import NonceRecord

__all__ = ["Nonces", "SessionStore"]

_MAC_SIZE: Final = 16
_RANDOM_SIZE: Final = 16
_TIME_SIZE: Final = 8
_HEX_SIZE: Final = 2 * (_TIME_SIZE + _RANDOM_SIZE + _MAC_SIZE)
_SESSIONS: Final = 65536
_LAST_COUNT: Final = 0xFFFFFFFF


class SessionStore:
    """Remembers the sessions of one handle where the environment brings no store. Bounded, safe under threads."""

    __slots__ = ("_lock", "_records")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[bytes, tuple[NonceRecord, int]] = {}

    def remember(self, nonce: bytes, record: NonceRecord) -> None:
        """See NonceStore.remember."""
        with self._lock:
            while len(self._records) >= _SESSIONS:
                del self._records[next(iter(self._records))]
            self._records[nonce] = (record, 1)

    def find(self, nonce: bytes) -> NonceRecord | None:
        """See NonceStore.find."""
        entry = self._records.get(nonce)
        return None if entry is None else entry[0]

    def advance(self, nonce: bytes, count: int) -> bool:
        """See NonceStore.advance."""
        with self._lock:
            entry = self._records.get(nonce)
            if entry is None or count != entry[1] + 1 or count > _LAST_COUNT:
                return False
            self._records[nonce] = (entry[0], count)
            return True

    def forget(self, nonce: bytes) -> None:
        """See NonceStore.forget."""
        with self._lock:
            self._records.pop(nonce, None)


class Nonces:
    """Makes nonces and knows its own again.

    Args:
        key: The secret behind them; servers behind one name share it.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, now: float, random: bytes, realm: bytes, *, marked: bool) -> bytes:
        """Return a new nonce.

        Args:
            now: Seconds of the environment's clock.
            random: 16 octets.
            realm: The server's identity, which the nonce is for.
            marked: Whether the server takes channel bindings.
        """
        head = int(now * 1000).to_bytes(_TIME_SIZE) + random
        mark = MARK if marked else b""
        return mark + (head + self._mac(b"nonce", mark + head, realm)).hex().encode()

    def issued(self, nonce: bytes, realm: bytes) -> float | None:
        """Return when a nonce was made, in seconds; None for one that is not ours."""
        mark = MARK if nonce.startswith(MARK) else b""
        digits = nonce[len(mark) :]
        if len(digits) != _HEX_SIZE:
            return None
        try:
            octets = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            return None
        head, mac = octets[:-_MAC_SIZE], octets[-_MAC_SIZE:]
        if not hmac.compare_digest(self._mac(b"nonce", mark + head, realm), mac):
            return None
        return int.from_bytes(head[:_TIME_SIZE]) / 1000

    def opaque(self, nonce: bytes) -> bytes:
        """Return the opaque that goes with a nonce."""
        return self._mac(b"opaque", nonce, b"").hex().encode()

    def _mac(self, purpose: bytes, head: bytes, realm: bytes) -> bytes:
        return hmac.digest(self._key, b"\0".join((purpose, head, realm)), hashlib.sha256)[:_MAC_SIZE]
