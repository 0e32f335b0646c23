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

import enum
import os
import socket
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from saslsspi.accounts.account import AccountLookup
from saslsspi.accounts.chain import Chain
from saslsspi.accounts.failures import FailureLimits, Throttle
from saslsspi.accounts.stores.places import authority_at, form_of
from saslsspi.engine.policy import Policy
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError

__all__ = ["ListenerSettings", "ServiceLimits", "ServiceSettings", "SharedSettings", "check_private", "read_settings"]

_Record = TypeVar("_Record")
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """How much a service takes.

    Attributes:
        connections: At once, in each worker.
        exchanges: At once on each connection.
        exchange_seconds: How long an exchange may take before it is given up.
        failure_delay: How long a refusal is held back, in seconds.
        failure_window: For how long a failed logon counts, in seconds.
        failures_by_account: How many in a window cost no more than that; each one beyond doubles the delay.
        failures_by_address: The same of one client's address.
        longest_delay: The longest delay, in seconds.
    """

    connections: int = 1024
    exchanges: int = 256
    exchange_seconds: float = 150.0
    failure_delay: float = 2.0
    failure_window: float = 900.0
    failures_by_account: int = 5
    failures_by_address: int = 20
    longest_delay: float = 30.0

    def failures(self) -> FailureLimits:
        """Return what failures cost."""
        return FailureLimits(
            window=self.failure_window,
            by_account=self.failures_by_account,
            by_address=self.failures_by_address,
            delay=self.failure_delay,
            longest=max(self.longest_delay, self.failure_delay),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """What the workers share, and services on other machines with them.

    Attributes:
        redis: The URL of a Redis that counts failed logons; "" counts in each worker.
        secret_file: A file with at least 16 octets, the same for all who share it.
    """

    redis: str = ""
    secret_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """Where a service listens, and what it speaks there.

    Attributes:
        protocol: One of the service's.
        path: A Unix socket; "" for a TCP port.
        mode: The socket's permissions, as "0660".
        owner: The socket's owner, by name; "" leaves it.
        group: The socket's group, by name; "" leaves it.
        address: Of a TCP port. One that is not loopback needs `exposed`.
        port: 0 with a path.
        exposed: Whether an address beyond loopback is meant: what crosses it is not encrypted.
        host: The names of the server that carries the exchanges, as clients know it; DIGEST-MD5 and NTLM clients name
            one of them. Empty takes this machine's.
        realm: The realm to offer.
        mechanisms: The mechanisms to offer; empty offers what the accounts can verify.
    """

    protocol: str
    path: str = ""
    mode: str = "0660"
    owner: str = ""
    group: str = ""
    address: str = "127.0.0.1"
    port: int = 0
    exposed: bool = False
    host: tuple[str, ...] = ()
    realm: str = ""
    mechanisms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the server."""
        return self.host or tuple(dict.fromkeys((socket.getfqdn(), socket.gethostname(), "localhost")))

    @property
    def shown(self) -> str:
        """Where it is, for a person."""
        return self.path or f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """A whole configuration.

    Attributes:
        stores: Where the accounts are, as `saslsspi accounts` names places.
        decoy_key: The secret behind what unknown users are shown, at least 16 octets (in the file in hex). Servers
            behind one name share it, and it stays over a restart; None makes one for the workers of this process.
        workers: How many processes serve.
        user: Who they run as, by name; "" changes nothing.
    """

    listeners: tuple[ListenerSettings, ...]
    stores: tuple[str, ...]
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
        if not self.shared.redis:
            return Throttle(limits=self.limits.failures())
        from saslsspi.accounts.shared.failures import RedisFailures
        from saslsspi.accounts.shared.redis import SharedRedis

        try:
            shared = SharedRedis.at(self.shared.redis, Path(self.shared.secret_file).read_bytes())
        except (OSError, ValueError) as error:
            raise NoAuthenticatingAuthority(f"[shared] cannot be used: {error}") from error
        return Throttle(RedisFailures(shared), self.limits.failures())

    def authority(self, decoy_key: bytes) -> AccountLookup:
        """Open the accounts.

        Args:
            decoy_key: What takes the place of decoy_key where there is none; the same for all workers, or they would
                show unknown users different salts, and known ones the same.

        Raises:
            SaslError: a store cannot be opened.
        """
        opened = [authority_at(store) for store in self.stores]
        opened[0].decoy_key = self.decoy_key or decoy_key
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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NoAuthenticatingAuthority(f"cannot read the configuration {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidParameter(f"{path} is not TOML: {error}") from None
    unknown = set(table) - {"accounts", "policy", "limits", "shared", "listener", "workers", "user"}
    if unknown:
        raise InvalidParameter(f"{path}: there is no {', '.join(sorted(unknown))}")
    listeners = tuple(
        _record(ListenerSettings(protocol=""), entry, f"[[listener]] number {number}")
        for number, entry in enumerate(_listed(table.get("listener"), "[[listener]]"), 1)
    )
    for number, listener in enumerate(listeners, 1):
        _check_listener(listener, protocols, f"[[listener]] number {number}")
    accounts = table.get("accounts", {})
    stores = accounts.get("stores")
    unknown = set(accounts) - {"stores", "decoy_key"}
    if unknown:
        raise InvalidParameter(f"[accounts] has no {', '.join(sorted(unknown))}; it has stores and decoy_key")
    if not isinstance(stores, list) or not stores or not all(isinstance(store, str) for store in stores):
        raise InvalidParameter("[accounts] needs stores, a list of places such as sqlite:///accounts.db")
    made = ServiceSettings(
        listeners=listeners,
        stores=tuple(stores),
        decoy_key=_value(None, accounts["decoy_key"], "[accounts] decoy_key") if "decoy_key" in accounts else None,  # type: ignore[arg-type]  # octets
        policy=_record(Policy(), table.get("policy", {}), "[policy]"),
        limits=_record(ServiceLimits(), table.get("limits", {}), "[limits]"),
        shared=_record(SharedSettings(), table.get("shared", {}), "[shared]"),
    )
    own = {name: table[name] for name in ("workers", "user") if name in table}
    made = _record(made, own, str(path))
    if made.workers < 1:
        raise InvalidParameter("workers is at least 1")
    made.limits.failures()  # raises where they cannot be
    if bool(made.shared.redis) != bool(made.shared.secret_file):
        raise InvalidParameter("[shared] needs both redis and secret_file")
    for store in made.stores:
        check_private(store, path)
    if made.shared.secret_file:
        _check_mode(made.shared.secret_file)
    return made


def check_private(store: str, configuration: Path) -> None:
    """Refuse secrets that others on this machine may read.

    Raises:
        NoAuthenticatingAuthority: others may read a file of accounts, or the configuration and a password is in it.
    """
    form, place = form_of(store)
    if form == "sql":
        if "@" not in place.partition("://")[2] or ":" not in place.partition("://")[2].partition("@")[0]:
            return
        place = str(configuration)  # the database's password stands in it
    _check_mode(place)


def _check_mode(place: str) -> None:
    if os.name == "posix" and Path(place).exists() and Path(place).stat().st_mode & _OTHERS:
        raise NoAuthenticatingAuthority(f"{place} holds secrets and others may read it: chmod o= {place}")


def _check_listener(listener: ListenerSettings, protocols: Sequence[str], where: str) -> None:
    if listener.protocol not in protocols:
        raise InvalidParameter(f"{where}: protocol is one of {', '.join(protocols)}, not {listener.protocol!r}")
    if bool(listener.path) == bool(listener.port):
        raise InvalidParameter(f"{where} needs either path (a Unix socket) or port")
    if listener.port and not listener.exposed and listener.address not in ("127.0.0.1", "::1"):
        raise InvalidParameter(
            f"{where}: {listener.address} is not loopback, and nothing is encrypted there; exposed = true means it"
        )
    try:
        int(listener.mode, 8)
    except ValueError:
        raise InvalidParameter(f'{where}: mode is octal, as "0660"') from None


def _listed(value: object, where: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise InvalidParameter(f"there is no {where}")
    return value


def _record(record: _Record, given: object, where: str) -> _Record:
    """Return a record with the fields that a table of TOML gives, and records inside it likewise."""
    if not isinstance(given, dict):
        raise InvalidParameter(f"{where} is a table")
    known = {each.name for each in fields(record)}  # type: ignore[arg-type]  # they are dataclasses
    for name, value in given.items():
        if name not in known:
            raise InvalidParameter(f"{where} has no {name!r}; it has {', '.join(sorted(known))}")
        old = getattr(record, name)
        made = _record(old, value, f"{where} {name}") if is_dataclass(old) else _value(old, value, f"{where} {name}")
        try:
            record = replace(record, **{name: made})  # type: ignore[type-var]  # as above
        except SaslError as error:
            raise InvalidParameter(f"{where} {name}: {error.text}") from None
    return record


def _value(old: object, value: object, where: str) -> object:
    """Return a value of TOML as the kind that a field has."""
    try:
        if isinstance(old, enum.Flag) and isinstance(value, list):
            made = type(old)(0)
            for name in value:
                made |= type(old)[str(name).upper().replace("-", "_")]
            return made
        if isinstance(old, enum.Enum) and isinstance(value, str):
            return type(old)[value.upper().replace("-", "_")]
        if isinstance(old, tuple):
            return (value,) if isinstance(value, str) else tuple(map(str, value if isinstance(value, list) else ()))
        if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if old is None and isinstance(value, str):
            return bytes.fromhex(value)
    except (KeyError, ValueError):
        known = f"; there are {', '.join(type(old).__members__)}" if isinstance(old, enum.Enum) else ""
        raise InvalidParameter(f"{where} cannot be {value!r}{known}") from None
    if type(value) is not type(old):
        raise InvalidParameter(f"{where} takes {type(old).__name__}, not {type(value).__name__}")
    return value
