"""A service's configuration: one TOML file of listeners, accounts, policy and limits, checked before anything starts.

[accounts]
stores = ["postgresql+psycopg://mail@/mail", "toml:extra"]     # asked in this order

[policy]
min_iterations = 4096
ntlm.min_key_bits = 128

[limits]
failure_delay = 2.0

[[listener]]
protocol = "dovecot"
path = "/run/saslsspi/auth"
group = "postfix"
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saslsspi.accounts.account import AccountLookup
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.chain import Chain
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.accounts.stores.places import authority_at, form_of
from saslsspi.engine.policy import Policy
from saslsspi.errors import InvalidParameter
from saslsspi.services.failures import FailureSettings, SharedSettings
from saslsspi.services.places import ListeningPlace, check_place
from saslsspi.services.tables import check_mode, holds_password, listed, read_table, record, value_like
from saslsspi.services.verifiers import VerifierSettings

__all__ = ["ListenerSettings", "ServiceLimits", "ServiceSettings", "check_private", "open_stores", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits(FailureSettings):
    """How much a service takes; see FailureSettings for the others.

    Attributes:
        connections: At once, in each worker.
        exchanges: At once on each connection.
        exchange_seconds: How long an exchange may take before it is given up.
    """

    connections: int = 1024
    exchanges: int = 256
    exchange_seconds: float = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings(ListeningPlace):
    """Where a service listens, and what it speaks there; see ListeningPlace for the others.

    Attributes:
        protocol: One of the service's.
        host: The names of the server that carries the exchanges, as clients know it; DIGEST-MD5 and NTLM clients name
            one of them. Empty takes this machine's.
        realm: The realm to offer.
        mechanisms: The mechanisms to offer; empty offers what the accounts can verify.
    """

    protocol: str
    host: tuple[str, ...] = ()
    realm: str = ""
    mechanisms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the server."""
        return self.host or tuple(dict.fromkeys((socket.getfqdn(), socket.gethostname(), "localhost")))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """A whole configuration.

    Attributes:
        stores: Where the accounts are, as `saslsspi accounts` names places.
        verifiers: Who verifies passwords beside them.
        decoy_key: The secret behind what unknown users are shown, at least 16 octets (in the file in hex). Servers
            behind one name share it, and it stays over a restart; None makes one for the workers of this process.
        workers: How many processes serve.
        user: Who they run as, by name; "" changes nothing.
    """

    listeners: tuple[ListenerSettings, ...]
    stores: tuple[str, ...]
    verifiers: tuple[VerifierSettings, ...] = ()
    decoy_key: bytes | None = field(default=None, repr=False)
    policy: Policy = field(default_factory=Policy)
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    shared: SharedSettings = field(default_factory=SharedSettings)
    workers: int = 1
    user: str = ""

    def throttle(self) -> Throttle:
        """Return what counts failed logons.

        Raises:
            SaslError: Redis is named, and cannot be used.
        """
        return self.shared.throttle(self.limits.failures())

    def nonces(self) -> NonceStore | None:
        """Return what remembers logons of Digest that may be taken up again, at any worker; None without Redis.

        Raises:
            SaslError: Redis is named, and cannot be used.
        """
        return self.shared.nonces(self.policy.nonce_lifetime)

    def authority(self, decoy_key: bytes) -> AccountLookup:
        """Open the accounts.

        Args:
            decoy_key: What takes the place of decoy_key where there is none; the same for all workers, or they would
                show unknown users different salts, and known ones the same.

        Raises:
            SaslError: a store cannot be opened.
        """
        return open_stores(self.stores, self.decoy_key or decoy_key, self.verifiers)


def open_stores(
    stores: Sequence[str], decoy_key: bytes, verifiers: Sequence[VerifierSettings] = ()
) -> AccountLookup:  # fmt: skip
    """Open accounts, and ask them in this order, and behind them who verifies passwords.

    Raises:
        SaslError: a store cannot be opened.
    """
    opened: list[Authority] = [authority_at(store) for store in stores]
    opened += [each.verifier() for each in verifiers]
    opened[0].decoy_key = decoy_key
    return opened[0] if len(opened) == 1 else Chain(*opened)


