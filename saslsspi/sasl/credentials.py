"""What a client authenticates with, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Password"]


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password. Its repr omits the password.

    Attributes:
        realm: The realm (Digest, Kerberos) or domain (NTLM); None takes the one that the server offers.
    """

    username: str
    password: str = field(repr=False)
    realm: str | None = field(default=None, kw_only=True)
