"""The credentials that CredSSP hands over, under pyspnego's names (MS-CSSP section 2.2.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from saslsspi.engine.identity import Delegated
from saslsspi.packages.credssp.credentials import (
    PasswordCredentials,
    RemoteGuardCredentials,
    SmartCardCredentials,
)

__all__ = ["TSPasswordCreds", "TSRemoteGuardCreds", "TSSmartCardCreds", "structure_of"]


@dataclass
class TSPasswordCreds:
    """A password."""

    domain_name: str
    username: str
    password: str = field(repr=False)


@dataclass
class TSSmartCardCreds:
    """A smart card's PIN, and where its key is."""

    pin: str = field(repr=False)
    key_spec: int
    card_name: str | None = None
    reader_name: str | None = None
    container_name: str | None = None
    csp_name: str | None = None
    user_hint: str | None = None
    domain_hint: str | None = None


@dataclass
class TSRemoteGuardCreds:
    """Credentials that stay on the client: pairs of a package's name and what it needs."""

    logon_cred: tuple[str, bytes] = field(repr=False)
    supplemental_creds: list[tuple[str, bytes]] = field(default_factory=list, repr=False)


def structure_of(handed: Delegated | None) -> TSPasswordCreds | TSSmartCardCreds | TSRemoteGuardCreds | None:
    """Return what was handed over as callers of pyspnego read it."""
    if isinstance(handed, PasswordCredentials):
        return TSPasswordCreds(handed.domain, handed.username, handed.password)
    if isinstance(handed, SmartCardCredentials):
        return TSSmartCardCreds(
            handed.pin, handed.key_spec, handed.card_name, handed.reader_name, handed.container_name,
            handed.csp_name, handed.user_hint, handed.domain_hint,
        )  # fmt: skip
    if isinstance(handed, RemoteGuardCredentials):
        return TSRemoteGuardCreds(
            (handed.logon.package, handed.logon.buffer), [(one.package, one.buffer) for one in handed.supplemental]
        )
    return None
