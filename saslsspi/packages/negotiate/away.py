"""Realms whose KDCs did not answer lately: for a minute Negotiate goes past Kerberos, where another package is left.

A KDC that cannot be found costs a question to DNS at each logon, and seconds where DNS does not answer either. Who asks
for Kerberos alone always asks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity

__all__ = ["AWAY", "AwayRealms", "hasty", "realm_of", "realm_of_tickets"]

_SECONDS: Final = 60.0
_MOST: Final = 100


class AwayRealms:
    """What is remembered, by realm; "" is the default one of krb5.conf. Safe under threads."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, str]] = {}

    def reason(self, realm: str, now: float) -> str | None:
        """Return why a realm is not asked now, or None."""
        until, why = self._until.get(realm.lower(), (now, ""))
        return why if now < until <= now + _SECONDS else None

    def note(self, realm: str, now: float, why: str) -> None:
        """Remember that no KDC of a realm answered."""
        while len(self._until) >= _MOST:
            self._until.pop(next(iter(self._until), ""), None)
        self._until[realm.lower()] = now + _SECONDS, f"{why} (remembered for {_SECONDS:g} s)"

    def forget(self) -> None:
        """Ask every realm again."""
        self._until.clear()


AWAY: Final = AwayRealms()
"""Those of this process."""


def realm_of(identity: AuthIdentity | None) -> str:
    """Return the realm in which a ticket is asked for with an identity."""
    if not isinstance(identity, WinNTAuthIdentity):
        return ""
    if identity.domain:
        return identity.domain
    username = identity.username or ""
    domain, backslash, _ = username.partition("\\")
    _, at, realm = username.rpartition("@")
    return domain if backslash else realm if at else ""


def realm_of_tickets(credential: Credential) -> str:
    """Return the realm of a principal that has tickets."""
    return credential.username.rpartition("@")[2]


def hasty(environment: Environment) -> Environment:
    """Return an environment that waits no longer for a KDC than Negotiate does where another package is left."""
    policy = environment.policy
    seconds = min(policy.kdc_timeout, policy.negotiate.kdc_timeout)
    return environment.overridden(policy=replace(policy, kdc_timeout=seconds))
