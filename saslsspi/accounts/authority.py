"""The contract of who knows the accounts."""

from __future__ import annotations

from typing import Protocol

from saslsspi.accounts.account import Account, Question

__all__ = ["Authority", "SingleAccount"]


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
