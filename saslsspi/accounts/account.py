"""What an acceptor asks about a user, and what it is told."""

from __future__ import annotations

import enum
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Account", "Pending", "Question", "ScramKeys", "Secret"]


class Secret(enum.Enum):
    """What an acceptor can verify with; an acceptor names what suffices, the weakest first."""

    HA1 = "H(user:realm:password)"
    NT_HASH = "MD4 of the UTF-16LE password"
    SCRAM = "SCRAM stored and server key"
    PASSWORD = "password"
    EXISTENCE = "that the account exists"

    __hash__ = object.__hash__  # as for package.Side


class Question(NamedTuple):
    """What an acceptor must know of a user before it can go on.

    Attributes:
        username: The name as the client sent it, decoded.
        realm: The realm or domain that the client named, "" without one.
        secrets: Which secrets suffice, the weakest first.
        any_case: Whether names are compared without regard to case, as Windows does.
        hashed_with: Name of a hash of hashlib: the username is H(user:realm) by it, in hex (RFC 7616 section 3.4.4);
            "" for a username as it is.
    """

    username: str
    realm: str
    secrets: tuple[Secret, ...]
    any_case: bool = False
    hashed_with: str = ""

    def means(self, username: str) -> bool:
        """Whether an account of this name is the one that is asked for."""
        if self.hashed_with:
            digest = hashlib.new(self.hashed_with, f"{username}:{self.realm}".encode()).hexdigest()
            return hmac.compare_digest(digest, self.username)
        return self.username == username or (self.any_case and self.username.casefold() == username.casefold())


class Pending(NamedTuple):
    """An acceptor's step that waits for an answer about an account; pass the answer to resume."""

    question: Question


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a SCRAM server stores (RFC 5802 section 3): no password, and nothing that logs on elsewhere."""

    hash_name: str
    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an authority knows of a user. Its repr omits every secret.

    Attributes:
        ha1: H(user:realm:password), 16 octets, for the realm that was asked.
        nt_hash: MD4 of the UTF-16LE password, 16 octets.
        scram: SCRAM keys by hash name.
        may_act_as: Authorization identities that this user may assume beside its own.
    """

    username: str
    realm: str = ""
    domain: str = ""
    password: str | None = field(default=None, repr=False)
    ha1: bytes | None = field(default=None, repr=False)
    nt_hash: bytes | None = field(default=None, repr=False)
    scram: Mapping[str, ScramKeys] = field(default_factory=dict, repr=False)
    may_act_as: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
