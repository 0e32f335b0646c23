"""What Windows would know: the accounts of this machine, and who is logged on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from saslsspi.accounts.account import Account, AccountLookup
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity
from saslsspi.errors import InvalidParameter

__all__ = ["Identity", "configure", "identity_of", "own_identity", "surroundings"]

Identity = AuthIdentity | tuple[str | None, str | None, str | None]
"""What pywin32 calls auth_info: a user, a domain and a password; or an identity of saslsspi.sspi."""

_USER_FILE: Final = "NTLM_USER_FILE"
_BY_TICKETS: Final = "kerberos"


class _Machine:
    environment: Environment = DEFAULT_ENVIRONMENT
    identity: AuthIdentity | None = None


_MACHINE: Final = _Machine()


def configure(
    *,
    authority: AccountLookup | None = None,
    identity: Identity | None = None,
    environment: Environment | None = None,
) -> None:
    """Say what credentials are acquired with from here on, in this process; each call begins anew.

    Args:
        authority: Who knows the accounts that ServerAuth lets in.
        identity: As whom a client logs on that names nobody.
        environment: Policy, clock and more; its authority is the one above, where that is given.
    """
    _MACHINE.environment = (environment or DEFAULT_ENVIRONMENT).overridden(authority=authority)
    _MACHINE.identity = identity_of(identity)


def identity_of(identity: Identity | None) -> AuthIdentity | None:
    """Return auth_info as saslsspi.sspi takes it."""
    if identity is None or isinstance(identity, AuthIdentity):
        return identity
    if not isinstance(identity, tuple | list) or len(identity) != 3:
        raise InvalidParameter("auth_info is a user, a domain and a password")
    username, domain, password = identity
    return WinNTAuthIdentity(username, domain, password)


def own_identity(package: str) -> AuthIdentity | None:
    """Return who is logged on here; None leaves it to the package: Kerberos has the user's tickets."""
    if _MACHINE.identity is not None or package.lower() == _BY_TICKETS:
        return _MACHINE.identity
    for account in _accounts():
        return WinNTAuthIdentity(account.username, account.domain, account.password)
    return None


def surroundings(package: str) -> Environment:
    """Return what a credential of a package depends on; Kerberos asks nobody about accounts unless it is configured."""
    environment = _MACHINE.environment
    if environment.authority is None and package.lower() != _BY_TICKETS:
        accounts = _accounts()
        if accounts:
            # Whoever names no domain, or another, is looked up by the user alone, as on a machine outside of domains.
            alone = {
                account.username: Account(username=account.username, password=account.password) for account in accounts
            }
            return replace(environment, authority=MemoryAuthority([*accounts, *alone.values()]))
    return environment


def _accounts() -> list[Account]:
    """Read the file that NTLM_USER_FILE names, as gss-ntlmssp has it: DOMAIN:USER:PASSWORD, a line each."""
    path = os.environ.get(_USER_FILE)
    if not path:
        return []
    accounts = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        domain, colon, rest = line.partition(":")
        username, second, password = rest.partition(":")
        if not (colon and second and username):
            raise InvalidParameter(f"{_USER_FILE}: line {number} is not DOMAIN:USER:PASSWORD")
        accounts.append(Account(username=username, domain=domain, password=password))
    return accounts
