"""The nonces of an HTTP server: made without state, and remembered when they have been used (RFC 7616 section 5.4).

A nonce is its time, the session that it belongs to, randomness, and a MAC over these and the realm; opaque is a MAC
over the session, so that a response cannot be moved to another one and nextnonce stays in its own. Any server that has
the key takes the first use of a nonce; further uses are counted in the store.
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
_SESSIONS: Final = 65536


class Nonces:
    """Makes nonces and knows its own again.

    Args:
        key: The secret behind them; servers behind one name share it.
    """

    __slots__ = ("_claimed", "_key", "_lock")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._claimed: dict[bytes, None] = {}

    def claim(self, nonce: bytes) -> bool:
        """Use a nonce for the first time: True for exactly one caller of this process."""
        with self._lock:
            if nonce in self._claimed:
                return False
            while len(self._claimed) >= _SESSIONS:
                del self._claimed[next(iter(self._claimed))]
            self._claimed[nonce] = None
            return True

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
        head = int(now * 1000).to_bytes(_TIME_SIZE) + session + random(_RANDOM_SIZE)
        mark = MARK if marked else b""
        return mark + (head + self._mac(b"nonce", mark + head, realm)).hex().encode()

    def issued(self, nonce: bytes, realm: bytes) -> float | None:
        """Return when a nonce was made, in seconds; None for one that is not ours."""
        mark = MARK if nonce.startswith(MARK) else b""
        octets = self._octets(nonce)
        head, mac = octets[:-_MAC_SIZE], octets[-_MAC_SIZE:]
        if not octets or not hmac.compare_digest(self._mac(b"nonce", mark + head, realm), mac):
            return None
        return int.from_bytes(head[:_TIME_SIZE]) / 1000

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
