"""The memory of nonces that many server processes share, in Redis: see saslsspi.accounts.nonces for the contract.

Forgotten is not unused here either. What Redis drops leaves watermarks; what Redis loses as a whole ends the epoch, and
the key of the nonces is made of the epoch, so that no nonce of before is known any more. While Redis is away, every
nonce counts as used. In each of these cases the client is challenged anew.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from saslsspi.accounts.nonces import NonceRecord
from saslsspi.accounts.shared import scripts
from saslsspi.accounts.shared.redis import SharedRedis
from saslsspi.errors import InvalidParameter

__all__ = ["RedisNonceStore"]

_LOG: Final = logging.getLogger("saslsspi.redis")
_MAX_COUNT: Final = 0xFFFFFFFF
_PER_SECOND: Final = 1_000_000
_ISSUE_SIZE: Final = 20  # digits of microseconds
_NAME_SIZE: Final = 16  # octets of what stands for a nonce or an owner
_HEAD_SIZE: Final = _ISSUE_SIZE + _NAME_SIZE
_EPOCH_SIZE: Final = 16  # octets, in Redis as hex digits
_SEALED: Final = b"\x01"  # version of what follows: a nonce of AES-GCM, and what it sealed
_GCM_NONCE: Final = 12
_LENGTH_SIZE: Final = 4  # of the owner, in front of it inside what is sealed
_LOST: Final = -1
_IN_FUTURE: Final = -2


class _Epoch(NamedTuple):
    """A memory from its beginning until something of it is lost.

    Attributes:
        name: In Redis.
        keys: Names of the keys in Redis, the epoch's own first.
        nonce_key: What nonces are signed with.
        sealing_key: What keys of records are made of.
    """

    name: bytes
    keys: tuple[bytes, ...]
    nonce_key: bytes
    sealing_key: bytes


class RedisNonceStore:
    """Remembers nonces and their counts for all servers that share a Redis and a secret. Safe under threads.

    Each call is one step in Redis, and blocks for as long as it takes: beside an event loop it belongs in a thread,
    where the adapters of this library run it.

    Args:
        shared: The Redis, and the secret that seals what stands in it.
        keep: Seconds for which a nonce is remembered after its first use, at least the policy's nonce_lifetime and
            twice the skew; a nonce that was dropped sooner is stale.
        skew: By how many seconds a server's clock may be ahead of Redis's. The nonces of one that is further ahead are
            taken by nobody, and a warning in the log says so.
        size: How many nonces are kept. When it is full, the oldest nonce of an owner who has most makes room.
    """

    def __init__(self, shared: SharedRedis, *, keep: float = 600.0, skew: float = 60.0, size: int = 1_000_000) -> None:
        if not (keep > 0 and skew >= 0 and size >= 1):
            raise InvalidParameter("keep and skew are seconds, and size is at least 1")
        self._shared = shared
        self._keep, self._skew, self._size = round(keep * _PER_SECOND), round(skew * _PER_SECOND), size
        self._naming_key = shared.derived(b"names of nonces and owners")
        self._epoch: _Epoch | None = None
        self._begin = shared.script(scripts.BEGIN)
        self._remember = shared.script(scripts.REMEMBER)
        self._find = shared.script(scripts.FIND)
        self._advance = shared.script(scripts.ADVANCE)
        self._forget = shared.script(scripts.FORGET)

    def key(self, drawn: bytes) -> bytes:
        """Return the secret of the epoch; while Redis is away, one with which no nonce is ever taken."""
        epoch = self._current()
        return self._shared.derived(b"nobody's nonces" + drawn) if epoch is None else epoch.nonce_key

    def remember(self, nonce: bytes, record: NonceRecord) -> bool:
        """Use count 1 of a nonce, and store it; see NonceStore.remember. False as well while Redis is away."""
        epoch = self._current()
        if epoch is None or record.store_key not in (b"", epoch.nonce_key):
            return False
        name, owner = self._named(b"nonce", nonce), record.owner.encode("utf-8", "surrogatepass")
        session = record.session
        octets = session if isinstance(session, bytes) else b"" if session is None else session.to_bytes()
        issued = b"%020d" % round(record.issued * _PER_SECOND)
        message = len(owner).to_bytes(_LENGTH_SIZE) + owner + octets
        sealed = _sealed(epoch, name, message, self._shared.random(_GCM_NONCE))
        answer = self._answer(
            epoch,
            self._remember(
                epoch.keys,
                [epoch.name, name, issued, self._named(b"owner", owner), sealed, self._keep, self._skew, self._size],
            ),
        )
        if answer == _IN_FUTURE:
            _LOG.warning("this server's clock is ahead of Redis's by more than %g s", self._skew / _PER_SECOND)
        return bool(answer == 1)

    def find(self, nonce: bytes) -> NonceRecord | None:
        """Return the record of a nonce, or None; None as well while Redis is away."""
        epoch = self._current()
        if epoch is None:
            return None
        name = self._named(b"nonce", nonce)
        stored = self._answer(epoch, self._find(epoch.keys, [epoch.name, name]))
        if not isinstance(stored, bytes):
            return None
        opened = _opened(epoch, name, stored[_HEAD_SIZE:])
        if opened is None:
            return None
        end = _LENGTH_SIZE + int.from_bytes(opened[:_LENGTH_SIZE])
        owner = opened[_LENGTH_SIZE:end].decode("utf-8", "surrogatepass")
        return NonceRecord(int(stored[:_ISSUE_SIZE]) / _PER_SECOND, opened[end:], owner, epoch.nonce_key)

    def advance(self, nonce: bytes, count: int) -> bool:
        """Use count on a nonce; see NonceStore.advance. False as well while Redis is away."""
        epoch = self._current()
        if epoch is None or not 1 < count <= _MAX_COUNT:
            return False
        step = self._advance(epoch.keys, [epoch.name, self._named(b"nonce", nonce), count - 1])
        return bool(self._answer(epoch, step) == 1)

    def forget(self, nonce: bytes) -> None:
        """Drop a nonce; its count 1 stays used."""
        epoch = self._current()
        if epoch is not None:
            self._answer(epoch, self._forget(epoch.keys, [epoch.name, self._named(b"nonce", nonce)]))

    def _current(self) -> _Epoch | None:
        """Return the epoch, as far as this process knows; None while Redis is away."""
        epoch = self._epoch
        if epoch is None:
            drawn = self._shared.random(_EPOCH_SIZE).hex().encode()
            name = self._begin([self._shared.name(b"epoch")], [drawn, self._shared.name(), *scripts.KEYS])
            if name is None:
                return None
            keys = (self._shared.name(b"epoch"), *(self._shared.name(name, key) for key in scripts.KEYS))
            nonce_key, sealing_key = (self._shared.derived(b"%s %s" % (use, name)) for use in (b"nonces", b"records"))
            self._epoch = epoch = _Epoch(name, keys, nonce_key, sealing_key)
        return epoch

    def _answer(self, epoch: _Epoch, answer: Any) -> Any:
        """Return what a step answered; one that found the epoch ended has done nothing, and the next begins another."""
        if answer == _LOST:
            _LOG.warning("Redis has lost the memory of nonces: clients are challenged anew")
            if self._epoch is epoch:
                self._epoch = None
        return answer

    def _named(self, kind: bytes, octets: bytes) -> bytes:
        """Return what stands for a nonce or an owner in Redis."""
        return hmac.digest(self._naming_key, kind + b"\0" + octets, hashlib.sha256)[:_NAME_SIZE]


def _sealing(epoch: _Epoch, name: bytes) -> AESGCM:
    # A key for each record: no two messages under one key come near the bound for random nonces.
    return AESGCM(hmac.digest(epoch.sealing_key, name, hashlib.sha256))


def _sealed(epoch: _Epoch, name: bytes, octets: bytes, nonce: bytes) -> bytes:
    return _SEALED + nonce + _sealing(epoch, name).encrypt(nonce, octets, _SEALED + name)


def _opened(epoch: _Epoch, name: bytes, sealed: bytes) -> bytes | None:
    """Return what was sealed for a nonce; None for what another, or nobody who has the secret, has sealed."""
    version, nonce, message = sealed[:1], sealed[1 : 1 + _GCM_NONCE], sealed[1 + _GCM_NONCE :]
    if version != _SEALED or len(nonce) != _GCM_NONCE:
        return None
    try:
        return _sealing(epoch, name).decrypt(nonce, message, _SEALED + name)
    except InvalidTag:
        return None
