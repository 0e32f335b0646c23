"""Accounts in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret, user_hash
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.decoys import Decoys

__all__ = ["MemoryAuthority"]

_MAX_REALMS: Final = 64


class MemoryAuthority(Authority):
    """Knows the accounts it is given.

    Args:
        accounts: Passwords by user name, or Accounts. An Account with a realm serves that realm only, one without
            serves every realm.
        salt_key: The secret behind the SCRAM salts of users without stored keys, at least 16 octets; servers behind
            one name share it. None makes one.
    """

    def __init__(self, accounts: Mapping[str, str] | Iterable[Account], *, salt_key: bytes | None = None) -> None:
        if salt_key is not None:
            self.decoy_key = salt_key
        if isinstance(accounts, Mapping):
            accounts = [Account(username=name, password=password) for name, password in accounts.items()]
        self._accounts: dict[tuple[str, str], Account] = {}
        self._folded: dict[tuple[str, str], Account] = {}
        self._hashes: dict[tuple[str, str], dict[str, Account]] = {}
        for account in accounts:
            user, realm = account.username, account.realm or account.domain
            self._accounts[user, realm] = account
            self._folded.setdefault((user.casefold(), realm.casefold()), account)
        held = [account.secrets for account in self._accounts.values()]
        self.secrets = frozenset[Secret]().union(*held) if held else None

    @property
    def accounts(self) -> Iterable[Account]:
        """All that it knows."""
        return self._accounts.values()

    def _make_decoys(self, key: bytes) -> Decoys:
        return Decoys.of_accounts(key, self._accounts.values())

    def lookup(self, question: Question) -> Account | None:
        """Return the account of a user in a realm, the one of that realm before the one of every realm."""
        if question.hashed_with:
            return self._hashed(question)
        for realm in (question.realm, ""):
            account = self._accounts.get((question.username, realm))
            if account is None and question.any_case:
                account = self._folded.get((question.username.casefold(), realm.casefold()))
            if account is not None and _serves(account, question.secrets):
                return account
        return None

    def _hashed(self, question: Question) -> Account | None:
        """Return the account whose name has the hash; the names of a realm are hashed once."""
        known = self._hashes.get((question.hashed_with, question.realm))
        if known is None:
            known = {
                user_hash(user, question.realm, question.hashed_with): account
                for (user, realm), account in self._accounts.items()
                if realm in (question.realm, "")
            }
            if len(self._hashes) >= _MAX_REALMS:
                self._hashes.clear()
            self._hashes[question.hashed_with, question.realm] = known
        account = known.get(question.username)
        return account if account is not None and _serves(account, question.secrets) else None


def _serves(account: Account, secrets: tuple[Secret, ...]) -> bool:
    for kind in secrets:  # noqa: SIM110  # any() enters a generator for each kind, in each logon
        if account.secret(kind) is not None:
            return True
    return False
