"""Accounts in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from saslsspi.sspi.environment import Account, Question, Secret

__all__ = ["MemoryAuthority"]


class MemoryAuthority:
    """Knows the accounts it is given.

    Args:
        accounts: Passwords by user name, or Accounts. An Account with a realm serves that realm only, one without
            serves every realm.
    """

    def __init__(self, accounts: Mapping[str, str] | Iterable[Account]) -> None:
        if isinstance(accounts, Mapping):
            accounts = [Account(username=name, password=password) for name, password in accounts.items()]
        self._accounts: dict[tuple[str, str], Account] = {}
        for account in accounts:
            self._accounts[account.username, account.realm or account.domain] = account

    def lookup(self, question: Question) -> Account | None:
        """Return the account of a user in a realm, the one of that realm before the one of every realm."""
        for realm in (question.realm, ""):
            account = self._accounts.get((question.username, realm))
            if account is not None and _serves(account, question.secrets):
                return account
        return None


def _serves(account: Account, secrets: tuple[Secret, ...]) -> bool:
    held = {
        Secret.HA1: account.ha1,
        Secret.NT_HASH: account.nt_hash,
        Secret.SCRAM: account.scram or None,
        Secret.PASSWORD: account.password,
        Secret.EXISTENCE: account,
    }
    return any(held[secret] is not None for secret in secrets)
