"""Several authorities together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from saslsspi.accounts.account import Account, AccountLookup, Question, Secret
from saslsspi.accounts.authority import (
    Authority,
    Delegating,
    check_answer,
    decoy_key_of,
    decoys_for,
    may_act_as,
    secrets_of,
)
from saslsspi.accounts.coming import close_unawaited
from saslsspi.accounts.decoys import Decoys
from saslsspi.errors import InvalidParameter

__all__ = ["Chain"]


class Chain(Authority):
    """Asks several authorities; of those that know the user the first one in the chain answers.

    Each of them is asked about every name, so that a name that the first one knows costs the lookups of a name that
    none does. Unknown users are shown what fits all of them.

    Raises:
        InvalidParameter: no authority is given.
    """

    def __init__(self, *authorities: AccountLookup) -> None:
        if not authorities:
            raise InvalidParameter("a chain needs an authority")
        self._authorities = authorities
        # Servers behind one name share a key, and the one that they share is a member's.
        self.decoy_key = next((key for key in map(decoy_key_of, authorities) if key is not None), None)

    @property
    def members(self) -> tuple[AccountLookup, ...]:
        """Those that are asked, in their order."""
        return self._authorities

    @property
    def secrets(self) -> frozenset[Secret] | None:  # type: ignore[override]  # it is never assigned to
        """What any of them holds; None where one does not say."""
        held = [secrets_of(authority) for authority in self._authorities]
        known = [kinds for kinds in held if kinds is not None]
        return frozenset[Secret]().union(*known) if len(known) == len(held) else None

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return what the first authority knows that knows the user."""
        answers: list[object] = []
        try:
            for authority in self._authorities:
                answers.append(authority.lookup(question))
        except BaseException:
            _close(answers)
            raise
        if any(isawaitable(answer) for answer in answers):
            return _Answers(answers, self.first)
        return self.first(answers)

    def first(self, answers: Sequence[object]) -> Account | None:
        """Return the first account of what the authorities answered, marked with the authority that it came from."""
        for authority, answer in zip(self._authorities, answers, strict=True):
            if answer is not None:
                account = check_answer(authority, answer)
                return replace(account, source=authority if account.source is None else _Marked(authority, account))
        return None

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """Return what the authority says that the account came from."""
        return may_act_as(account.source, account, authzid)

    def _make_decoys(self, key: bytes) -> Decoys:
        return Decoys.joined(key, [decoys_for(authority, key) for authority in self._authorities])


class _Answers(Awaitable[Account | None]):
    """What is to come of several authorities; where nobody awaits it, none of theirs is left behind unawaited."""

    def __init__(self, answers: Sequence[object], choose: Callable[[Sequence[object]], Account | None]) -> None:
        self._answers = answers
        self._choose = choose

    def __await__(self) -> Generator[Any, None, Account | None]:
        return self._all().__await__()

    async def _all(self) -> Account | None:
        try:
            return self._choose([await answer if isawaitable(answer) else answer for answer in self._answers])
        finally:
            self.close()  # of one that failed, or was cancelled, those behind it were not awaited

    def close(self) -> None:
        _close(self._answers)


def _close(answers: Sequence[object]) -> None:
    """Close what nobody awaits any more; what was awaited is closed already."""
    for answer in answers:
        close_unawaited(answer)


class _Marked(Delegating):
    """An authority that has others beneath it, and an account as it has marked it: only by that it knows which of them.

    Args:
        authority: A member of the chain.
        account: What it answered.
    """

    def __init__(self, authority: AccountLookup, account: Account) -> None:
        super().__init__(authority)
        self._account = account

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """See Authority.may_act_as."""
        return super().may_act_as(self._account, authzid)
