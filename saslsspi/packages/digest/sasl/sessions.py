"""The sessions that a client can take up again (RFC 2831 section 2.2), those without a layer.

Subsequent authentication keeps H(A1), and with it the keys of a layer and its sequence numbers from zero: a message of
one connection would be right in the next, and a stream cipher would repeat its key stream. Sections 2.2.1 and 2.2.2
leave both sides free to authenticate anew, so they do wherever a layer is wanted.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple, TypeAlias

__all__ = ["ClientSession", "SessionCache", "SessionKey"]

_SESSIONS: Final = 64
_LAST_COUNT: Final = 0xFFFFFFFF


class ClientSession(NamedTuple):
    """What a client remembers of a session: "username, realm, nonce, nc, cnonce, and qop" and the key.

    Attributes:
        username, realm: As they went on the wire.
        name, realm_text: The same as text.
        qop: As it went on the wire.
        utf8: Whether charset=utf-8 was agreed.
        ha1: H(A1).
        tolerances: What this server made necessary.
    """

    username: bytes
    realm: bytes | None
    name: str
    realm_text: str
    nonce: bytes
    cnonce: bytes
    qop: bytes
    utf8: bool
    ha1: bytes
    tolerances: int


SessionKey: TypeAlias = tuple[str, str, int]
"""Target, authorization identity, and the flags that were wished for."""


class SessionCache:
    """The sessions of one outbound credential; bounded, safe under threads. One that is lost costs a round trip."""

    __slots__ = ("_lock", "_sessions")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[SessionKey, tuple[ClientSession, int]] = {}

    def put(self, key: SessionKey, session: ClientSession, count: int) -> None:
        """Remember a session whose nonce was used count times; the oldest makes room."""
        with self._lock:
            self._sessions.pop(key, None)
            while len(self._sessions) >= _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[key] = (session, count)

    def next_use(self, key: SessionKey) -> tuple[ClientSession, int] | None:
        """Return a session and the nonce count that the caller alone may use; None without one."""
        with self._lock:
            session, count = self._sessions.get(key, (None, 0))
            if session is None or count >= _LAST_COUNT:
                self._sessions.pop(key, None)
                return None
            self._sessions[key] = (session, count + 1)
            return session, count + 1

    def drop(self, key: SessionKey) -> None:
        """Forget a session that the server no longer takes."""
        with self._lock:
            self._sessions.pop(key, None)
