"""A context that moves to another process.

    octets     magic (8) ‖ HMAC-SHA256 under the caller's key (32) ‖ the record, JSON in UTF-8

The record holds the session key and all that the layer needs to go on: whoever reads it reads the context's messages,
so it is to be kept like a password. The MAC says only that it was written by who has the key. Package and credentials
are not in it: an imported context protects messages and answers questions, it does not authenticate anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias

from saslsspi.accounts.account import Account
from saslsspi.engine.attributes import SecPkgContext, SecPkgContextNames
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Attribute, Exchange, Outcome, Qop, Request, Side
from saslsspi.engine.flags import ExportFlags
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.protection import Protection
from saslsspi.engine.registry import PACKAGES, find_package
from saslsspi.errors import ContextMisuse, InvalidParameter, InvalidToken, MessageAltered, UnsupportedFunction

__all__ = ["ProtectionState", "ProtectionTraveller", "export_context", "import_context"]

ProtectionState: TypeAlias = Mapping[str, str | int | bool | None]
"""What a package needs to make a protection again; octets in hex."""

_MAGIC: Final = b"SSPICTX\x01"  # the last octet is the version
_MAC_SIZE: Final = 32
_LEAST_KEY: Final = 16
_LARGEST: Final = 1 << 20
_RESET: Final = int(ExportFlags.SECPKG_CONTEXT_EXPORT_RESET_NEW)
_DELETE: Final = int(ExportFlags.SECPKG_CONTEXT_EXPORT_DELETE_OLD)
_TEXTS: Final = ("username", "realm", "authzid", "cipher", "target", "channel_binding", "trace", "negotiated")
_NUMBERS: Final = ("flags", "ssf", "max_send", "max_receive")


class ProtectionTraveller(ABC):
    """What a package adds whose protections can move to another process."""

    @abstractmethod
    def export_protection(self, protection: Protection, *, reset: bool, last: bool) -> ProtectionState | None:
        """Return the state of a protection, or None for one that is not of this package.

        Args:
            protection: Goes on afterwards where it stood, unless this is the last of it.
            reset: Whether the new one begins anew, with its first numbers and the ciphers' first octets.
            last: Whether the exporting context ends.

        Raises:
            UnsupportedFunction: it is of this package, and this kind cannot travel.
        """

    @abstractmethod
    def import_protection(self, state: ProtectionState) -> Protection:
        """Make a protection again from its state."""


def export_context(context: SecurityContext, flags: int, key: bytes | None) -> bytes:
    """Return an established context as octets for another process (ExportSecurityContext).

    Args:
        context: What to export.
        flags: DELETE_OLD ends the context; RESET_NEW lets the imported one begin anew; TO_KERNEL has no meaning here.
        key: At least 16 octets; import wants the same. There is no export without one.

    Raises:
        InvalidParameter: there is no key, or it is too short.
        ContextMisuse: the context is not established.
        UnsupportedFunction: the package, or this context of it, cannot be exported.
    """
    if flags & ~(_RESET | _DELETE):
        raise UnsupportedFunction("there is no kernel mode to export a context to")
    outcome = context.outcome
    if outcome is None:
        raise ContextMisuse("only an established context can be exported")
    secret, delete = _checked(key), bool(flags & _DELETE)
    record: dict[str, object] = {name: getattr(outcome, name) for name in (*_TEXTS, *_NUMBERS)}
    record |= {
        "package": context.package.info.name,
        "side": context.side.value,
        "requested": context.requested,
        "qop": outcome.qop,
        "reauthenticated": outcome.reauthenticated,
        "tolerances": list(outcome.tolerances),
        "names": context.query(SecPkgContextNames).username,
        "account": _account_record(outcome.account),
        "protection": _protection_record(context, outcome.protection, reset=bool(flags & _RESET), last=delete),
    }
    body = json.dumps(record, separators=(",", ":")).encode()
    if delete:
        context.delete()
    return _MAGIC + _mac(secret, body) + body


def import_context(package: str | None, packed_context: bytes, key: bytes | None) -> SecurityContext:
    """Return a context that another process has exported (ImportSecurityContext).

    Args:
        package: Name of the package, which must be that of the context; None takes any.
        packed_context: What export_context returned.
        key: The one of the export.

    Raises:
        InvalidToken: it is no exported context, or one of another version or package.
        MessageAltered: it was changed, or exported under another key.
    """
    secret = _checked(key)
    head = len(_MAGIC) + _MAC_SIZE
    if not head < len(packed_context) <= _LARGEST or not packed_context.startswith(_MAGIC):
        raise InvalidToken("not an exported context of this version")
    body = packed_context[head:]
    if not hmac.compare_digest(_mac(secret, body), packed_context[len(_MAGIC) : head]):
        raise MessageAltered("the exported context was changed, or exported under another key")
    # Written by who has the key: what follows only has to notice another release's record.
    try:
        record = json.loads(body)
        found = find_package(record["package"])
        if package is not None and find_package(package) is not found:
            raise InvalidToken(f"the context is one of {found.info.name}, not of {package}")
        return _restored(found, record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidToken(f"the record is not one of this release ({type(error).__name__})") from error


def _checked(key: bytes | None) -> bytes:
    if key is None or len(key) < _LEAST_KEY:
        raise InvalidParameter(f"exported contexts need a key of at least {_LEAST_KEY} octets")
    return bytes(key)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _MAGIC + body, hashlib.sha256)


def _account_record(account: Account | None) -> dict[str, object] | None:
    """Return what is known of the client, without any secret."""
    if account is None:
        return None
    return {
        "username": account.username,
        "realm": account.realm,
        "domain": account.domain,
        "may_act_as": sorted(account.may_act_as),
        "groups": list(account.groups),
    }


def _protection_record(
    context: SecurityContext, protection: Protection | None, *, reset: bool, last: bool
) -> dict[str, object] | None:
    if protection is None:
        return None
    # Negotiate's protection is that of the package it chose, so the one that knows it is looked for.
    for plugin in PACKAGES.plugins():
        package = plugin.value
        if isinstance(package, ProtectionTraveller):
            state = package.export_protection(protection, reset=reset, last=last)
            if state is not None:
                return {"package": plugin.name, "state": dict(state)}
    raise UnsupportedFunction(f"a {context.package.info.name} context cannot be exported")


def _restored(package: AnyPackage, record: Mapping[str, object]) -> SecurityContext:
    fields = {name: _of(record[name], str) for name in _TEXTS} | {name: _of(record[name], int) for name in _NUMBERS}
    account, protection = record["account"], record["protection"]
    outcome = Outcome(
        **fields,  # type: ignore[arg-type]  # texts and numbers by their names
        qop=Qop(record["qop"]),  # type: ignore[arg-type]  # ValueError where it is none
        reauthenticated=bool(record["reauthenticated"]),
        tolerances=tuple(record["tolerances"]),  # type: ignore[arg-type]
        account=None if account is None else _account(account),  # type: ignore[arg-type]
        protection=None if protection is None else _protection(protection),  # type: ignore[arg-type]
    )
    exchange = _Imported(outcome, str(record["names"]))
    return SecurityContext.imported(package, Side(record["side"]), exchange, int(record["requested"]))  # type: ignore[call-overload]


def _of(value: object, kind: type) -> object:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _account(record: Mapping[str, object]) -> Account:
    fields = dict(record)
    may_act_as, groups = fields.pop("may_act_as"), fields.pop("groups")
    return Account(**fields, may_act_as=frozenset(may_act_as), groups=tuple(groups))  # type: ignore[arg-type, call-overload]


def _protection(record: Mapping[str, object]) -> Protection:
    package = find_package(str(record["package"]))
    if not isinstance(package, ProtectionTraveller):
        raise InvalidToken(f"{package.info.name} imports no context")
    return package.import_protection(record["state"])  # type: ignore[arg-type]


class _Imported(Exchange):
    """The exchange of an imported context: it is over, and its answers came with it."""

    __slots__ = ("_names", "outcome")

    def __init__(self, outcome: Outcome, names: str) -> None:
        self.outcome: Outcome | None = outcome
        self._names = names

    def step(self, token: bytes, request: Request) -> NoReturn:
        """Refuse."""
        raise UnsupportedFunction("an imported context is not authenticated anew")

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """See Exchange.attribute."""
        value: SecPkgContext | None = SecPkgContextNames(self._names) if kind is SecPkgContextNames else None
        return value  # type: ignore[return-value]  # of the kind that was asked for
