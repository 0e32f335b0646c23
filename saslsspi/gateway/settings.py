r"""The configuration of a gateway: one TOML file of listeners, authorities, policy and limits.

[[authority]]
name = "directory"
servers = ["dc1.example.com", "dc2.example.com"]       # asked in this order; or domain = "example.com", by DNS
lookup_user = "EXAMPLE\\reader"
lookup_password_file = "/etc/saslsspi/reader"

[[listener]]
protocol = "ldap"
port = 3890
authority = "directory"
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from saslsspi.accounts.failures import Throttle
from saslsspi.engine.policy import NegotiatePolicy, Policy
from saslsspi.errors import InvalidParameter
from saslsspi.services.failures import FailureSettings, SharedSettings
from saslsspi.services.places import ListeningPlace, check_place
from saslsspi.services.settings import check_private
from saslsspi.services.tables import check_mode, listed, read_table, record

__all__ = ["AuthoritySettings", "GatewayLimits", "GatewayListener", "GatewaySettings", "Tls", "read_gateway"]

_KEY_SIZE: Final = 32
# What goes out in clear is sealed. NTLM is what a password alone is enough for; Kerberos wants its realm to be known.
_POLICY: Final = Policy(min_ssf=56, negotiate=NegotiatePolicy(packages="ntlm"))


class Tls(enum.Enum):
    """When TLS begins on a connection."""

    NONE = enum.auto()
    STARTTLS = enum.auto()
    IMMEDIATE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits(FailureSettings):
    """How much a gateway takes; see FailureSettings for the others.

    Attributes:
        connections: At once, in each worker.
        connect_seconds: How long one server may take to answer a connection, TLS included, before the next is tried.
        logon_seconds: How long a logon may take, and how long a client that is not logged on may be silent.
        idle_seconds: How long nothing may cross a connection; RFC 9051 section 5.4 wants half an hour at least.
        session_seconds: How long a connection may last.
    """

    connections: int = 1024
    connect_seconds: float = 10.0
    logon_seconds: float = 30.0
    idle_seconds: float = 2400.0
    session_seconds: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayListener(ListeningPlace):
    """Where a gateway listens, and what it speaks there; see ListeningPlace for the others.

    Attributes:
        protocol: One of the gateway's.
        authority: The name of an authority.
        certificate: A PEM file with the certificate chain; "" speaks no TLS.
        key: A PEM file with its key; "" looks in the same file.
        tls: When TLS begins, where there is a certificate.
        passwords_in_clear: Whether passwords are taken where they cross a network that nothing encrypts.
    """

    protocol: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    tls: Tls = Tls.IMMEDIATE
    passwords_in_clear: bool = False

    @property
    def begins(self) -> Tls:
        """When TLS begins."""
        return self.tls if self.certificate else Tls.NONE

    @property
    def takes_clear(self) -> bool:
        """Whether passwords are taken outside TLS."""
        return self.local or (self.exposed and self.passwords_in_clear)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySettings:
    """Who decides about passwords: the servers behind the gateway, and how they are logged on to.

    Attributes:
        name: What listeners call it.
        servers: Hosts, or HOST:PORT, asked in this order.
        domain: In the place of servers: a domain whose servers DNS names (SRV).
        tls: When TLS begins there; certificates are always verified.
        ca: A PEM file with the authorities to trust; "" trusts the system's.
        mechanisms: SASL mechanisms, the preferred first; empty takes what suits the protocol.
        anonymous: LDAP: whether who does not log on is passed on, without a logon and in clear unless there is TLS.
        lookup_user: LDAP: who looks up whose a DN is.
        lookup_password_file: A file whose first line is that user's password.
        accounts: Mail: places of accounts that verify the password, where what goes out is a token.
        token_command: Mail: a command that prints an access token of OAuth; {user} in it is the user's name.
    """

    name: str
    servers: tuple[str, ...] = ()
    domain: str = ""
    tls: Tls = Tls.NONE
    ca: str = ""
    mechanisms: tuple[str, ...] = ()
    anonymous: bool = False
    lookup_user: str = ""
    lookup_password_file: str = ""
    accounts: tuple[str, ...] = ()
    token_command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """A whole configuration.

    Attributes:
        policy: What the logons at the servers must satisfy. TLS that is strong enough makes up for a layer.
        workers: How many processes serve.
        user: Who they run as, by name; "" changes nothing.
        decoy_key: Behind the work that an unknown user costs, where accounts verify passwords. Nothing of it is shown.
    """

    listeners: tuple[GatewayListener, ...]
    authorities: tuple[AuthoritySettings, ...]
    policy: Policy = _POLICY
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    shared: SharedSettings = field(default_factory=SharedSettings)
    workers: int = 1
    user: str = ""
    decoy_key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_SIZE), repr=False)

    def throttle(self) -> Throttle:
        """Return what counts failed logons.

        Raises:
            SaslError: Redis is named, and cannot be used.
        """
        return self.shared.throttle(self.limits.failures())

    def authority_of(self, listener: GatewayListener) -> AuthoritySettings:
        """Return the authority behind a listener."""
        return next(authority for authority in self.authorities if authority.name == listener.authority)


def read_gateway(path: Path, protocols: Collection[str]) -> GatewaySettings:
    """Read and check a configuration.

    Args:
        path: The file.
        protocols: Those that a listener may speak.

    Raises:
        InvalidParameter: something in it cannot be; the text says where.
        NoAuthenticatingAuthority: it cannot be read, or others may read the secrets that it names.
    """
    table = read_table(path, ("authority", "policy", "limits", "shared", "listener", "workers", "user"))
    authorities = [
        record(AuthoritySettings(name=""), entry, f"[[authority]] number {number}")
        for number, entry in enumerate(listed(table.get("authority"), "[[authority]]"), 1)
    ]
    for number, authority in enumerate(authorities, 1):
        _check_authority(authority, f"[[authority]] number {number}", path)
    listeners = _listeners(table, authorities, protocols)
    made = GatewaySettings(
        listeners=listeners,
        authorities=tuple(authorities),
        policy=record(_POLICY, table.get("policy", {}), "[policy]"),
        limits=record(GatewayLimits(), table.get("limits", {}), "[limits]"),
        shared=record(SharedSettings(), table.get("shared", {}), "[shared]"),
    )
    made = record(made, {name: table[name] for name in ("workers", "user") if name in table}, str(path))
    if made.workers < 1:
        raise InvalidParameter("workers is at least 1")
    limits = made.limits
    limits.failures()  # raises where they cannot be
    if min(limits.connect_seconds, limits.logon_seconds, limits.idle_seconds, limits.session_seconds) <= 0:
        raise InvalidParameter("[limits] connect, logon, idle and session_seconds are more than 0")
    made.shared.check()
    return made


def _listeners(
    table: dict[str, Any], authorities: Sequence[AuthoritySettings], protocols: Collection[str]
) -> tuple[GatewayListener, ...]:
    names = [authority.name for authority in authorities]
    made = []
    for number, entry in enumerate(listed(table.get("listener"), "[[listener]]"), 1):
        where = f"[[listener]] number {number}"
        listener = record(GatewayListener(protocol=""), entry, where)
        if not listener.authority and len(names) == 1:
            listener = replace(listener, authority=names[0])
        if listener.protocol not in protocols:
            raise InvalidParameter(f"{where}: protocol is one of {', '.join(protocols)}, not {listener.protocol!r}")
        if listener.authority not in names:
            raise InvalidParameter(f"{where}: there is no authority {listener.authority!r}")
        check_place(listener, where)
        _check_exposure(listener, where)
        made.append(listener)
    return tuple(made)


def _check_exposure(listener: GatewayListener, where: str) -> None:
    if listener.key and not listener.certificate:
        raise InvalidParameter(f"{where} has a key without a certificate")
    if listener.local or listener.begins is not Tls.NONE or (listener.exposed and listener.passwords_in_clear):
        return
    raise InvalidParameter(
        f"{where}: {listener.address} is not loopback, and passwords would cross the network in clear: give a "
        "certificate; or exposed = true and passwords_in_clear = true, both, say that this is meant"
    )


def _check_authority(authority: AuthoritySettings, where: str, path: Path) -> None:
    if not authority.name:
        raise InvalidParameter(f"{where} needs a name")
    if bool(authority.servers) == bool(authority.domain):
        raise InvalidParameter(f"{where} needs either servers or domain")
    if bool(authority.lookup_user) != bool(authority.lookup_password_file):
        raise InvalidParameter(f"{where} needs both lookup_user and lookup_password_file")
    if authority.lookup_password_file:
        check_mode(authority.lookup_password_file)
    if authority.token_command and not authority.accounts:
        raise InvalidParameter(
            f"{where}: with token_command alone anybody would be everybody; accounts = [...] says whose passwords count"
        )
    if authority.accounts and not authority.token_command:
        raise InvalidParameter(f"{where}: accounts verify passwords where token_command gives tokens; there is none")
    for store in authority.accounts:
        check_private(store, path)
