"""What tells the mechanisms of the family apart (RFC 5802 section 4)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Variant"]


class Variant(NamedTuple):
    """One SCRAM mechanism.

    Attributes:
        hash_name: SHA-1, SHA-256 or SHA-512.
        plus: Whether it is the one with channel bindings.
    """

    hash_name: str
    plus: bool

    @property
    def name(self) -> str:
        """The mechanism's name."""
        return f"SCRAM-{self.hash_name}{'-PLUS' if self.plus else ''}"
