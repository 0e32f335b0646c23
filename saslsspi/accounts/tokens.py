"""Who may log on with a token of OAuth (RFC 7628): the contract of whoever verifies tokens, and one in memory.

A token that was verified counts as a secret of its account, Secret.TOKEN: the server compares it with the one that the
client sent. So an authority that knows nothing of tokens, and answers about a name, lets nobody in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import NamedTuple, Self

from saslsspi.accounts.account import Account, AccountLookup, Question, Secret
from saslsspi.accounts.authority import Authority, Delegating
from saslsspi.accounts.coming import Coming
from saslsspi.errors import NoAuthenticatingAuthority

__all__ = ["Discovery", "MemoryTokens", "TokenAuthority"]

Validated = Account | str | None
"""Whose token it is: an account, a name that stands for one; None: nobody's here."""


class TokenAuthority(Authority):
    """Verifies tokens of OAuth. A subclass has validate, which may be an `async def`.

    In a Chain it stands beside authorities that know passwords.

    Attributes:
        scope: What a token needs, which clients are told with a refusal; "" tells nothing.
        openid_configuration: URL of the document that says where tokens are had (OpenID Connect Discovery); told as
            well.
    """

    secrets = frozenset({Secret.TOKEN})
    scope: str = ""
    openid_configuration: str = ""

    @abstractmethod
    def validate(self, token: str) -> Validated | Awaitable[Validated]:
        """Return whose token it is; None where it is unknown, has expired, or is for others.

        An account's may_act_as says as whom its user may log on beside.

        Raises:
            NoAuthenticatingAuthority: it cannot be verified now.
        """

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return the account of a token, with it; see Authority.lookup."""
        if not question.token:
            return None
        found = self.validate(question.token)
        if not isinstance(found, Awaitable):
            return _account(found, question.token)

        async def finish(coming: Awaitable[Validated]) -> Account | None:
            return _account(await coming, question.token)

        return Coming(found, finish)


def _account(found: object, token: str) -> Account | None:
    if found is None:
        return None
    if isinstance(found, str):
        found = Account(username=found)
    if not isinstance(found, Account) or not found.username:
        raise NoAuthenticatingAuthority(f"validate returned {type(found).__name__}, no account, name or None")
    return replace(found, other={**found.other, Secret.TOKEN: token})


class MemoryTokens(TokenAuthority):
    """Knows the tokens it is given, for tests of one's own and for trying things out.

    Args:
        tokens: By token, whose it is. Take one out, and it has expired.
    """

    def __init__(self, tokens: Mapping[str, str | Account]) -> None:
        self._tokens = tokens

    def validate(self, token: str) -> Validated:
        """Return whose token it is; see TokenAuthority.validate."""
        return self._tokens.get(token)


class Discovery(NamedTuple):
    """What a server tells clients about tokens; see TokenAuthority."""

    scope: str = ""
    openid_configuration: str = ""

    @classmethod
    def of(cls, authority: AccountLookup | None) -> Self:
        """Return what an authority tells, or those below it."""
        while isinstance(authority, Delegating):
            authority = authority.authority
        if isinstance(authority, TokenAuthority):
            return cls(authority.scope, authority.openid_configuration)
        told = (cls.of(one) for one in getattr(authority, "members", ()))
        return next((one for one in told if any(one)), cls())