def read_settings(path: Path, protocols: Sequence[str]) -> ServiceSettings:
    """Read and check a configuration.

    Args:
        path: The file.
        protocols: Those that a listener may speak.

    Raises:
        InvalidParameter: something in it cannot be; the text says where.
        NoAuthenticatingAuthority: it cannot be read, or others may read the secrets in it.
    """
    table = read_table(path, ("accounts", "policy", "limits", "shared", "listener", "verifier", "workers", "user"))
    listeners = tuple(
        record(ListenerSettings(protocol=""), entry, f"[[listener]] number {number}")
        for number, entry in enumerate(listed(table.get("listener"), "[[listener]]"), 1)
    )
    for number, listener in enumerate(listeners, 1):
        _check_listener(listener, protocols, f"[[listener]] number {number}")
    verifiers = tuple(
        record(VerifierSettings(), entry, f"[[verifier]] number {number}")
        for number, entry in enumerate(listed(table["verifier"], "[[verifier]]") if "verifier" in table else (), 1)
    )
    accounts = table.get("accounts", {})
    if not isinstance(accounts, dict):
        raise InvalidParameter("[accounts] is a table")
    stores = accounts.get("stores", [] if verifiers else None)
    unknown = set(accounts) - {"stores", "decoy_key"}
    if unknown:
        raise InvalidParameter(f"[accounts] has no {', '.join(sorted(unknown))}; it has stores and decoy_key")
    if not isinstance(stores, list) or not all(isinstance(store, str) for store in stores) or not (stores or verifiers):
        raise InvalidParameter(
            "[accounts] needs stores, a list of places such as sqlite:///accounts.db; else a [[verifier]] is needed"
        )
    made = ServiceSettings(
        listeners=listeners,
        stores=tuple(stores),
        verifiers=verifiers,
        decoy_key=value_like(None, accounts["decoy_key"], "[accounts] decoy_key") if "decoy_key" in accounts else None,  # type: ignore[arg-type]  # octets
        policy=record(Policy(), table.get("policy", {}), "[policy]"),
        limits=record(ServiceLimits(), table.get("limits", {}), "[limits]"),
        shared=record(SharedSettings(), table.get("shared", {}), "[shared]"),
    )
    own = {name: table[name] for name in ("workers", "user") if name in table}
    made = record(made, own, str(path))
    if made.workers < 1:
        raise InvalidParameter("workers is at least 1")
    made.limits.failures()  # raises where they cannot be
    made.shared.check()
    if made.decoy_key is not None or holds_password(made.shared.redis):
        check_mode(str(path))
    for store in made.stores:
        check_private(store, path)
    return made


def check_private(store: str, configuration: Path) -> None:
    """Refuse secrets that others on this machine may read.

    Raises:
        NoAuthenticatingAuthority: others may read a file of accounts, or the configuration and a password is in it.
    """
    form, place = form_of(store)
    if form != "sql":
        check_mode(place)
        return
    scheme, _, rest = os.path.expandvars(place).partition("://")
    if scheme.partition("+")[0] == "sqlite":
        # /PATH behind the empty host, as SQLAlchemy has it; there is nothing of it in a database in memory.
        file = rest.partition("?")[0].removeprefix("/")
        if Path(file).is_file():
            check_mode(file)
    if holds_password(place):
        check_mode(str(configuration))


def _check_listener(listener: ListenerSettings, protocols: Sequence[str], where: str) -> None:
    if listener.protocol not in protocols:
        raise InvalidParameter(f"{where}: protocol is one of {', '.join(protocols)}, not {listener.protocol!r}")
    check_place(listener, where)
    if not listener.exposed and not listener.local:
        raise InvalidParameter(
            f"{where}: {listener.address} is not loopback, and nothing is encrypted there; exposed = true means it"
        )
