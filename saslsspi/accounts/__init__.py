"""Who may log on: implementations of the Authority and NonceStore contracts."""

from __future__ import annotations

from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.nonces import MemoryNonceStore
from saslsspi.accounts.scram import ScramDeriver, derive_scram_keys

__all__ = [
    "FileAuthority",
    "HtdigestAuthority",
    "MemoryAuthority",
    "MemoryNonceStore",
    "ScramDeriver",
    "derive_scram_keys",
]
