"""What a handle depends on from outside: clock, randomness, authority, nonce store, policy.

They reach the engine as one immutable Environment, so that every exchange can be replayed octet for octet.
The contracts of authority and nonce store stand here; implementations are in saslsspi.accounts.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from saslsspi.errors import NoAuthenticatingAuthority, SaslError
from saslsspi.sspi.policy import DEFAULT_POLICY, Policy

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "Account",
    "Authority",
    "Environment",
    "NonceRecord",
    "NonceStore",
    "Question",
    "ScramKeys",
    "Secret",
    "SingleAccount",
]


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


class Authority(Protocol):
    """Knows who may log on."""

    def lookup(self, question: Question) -> Account | None:
        """Return what is known of a user, or None for an unknown one.

        Raises:
            NoAuthenticatingAuthority: the store cannot be reached.
        """


class SingleAccount:
    """The authority of an inbound handle that was acquired with one identity and nothing else."""

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account = account

    def lookup(self, question: Question) -> Account | None:
        """Return the one account when it is the one that is meant."""
        return self._account if question.means(self._account.username) else None


class NonceRecord(NamedTuple):
    """What subsequent authentication needs of a session (RFC 2831 section 2.2).

    Attributes:
        issued: When the nonce was made, in seconds of the environment's clock.
        session: The package's own immutable record; it holds a key derived from the password.
    """

    issued: float
    session: object


class NonceStore(Protocol):
    """Remembers nonces and how often each was used. Bounded, and safe under threads."""

    def remember(self, nonce: bytes, record: NonceRecord) -> None:
        """Store a nonce whose count 1 was just used; the oldest makes room when the store is full."""

    def find(self, nonce: bytes) -> NonceRecord | None:
        """Return the record of a nonce, or None."""

    def advance(self, nonce: bytes, count: int) -> bool:
        """Use count on a nonce: True for exactly one caller, and only when count is the last one plus 1."""

    def forget(self, nonce: bytes) -> None:
        """Drop a nonce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The outside world of a credential handle.

    Attributes:
        clock: Seconds since the epoch.
        random: Takes a count of octets and returns so many, unpredictable ones.
        authority: Who may log on here; None on a client.
        nonce_store: Where an acceptor keeps nonces for subsequent authentication; None offers none.
    """

    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom
    authority: Authority | None = None
    nonce_store: NonceStore | None = None
    policy: Policy = DEFAULT_POLICY

    def ask(self, question: Question) -> Account | None:
        """Ask the authority, which may block.

        Raises:
            NoAuthenticatingAuthority: there is none, or it cannot answer.
        """
        if self.authority is None:
            raise NoAuthenticatingAuthority("there is no authority to ask about accounts; pass one")
        try:
            return self.authority.lookup(question)
        except SaslError:
            raise
        except Exception as error:
            raise NoAuthenticatingAuthority(f"the authority failed with {type(error).__name__}") from error


DEFAULT_ENVIRONMENT: Final = Environment()
