"""Who may log on: the contract of an authority, authorities, and what they know of an account."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from saslsspi.accounts.account import (
    Account,
    AccountLookup,
    Question,
    ScramKeys,
    Secret,
    derive_ha1,
    derive_nt_hash,
    user_hash,
)
from saslsspi.accounts.authority import Authority, Delegating
from saslsspi.accounts.chain import Chain
from saslsspi.accounts.decoys import DecoyMemory
from saslsspi.accounts.failures import FailureLimits, LockOut, MemoryFailures, Throttle
from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.nonces import MemoryNonceStore
from saslsspi.accounts.scram import derive_scram_keys, format_scram_keys, parse_scram_keys
from saslsspi.accounts.tokens import MemoryTokens, TokenAuthority
from saslsspi.accounts.verifier import PasswordVerifier

if TYPE_CHECKING:
    from saslsspi.accounts.jwt import JwtAuthority as JwtAuthority
    from saslsspi.accounts.shared.failures import RedisFailures as RedisFailures
    from saslsspi.accounts.shared.nonces import RedisNonceStore as RedisNonceStore
    from saslsspi.accounts.shared.redis import SharedRedis as SharedRedis
    from saslsspi.accounts.stores.sql import SqlAuthority as SqlAuthority

__all__ = [
    "Account",
    "AccountLookup",
    "Authority",
    "Chain",
    "DecoyMemory",
    "Delegating",
    "FailureLimits",
    "FileAuthority",
    "HtdigestAuthority",
    "JwtAuthority",
    "LockOut",
    "MemoryAuthority",
    "MemoryFailures",
    "MemoryNonceStore",
    "MemoryTokens",
    "PasswordVerifier",
    "Question",
    "RedisFailures",
    "RedisNonceStore",
    "ScramKeys",
    "Secret",
    "SharedRedis",
    "SqlAuthority",
    "Throttle",
    "TokenAuthority",
    "derive_ha1",
    "derive_nt_hash",
    "derive_scram_keys",
    "format_scram_keys",
    "parse_scram_keys",
    "user_hash",
]

_OF_EXTRAS: Final = {
    "JwtAuthority": "saslsspi.accounts.jwt",
    "RedisFailures": "saslsspi.accounts.shared.failures",
    "RedisNonceStore": "saslsspi.accounts.shared.nonces",
    "SharedRedis": "saslsspi.accounts.shared.redis",
    "SqlAuthority": "saslsspi.accounts.stores.sql",
}


def __getattr__(name: str) -> object:
    """Load what needs an extra when it is asked for."""
    if name not in _OF_EXTRAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_OF_EXTRAS[name]), name)
