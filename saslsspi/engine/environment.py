"""What a handle depends on from outside: clock, randomness, authority, nonce store, policy.

They reach the engine as one immutable Environment, so that every exchange can be replayed octet for octet.
The contracts of authority and nonce store stand here; implementations are in saslsspi.accounts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, Self

from saslsspi.accounts.account import Account, AccountLookup, Question
from saslsspi.accounts.authority import Authority, Delegating, check_answer
from saslsspi.accounts.decoys import DecoyMemory, Decoys
from saslsspi.accounts.nonces import NonceStore
from saslsspi.engine.hooks.trace import Trace
from saslsspi.engine.policy import DEFAULT_POLICY, Policy
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError

__all__ = ["DEFAULT_ENVIRONMENT", "Environment", "Wait", "awaiting_with"]

Wait = Callable[[Awaitable[Account | None]], Account | None]
"""Blocks until an event loop in another thread has awaited something, and returns its result."""

_WAIT: Final[ContextVar[Wait | None]] = ContextVar("saslsspi_wait", default=None)
_DECOY_MEMORY: Final = DecoyMemory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The outside world of a credential handle.

    Attributes:
        clock: Seconds since the epoch.
        random: Takes a count of octets and returns so many, unpredictable ones.
        authority: Who may log on here; None on a client.
        decoy_memory: Keeps what unknown users are shown, for authorities that have lookup alone. Unless it is given, an
            environment with a random of its own has its own, so that exchanges can be replayed octet for octet; those
            with the system's share one.
        nonce_store: Where an acceptor keeps nonces for subsequent authentication; None offers none.
        trace: Is told of each step, and never of contents; None costs nothing. See saslsspi.engine.hooks.trace.
    """

    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom
    authority: AccountLookup | None = None
    nonce_store: NonceStore | None = None
    policy: Policy = DEFAULT_POLICY
    decoy_memory: DecoyMemory = _DECOY_MEMORY
    trace: Trace | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise InvalidParameter(f"policy takes Policy, not {type(self.policy).__name__}")
        if not (callable(self.clock) and callable(self.random)):
            raise InvalidParameter("clock and random are functions")
        if self.authority is not None and not callable(getattr(self.authority, "lookup", None)):
            raise InvalidParameter(f"an authority has a method lookup, and {type(self.authority).__name__} has none")
        if self.random is not os.urandom and self.decoy_memory is _DECOY_MEMORY:
            object.__setattr__(self, "decoy_memory", DecoyMemory())

    def overridden(
        self,
        *,
        policy: Policy | None = None,
        authority: AccountLookup | None = None,
        nonce_store: NonceStore | None = None,
    ) -> Self:
        """Return this environment with what is given in place of its own; None keeps what there is."""
        changes = {"policy": policy, "authority": authority, "nonce_store": nonce_store}
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given) if given else self  # type: ignore[arg-type]  # each is of its field's type

    def ask(self, question: Question) -> Account | None:
        """Ask the authority, which may block.

        One whose lookup is an `async def` is awaited by whoever drives the exchange beside an event loop: see
        awaiting_with.

        Raises:
            NoAuthenticatingAuthority: there is none, or it cannot answer.
        """
        authority = self._authority()
        try:
            answer = authority.lookup(question)
            wait = _WAIT.get()
            if wait is not None and isinstance(answer, Awaitable):
                answer = wait(answer)
        except SaslError:
            raise
        except Exception as error:
            name = type(authority).__name__
            raise NoAuthenticatingAuthority(f"{name}.lookup failed with {type(error).__name__}") from error
        return None if answer is None else check_answer(authority, answer)

    def decoys(self) -> Decoys:
        """Return what unknown users are shown here; the same object for the same authority."""
        authority = self.authority
        while isinstance(authority, Delegating):
            authority = authority.authority
        if isinstance(authority, Authority):
            return authority.decoys(self.random)
        return self.decoy_memory.of(authority, self.random)

    def _authority(self) -> AccountLookup:
        if self.authority is None:
            raise NoAuthenticatingAuthority("there is no authority to ask about accounts; pass one")
        return self.authority


@contextmanager
def awaiting_with(wait: Wait) -> Iterator[None]:
    """Let an `async def lookup` be awaited in what runs below, and in threads that copy its context."""
    token = _WAIT.set(wait)
    try:
        yield
    finally:
        _WAIT.reset(token)


DEFAULT_ENVIRONMENT: Final = Environment()
