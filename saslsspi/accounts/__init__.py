"""Who may log on: the contract of an authority, authorities, and what they know of an account.

Names are loaded on first use: a client needs none of them, and some need an extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the table below for type checkers, which run nothing; a test holds the two together
    from saslsspi.accounts.account import Account as Account
    from saslsspi.accounts.account import AccountLookup as AccountLookup
    from saslsspi.accounts.account import Question as Question
    from saslsspi.accounts.account import ScramKeys as ScramKeys
    from saslsspi.accounts.account import Secret as Secret
    from saslsspi.accounts.account import derive_ha1 as derive_ha1
    from saslsspi.accounts.account import derive_nt_hash as derive_nt_hash
    from saslsspi.accounts.account import user_hash as user_hash
    from saslsspi.accounts.authority import Authority as Authority
    from saslsspi.accounts.authority import Delegating as Delegating
    from saslsspi.accounts.chain import Chain as Chain
    from saslsspi.accounts.decoys import DecoyMemory as DecoyMemory
    from saslsspi.accounts.failures import FailureLimits as FailureLimits
    from saslsspi.accounts.failures import LockOut as LockOut
    from saslsspi.accounts.failures import MemoryFailures as MemoryFailures
    from saslsspi.accounts.failures import Throttle as Throttle
    from saslsspi.accounts.files import FileAuthority as FileAuthority
    from saslsspi.accounts.files import HtdigestAuthority as HtdigestAuthority
    from saslsspi.accounts.jwt import JwtAuthority as JwtAuthority
    from saslsspi.accounts.memory import MemoryAuthority as MemoryAuthority
    from saslsspi.accounts.nonces import MemoryNonceStore as MemoryNonceStore
    from saslsspi.accounts.scram import derive_scram_keys as derive_scram_keys
    from saslsspi.accounts.scram import format_scram_keys as format_scram_keys
    from saslsspi.accounts.scram import parse_scram_keys as parse_scram_keys
    from saslsspi.accounts.shared.failures import RedisFailures as RedisFailures
    from saslsspi.accounts.shared.nonces import RedisNonceStore as RedisNonceStore
    from saslsspi.accounts.shared.redis import SharedRedis as SharedRedis
    from saslsspi.accounts.stores.sql import SqlAuthority as SqlAuthority
    from saslsspi.accounts.tokens import MemoryTokens as MemoryTokens
    from saslsspi.accounts.tokens import TokenAuthority as TokenAuthority
    from saslsspi.accounts.verifier import PasswordVerifier as PasswordVerifier

_HOMES: Final = {
    "Account": "saslsspi.accounts.account",
    "AccountLookup": "saslsspi.accounts.account",
    "Authority": "saslsspi.accounts.authority",
    "Chain": "saslsspi.accounts.chain",
    "DecoyMemory": "saslsspi.accounts.decoys",
    "Delegating": "saslsspi.accounts.authority",
    "FailureLimits": "saslsspi.accounts.failures",
    "FileAuthority": "saslsspi.accounts.files",
    "HtdigestAuthority": "saslsspi.accounts.files",
    "JwtAuthority": "saslsspi.accounts.jwt",
    "LockOut": "saslsspi.accounts.failures",
    "MemoryAuthority": "saslsspi.accounts.memory",
    "MemoryFailures": "saslsspi.accounts.failures",
    "MemoryNonceStore": "saslsspi.accounts.nonces",
    "MemoryTokens": "saslsspi.accounts.tokens",
    "PasswordVerifier": "saslsspi.accounts.verifier",
    "Question": "saslsspi.accounts.account",
    "RedisFailures": "saslsspi.accounts.shared.failures",
    "RedisNonceStore": "saslsspi.accounts.shared.nonces",
    "ScramKeys": "saslsspi.accounts.account",
    "Secret": "saslsspi.accounts.account",
    "SharedRedis": "saslsspi.accounts.shared.redis",
    "SqlAuthority": "saslsspi.accounts.stores.sql",
    "Throttle": "saslsspi.accounts.failures",
    "TokenAuthority": "saslsspi.accounts.tokens",
    "derive_ha1": "saslsspi.accounts.account",
    "derive_nt_hash": "saslsspi.accounts.account",
    "derive_scram_keys": "saslsspi.accounts.scram",
    "format_scram_keys": "saslsspi.accounts.scram",
    "parse_scram_keys": "saslsspi.accounts.scram",
    "user_hash": "saslsspi.accounts.account",
}

__all__ = sorted(_HOMES)  # the table is the list


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
