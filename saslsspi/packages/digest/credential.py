"""Credentials of the Digest package, and the sessions that a client can take up again (RFC 2831 section 2.2)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.policy import Policy
from saslsspi.errors import SecurityQosFailed
from saslsspi.packages.digest.ciphers import Cipher
from saslsspi.packages.digest.qop import Permitted, permitted
from saslsspi.packages.digest.sasl.messages import Challenge

__all__ = ["ClientSession", "DigestCredential", "Offer", "SessionCache", "SessionKey"]

_SESSIONS: Final = 64
_LAST_COUNT: Final = 0xFFFFFFFF
_ANY_NONCE: Final = b"0" * 24  # as long as the base64 of 18 octets, which takes its place


class ClientSession(NamedTuple):
    """What a client remembers of a session: "username, realm, nonce, nc, cnonce, and qop" and the keys."""

    username: bytes
    realm: bytes | None
    name: str
    realm_text: str
    nonce: bytes
    cnonce: bytes
    qop: bytes
    utf8: bool
    cipher: Cipher | None
    maxbuf: int
    ha1: bytes
    tolerances: int


SessionKey: TypeAlias = tuple[str, str, int]
"""Target, authorization identity, and the flags that were wished for: another wish may need another qop."""


class SessionCache:
    """The sessions of one outbound credential; bounded, safe under threads."""

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


class Offer(NamedTuple):
    """What an acceptor puts into its challenges for one set of flags, made once for a credential.

    Attributes:
        head, tail: The challenge's octets around the nonce.
        qops: Offered qop values.
        ciphers: Offered ciphers by name.
    """

    challenge: Challenge
    head: bytes
    tail: bytes
    qops: frozenset[bytes]
    ciphers: dict[bytes, Cipher]


@dataclass(slots=True, eq=False, repr=False)
class DigestCredential(Credential):
    """An acquired Digest credential. Its repr shows nothing.

    Attributes:
        username: Outbound: who logs on.
        password: Outbound: with what.
        realm: Outbound: the realm to choose, "" for the one that is offered.
        realms: Inbound: the realms to offer.
        principals: Inbound: the digest-uri values that are right, in lower case; empty checks nothing.
        sessions: Outbound: sessions to take up again.
        offers: Inbound: prepared challenges by flags and our maxbuf.
        permissions: Outbound: what may be chosen, by flags.
        http: Inbound, HTTP: what its contexts share, made with the first.
    """

    username: str = ""
    password: str | None = None
    realm: str = ""
    realms: tuple[str, ...] = ()
    principals: frozenset[str] = frozenset()
    sessions: SessionCache = field(default_factory=SessionCache)
    offers: dict[tuple[int, int, int], Offer] = field(default_factory=dict)
    permissions: dict[tuple[int, int], Permitted] = field(default_factory=dict)
    http: object = None

    def permits(self, required: int, requested: int, policy: Policy) -> Permitted:
        """Return what an initiator's flags and the handle's policy permit."""
        made = self.permissions.get((required, requested))
        if made is None:
            made = self.permissions[required, requested] = permitted(Side.INITIATE, required, requested, policy)
        return made

    def offer(self, required: int, requested: int, policy: Policy) -> Offer:
        """Return the prepared challenge for an acceptor's flags.

        Raises:
            SecurityQosFailed: flags and policy leave nothing to offer.
        """
        made = self.offers.get((required, requested, policy.max_buffer))
        if made is None:
            made = self.offers[required, requested, policy.max_buffer] = self._make_offer(required, requested, policy)
        return made

    def _make_offer(self, required: int, requested: int, policy: Policy) -> Offer:
        permits = permitted(Side.ACCEPT, required, requested, policy)
        if not permits.qops:
            raise SecurityQosFailed(
                f"flags and policy (min_ssf {policy.min_ssf}, max_ssf {policy.max_ssf}) leave no qop to offer"
            )
        challenge = Challenge(
            nonce=_ANY_NONCE,
            realms=tuple(realm.encode() for realm in self.realms),
            qop=tuple(reversed(permits.qops)),
            maxbuf=policy.max_buffer,
            ciphers=tuple(cipher.name for cipher in permits.ciphers),
        )
        challenge._replace(stale=True).to_bytes()  # the longest form must be below the limit as well
        # The realms before it cannot hold this text: their double quotes are escaped.
        head, _, tail = challenge.to_bytes().partition(b'nonce="' + _ANY_NONCE)
        ciphers = {cipher.name: cipher for cipher in permits.ciphers}
        return Offer(challenge, head + b'nonce="', tail, frozenset(permits.qops), ciphers)
