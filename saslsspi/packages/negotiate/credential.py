"""Which packages Negotiate may choose, their object identifiers, and the credentials acquired for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.identity import AuthIdentity, PerPackageIdentity
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.registry import find_package
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, NoCredentials, SaslError
from saslsspi.packages.negotiate.away import AWAY, hasty, realm_of
from saslsspi.packages.negotiate.messages import mech_type_list

__all__ = ["KERBEROS", "MECHANISMS", "MS_KERBEROS", "NTLM", "Candidate", "NegotiateCredential", "acquire"]

KERBEROS: Final = "1.2.840.113554.1.2.2"
MS_KERBEROS: Final = "1.2.840.48018.1.2.2"
"""Kerberos with an arc cut to 16 bits, as Windows 2000 wrote it and every Windows since (MS-SPNG section 3.1.5.2)."""
NTLM: Final = "1.3.6.1.4.1.311.2.2.10"

MECHANISMS: Final = {"Kerberos": (KERBEROS, MS_KERBEROS), "NTLM": (NTLM,)}
"""The packages that can be chosen, the preferred first, each with its identifiers, the one to offer first first."""

# Windows documents "," between names; programs for sspilib write ":".
_SEPARATORS: Final = re.compile(r"[,:;\s]+")


class Candidate(NamedTuple):
    """A package that may be chosen, with the credential for it."""

    package: AnyPackage
    credential: Credential
    oids: tuple[str, ...]

    @property
    def name(self) -> str:
        """The package's name."""
        return self.package.info.name


@dataclass(slots=True, eq=False, repr=False)
class NegotiateCredential(Credential):
    """An acquired Negotiate credential. Its repr shows nothing.

    Attributes:
        username: Of the first candidate.
        candidates: In order of preference.
        refused: Why the others are not among them, by name.
        lists: Encoded lists of mechanisms, by the candidates in them.
    """

    username: str = ""
    candidates: tuple[Candidate, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    lists: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    def mech_list(self, oids: tuple[str, ...]) -> bytes:
        """Return an encoded MechTypeList."""
        made = self.lists.get(oids)
        if made is None:
            made = self.lists[oids] = mech_type_list(oids)
        return made


def _wanted(text: str) -> tuple[list[str], dict[str, str]]:
    """Read a package list; return the names that are in, in order, and the reason for each that is out."""
    known = {name.lower(): name for name in MECHANISMS}
    named: list[str] = []
    refused: dict[str, str] = {}
    for word in filter(None, _SEPARATORS.split(text.strip())):
        name = known.get(word.removeprefix("!").lower())
        if name is None:
            # pku2u, negoex and others that Windows has: leaving them out is what we do anyhow.
            refused[word.removeprefix("!")] = "Negotiate knows no such package"
        elif word.startswith("!"):
            refused[name] = "the package list excludes it"
        elif name not in named:
            named.append(name)
    if not named and any(not word.startswith("!") for word in filter(None, _SEPARATORS.split(text.strip()))):
        raise InvalidParameter(f"the package list names none of {', '.join(MECHANISMS)}")
    names = [name for name in named or MECHANISMS if name not in refused]
    refused.update({name: "the package list does not name it" for name in MECHANISMS if name not in {*names, *refused}})
    return names, refused


def acquire(
    principal: str | None,
    auth_data: AuthIdentity | None,
    sides: frozenset[Side],
    environment: Environment,
) -> NegotiateCredential:
    """Acquire a credential of every package that is wanted and can be had.

    Raises:
        NoCredentials: there is none; the text gives the reason for each.
        InvalidParameter: the package list names nothing that we know.
    """
    text = getattr(auth_data, "package_list", None) or environment.policy.negotiate.packages
    identities = _identities(auth_data)
    names, refused = _wanted(text or " ".join(identities or ()))
    candidates = []
    initiates = sides == {Side.INITIATE} and environment.policy.negotiate.fallback
    for name in names:
        if identities is not None and name not in identities:
            refused[name] = "there are no credentials for it"
            continue
        identity = auth_data if identities is None else identities[name]
        leaves_others = name == "Kerberos" and initiates and len(names) > 1
        realm = realm_of(identity)
        if leaves_others and (reason := AWAY.reason(realm, environment.clock())):
            refused[name] = reason
            continue
        try:
            package = find_package(name)
            credential = package.acquire(
                principal, identity, sides, hasty(environment) if leaves_others else environment
            )
        except SaslError as error:
            if leaves_others and isinstance(error, NoAuthenticatingAuthority):
                AWAY.note(realm, environment.clock(), error.text)
            # RFC 4178 section 3.1: no mechanism "for which the client lacks credentials" is offered.
            refused[name] = error.text
            continue
        candidates.append(Candidate(package, credential, MECHANISMS[name]))
    if not candidates:
        raise NoCredentials(f"no package is left to negotiate: {explain(refused)}")
    return NegotiateCredential(candidates[0].credential.username, tuple(candidates), refused)


def _identities(auth_data: AuthIdentity | None) -> dict[str, AuthIdentity | None] | None:
    """Return what each package authenticates with, by our spelling of its name; None: they all have the same."""
    if not isinstance(auth_data, PerPackageIdentity):
        return None
    known = {name.lower(): name for name in MECHANISMS}
    if unknown := [name for name in auth_data.identities if name.lower() not in known]:
        raise InvalidParameter(f"Negotiate knows no package {', '.join(unknown)}; it has {', '.join(MECHANISMS)}")
    return {known[name.lower()]: identity for name, identity in auth_data.identities.items()}


def explain(refused: dict[str, str]) -> str:
    """Return the reasons as one line."""
    return "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "nothing was tried"
