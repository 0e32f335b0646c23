"""The contract of who knows the accounts.

An authority must answer one question: lookup. All else has a safe answer in the base class, which its subclasses may
better, and which the engine gives in place of an object that has lookup alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from saslsspi.accounts.account import Account, AccountLookup, Question, Secret
from saslsspi.accounts.coming import close_unawaited
from saslsspi.accounts.decoys import Decoys
from saslsspi.accounts.fitting import fitting
from saslsspi.errors import NoAuthenticatingAuthority

__all__ = [
    "Authority",
    "Delegating",
    "SingleAccount",
    "check_answer",
    "decoy_key_of",
    "decoys_for",
    "may_act_as",
    "secrets_of",
]


class Authority(ABC):
    """Knows who may log on. A subclass has lookup; the attributes below may stay as they are.

    Attributes:
        secrets: The kinds of secrets that the store holds; a server then offers what they can verify, and no more.
            None does not say: everything is offered, and unknown users cost what every kind of account costs.
        iterations: The iteration counts of stored SCRAM keys; unknown users are shown one of them. Empty learns them
            from the accounts that are looked up.
        decoy_key: The secret behind the salts that unknown users are shown, at least 16 octets. Servers behind one
            name share it. None makes one for each object.
    """

    secrets: frozenset[Secret] | None = None
    iterations: Sequence[int] = ()
    decoy_key: bytes | None = None

    @abstractmethod
    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return what is known of a user, or None for an unknown one; it may be an `async def`.

        Raises:
            NoAuthenticatingAuthority: the store cannot be reached.
        """

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """Whether a user who is authenticated may act as another identity than its own.

        Args:
            account: What lookup answered about the user.
            authzid: As the client sent it.
        """
        return authzid in account.may_act_as

    def decoys(self, random: Callable[[int], bytes]) -> Decoys:
        """Return what unknown users are shown; the same object each time.

        Args:
            random: Takes a count of octets; where a key comes from at the first call.
        """
        made: Decoys | None = self.__dict__.get("_decoys")
        if made is None:
            # setdefault is one step: of two threads that come first, both get the one that was first.
            made = self.__dict__.setdefault("_decoys", self._make_decoys(self.decoy_key or random(32)))
        return made

    def _make_decoys(self, key: bytes) -> Decoys:
        return Decoys(key, secrets=self.secrets, iterations=self.iterations, learns=not self.iterations)


class Delegating(Authority):
    """Another authority, changed in a respect that a subclass overrides; all else is asked of that one."""

    def __init__(self, authority: AccountLookup) -> None:
        self.authority = authority

    @property
    def secrets(self) -> frozenset[Secret] | None:  # type: ignore[override]  # it is never assigned to
        """The kinds of secrets that the other authority holds."""
        return secrets_of(self.authority)

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """See Authority.lookup."""
        return self.authority.lookup(question)

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """See Authority.may_act_as."""
        return may_act_as(self.authority, account, authzid)

    def _make_decoys(self, key: bytes) -> Decoys:
        return decoys_for(self.authority, key)


class SingleAccount(Authority):
    """The authority of an inbound handle that was acquired with one identity and nothing else."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.secrets = account.secrets

    def lookup(self, question: Question) -> Account | None:
        """Return the one account when it is the one that is meant."""
        return fitting((self._account,) if question.means(self._account.username) else (), question)


def secrets_of(authority: AccountLookup | None) -> frozenset[Secret] | None:
    """Return the kinds of secrets that an authority holds; None where it does not say."""
    return authority.secrets if isinstance(authority, Authority) else None


def decoy_key_of(authority: AccountLookup) -> bytes | None:
    """Return the key behind what an authority's unknown users are shown; None where it has none of its user's."""
    while isinstance(authority, Delegating) and authority.decoy_key is None:
        authority = authority.authority
    return authority.decoy_key if isinstance(authority, Authority) else None


def may_act_as(authority: AccountLookup | None, account: Account, authzid: str) -> bool:
    """Return what an authority says; where it has lookup alone, what stands in the account."""
    if isinstance(authority, Authority):
        return authority.may_act_as(account, authzid)
    return authzid in account.may_act_as


def decoys_for(authority: AccountLookup, key: bytes) -> Decoys:
    """Return new decoys for an authority, of any kind, with a key of its user's."""
    return authority._make_decoys(key) if isinstance(authority, Authority) else Decoys(key)


def check_answer(authority: AccountLookup, answer: object) -> Account:
    """Return what an authority answered.

    Raises:
        NoAuthenticatingAuthority: it is no Account; the text names the authority and what it answered.
    """
    if isinstance(answer, Account):
        return answer
    close_unawaited(answer)
    raise NoAuthenticatingAuthority(
        f"{type(authority).__name__}.lookup answered with {_described(answer)}, neither an Account nor None"
    )


def _described(answer: object) -> str:
    if isinstance(answer, Awaitable):
        return "something to be awaited, where nothing awaits it (an async lookup needs a server with an event loop)"
    return f"a {type(answer).__name__}"
