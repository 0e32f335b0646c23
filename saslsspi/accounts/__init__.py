"""Who may log on: implementations of the Authority and NonceStore contracts."""

from __future__ import annotations

from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.nonces import MemoryNonceStore

__all__ = ["FileAuthority", "HtdigestAuthority", "MemoryAuthority", "MemoryNonceStore"]
