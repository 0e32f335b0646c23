"""Who may log on: the contract of an authority, authorities, and what they know of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.nonces import MemoryNonceStore
from saslsspi.accounts.scram import derive_scram_keys, format_scram_keys, parse_scram_keys

if TYPE_CHECKING:
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
    "FileAuthority",
    "HtdigestAuthority",
    "MemoryAuthority",
    "MemoryNonceStore",
    "Question",
    "RedisNonceStore",
    "ScramKeys",
    "Secret",
    "SharedRedis",
    "SqlAuthority",
    "derive_ha1",
    "derive_nt_hash",
    "derive_scram_keys",
    "format_scram_keys",
    "parse_scram_keys",
    "user_hash",
]


def __getattr__(name: str) -> object:
    """Load what needs an extra when it is asked for."""
    if name == "SqlAuthority":
        from saslsspi.accounts.stores.sql import SqlAuthority

        return SqlAuthority
    if name == "RedisNonceStore":
        from saslsspi.accounts.shared.nonces import RedisNonceStore

        return RedisNonceStore
    if name == "SharedRedis":
        from saslsspi.accounts.shared.redis import SharedRedis

        return SharedRedis
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
