"""Accounts in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.scram import ScramDeriver

__all__ = ["MemoryAuthority"]


class MemoryAuthority:
    """Knows the accounts it is given.

    Args:
        accounts: Passwords by user name, or Accounts. An Account with a realm serves that realm only, one without
            serves every realm.
        salt_key: The secret behind the SCRAM salts of users without stored keys, at least 16 octets; servers behind
            one name share it. None makes one.
    """

    def __init__(self, accounts: Mapping[str, str] | Iterable[Account], *, salt_key: bytes | None = None) -> None:
        self._salt_key = salt_key
        if isinstance(accounts, Mapping):
            accounts = [Account(username=name, password=password) for name, password in accounts.items()]
        self._accounts: dict[tuple[str, str], Account] = {}
        self._folded: dict[tuple[str, str], Account] = {}
        self._hashes: dict[tuple[str, str], dict[str, Account]] = {}
        for account in accounts:
            user, realm = account.username, account.realm or account.domain
            self._accounts[user, realm] = account
            self._folded.setdefault((user.casefold(), realm.casefold()), account)

    @cached_property
    def scram_deriver(self) -> ScramDeriver:
        """What users without stored SCRAM keys are shown: the same as those with an account here."""
        return ScramDeriver.for_accounts(self._accounts.values(), self._salt_key or os.urandom(32))

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
                hashlib.new(question.hashed_with, f"{user}:{question.realm}".encode()).hexdigest(): account
                for (user, realm), account in self._accounts.items()
                if realm in (question.realm, "")
            }
            self._hashes[question.hashed_with, question.realm] = known
        account = known.get(question.username)
        return account if account is not None and _serves(account, question.secrets) else None


def _serves(account: Account, secrets: tuple[Secret, ...]) -> bool:
    return any(getattr(account, _FIELDS[secret]) not in (None, {}) for secret in secrets)


_FIELDS: Final = {
    Secret.HA1: "ha1",
    Secret.NT_HASH: "nt_hash",
    Secret.SCRAM: "scram",
    Secret.PASSWORD: "password",
    Secret.EXISTENCE: "username",
}
