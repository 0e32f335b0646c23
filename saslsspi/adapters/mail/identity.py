"""Authorization identities in the mail protocols: simple user names, prepared with SASLprep before they are compared.

RFC 4954 section 4 and RFC 5034 section 4: "If the preparation of the authorization identity fails or results in an
empty string (unless it was transmitted as the empty string), the server MUST fail the authentication."
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authority import Authority
from saslsspi.errors import InvalidParameter
from saslsspi.prep import saslprep

__all__ = ["MailAuthority"]


class _Identities(frozenset[str]):
    """What an account may act as, its own name included, compared in prepared form."""

    __slots__ = ("_prepared",)
    _prepared: frozenset[str]

    @classmethod
    def of(cls, account: Account) -> Self:
        made = cls(account.may_act_as)
        made._prepared = frozenset(filter(None, map(_prepare, (account.username, *account.may_act_as))))
        return made

    def __contains__(self, authzid: object) -> bool:
        return _prepare(str(authzid)) in self._prepared


def _prepare(name: str) -> str | None:
    try:
        return saslprep(name) or None
    except InvalidParameter:
        return None


class MailAuthority:
    """Another authority, whose accounts take authorization identities as mail protocols write them."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def lookup(self, question: Question) -> Account | None:
        """Return what the other authority knows of a user."""
        account = self._authority.lookup(question)
        return None if account is None else replace(account, may_act_as=_Identities.of(account))

    def __getattr__(self, name: str) -> object:
        return getattr(self._authority, name)
