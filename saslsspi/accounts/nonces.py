"""Nonces in memory, where callers look for them; the store itself lies on the floor that packages may import."""

from saslsspi.sspi.nonce_memory import MemoryNonceStore

__all__ = ["MemoryNonceStore"]
