"""What a handle depends on from outside: clock, randomness, authority, nonce store, policy.

They reach the engine as one immutable Environment, so that every exchange can be replayed octet for octet.
The contracts of authority and nonce store stand here; implementations are in saslsspi.accounts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.nonces import NonceStore
from saslsspi.engine.policy import DEFAULT_POLICY, Policy
from saslsspi.errors import NoAuthenticatingAuthority, SaslError

__all__ = ["DEFAULT_ENVIRONMENT", "Environment"]


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

    def overridden(
        self, *, policy: Policy | None = None, authority: Authority | None = None, nonce_store: NonceStore | None = None
    ) -> Self:
        """Return this environment with what is given in place of its own; None keeps what there is."""
        changes = {"policy": policy, "authority": authority, "nonce_store": nonce_store}
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given) if given else self  # type: ignore[arg-type]  # each is of its field's type

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
