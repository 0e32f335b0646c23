"""Accounts in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret, user_hash
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.decoys import Decoys
from saslsspi.accounts.fitting import fitting

__all__ = ["MemoryAuthority"]

_MAX_REALMS: Final = 64


class MemoryAuthority(Authority):
    """Knows the accounts it is given.

    Args:
        accounts: Passwords by user name, or Accounts. An Account with a realm serves that realm only, one without
            serves every realm; see saslsspi.accounts.fitting for domains. Of two with the same name, realm and domain
            the last one counts.
        salt_key: The secret behind the SCRAM salts of users without stored keys, at least 16 octets; servers behind
            one name share it. None makes one.
    """

    def __init__(self, accounts: Mapping[str, str] | Iterable[Account], *, salt_key: bytes | None = None) -> None:
        if salt_key is not None:
            self.decoy_key = salt_key
        if isinstance(accounts, Mapping):
            accounts = [Account(username=name, password=password) for name, password in accounts.items()]
        self._accounts = {(account.username, account.realm, account.domain): account for account in accounts}
        self._named: dict[str, list[Account]] = {}
        self._folded: dict[str, list[Account]] = {}
        self._hashes: dict[tuple[str, str], dict[str, list[Account]]] = {}
        for account in self._accounts.values():
            self._named.setdefault(account.username, []).append(account)
            self._folded.setdefault(account.username.casefold(), []).append(account)
        held = [account.secrets for account in self._accounts.values()]
        self.secrets = frozenset[Secret]().union(*held) if held else None

    @property
    def accounts(self) -> Iterable[Account]:
        """All that it knows."""
        return self._accounts.values()

    def _make_decoys(self, key: bytes) -> Decoys:
        return Decoys.of_accounts(key, self._accounts.values())

    def lookup(self, question: Question) -> Account | None:
        """Return the account that is meant; see Authority.lookup."""
        if question.hashed_with:
            return fitting(self._hashed(question), question)
        if question.any_case:
            return fitting(self._folded.get(question.username.casefold(), ()), question)
        return fitting(self._named.get(question.username, ()), question)

    def _hashed(self, question: Question) -> Iterable[Account]:
        """Return the accounts whose name has the hash; the names of a realm are hashed once."""
        known = self._hashes.get((question.hashed_with, question.realm))
        if known is None:
            known = {
                user_hash(user, question.realm, question.hashed_with): accounts
                for user, accounts in self._named.items()
                if any(account.realm in (question.realm, "") for account in accounts)
            }
            if len(self._hashes) >= _MAX_REALMS:
                self._hashes.clear()
            self._hashes[question.hashed_with, question.realm] = known
        return known.get(question.username, ())
