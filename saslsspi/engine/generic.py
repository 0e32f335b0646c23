"""The attributes that a context of any package has: what they are made of is the outcome and the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from saslsspi.engine.attributes import (
    SecPkgContext,
    SecPkgContextEstablished,
    SecPkgContextFlags,
    SecPkgContextKeyInfo,
    SecPkgContextLifespan,
    SecPkgContextNames,
    SecPkgContextPackageInfo,
    SecPkgContextSessionKey,
    SecPkgContextSizes,
    SecPkgContextStreamSizes,
    SecPkgContextTarget,
    SecPkgInfo,
)
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.protection import Records

__all__ = ["generic_attribute"]

Attribute = TypeVar("Attribute", bound=SecPkgContext)


def generic_attribute(kind: type[Attribute], info: SecPkgInfo, outcome: Outcome | None, flags: int) -> Attribute | None:
    """Return an attribute, None where the package itself would have to know it.

    Args:
        kind: Its class.
        info: Of the package.
        outcome: Of the exchange; None before it is complete, when only early attributes are asked for.
        flags: Of the context.
    """
    make = _GENERIC.get(kind)
    return None if make is None else cast("Attribute | None", make(info, outcome, flags))


def _sizes(info: SecPkgInfo, outcome: Outcome, flags: int) -> SecPkgContextSizes:
    protection = outcome.protection
    return SecPkgContextSizes(max_token=info.max_token) if protection is None else protection.sizes


def _stream_sizes(info: SecPkgInfo, outcome: Outcome, flags: int) -> SecPkgContextStreamSizes | None:
    return outcome.protection.stream_sizes() if isinstance(outcome.protection, Records) else None


def _key_info(info: SecPkgInfo, outcome: Outcome, flags: int) -> SecPkgContextKeyInfo:
    protection = outcome.protection
    if protection is None:
        return SecPkgContextKeyInfo()
    return SecPkgContextKeyInfo(protection.signature_algorithm, protection.encryption_algorithm, protection.key_bits)


def _session_key(info: SecPkgInfo, outcome: Outcome, flags: int) -> SecPkgContextSessionKey | None:
    key = outcome.protection.session_key if outcome.protection is not None else None
    return None if key is None else SecPkgContextSessionKey(key)


def _package_info(info: SecPkgInfo, outcome: Outcome, flags: int) -> SecPkgContextPackageInfo:
    return SecPkgContextPackageInfo(
        info.capabilities, info.version, info.rpcid, info.max_token, info.name, info.comment
    )


_GENERIC: Final[Mapping[type[SecPkgContext], Callable[..., SecPkgContext | None]]] = {
    SecPkgContextFlags: lambda info, outcome, flags: SecPkgContextFlags(flags),
    SecPkgContextKeyInfo: _key_info,
    SecPkgContextEstablished: lambda info, outcome, flags: outcome and SecPkgContextEstablished(outcome),
    SecPkgContextLifespan: lambda info, outcome, flags: SecPkgContextLifespan(),
    SecPkgContextNames: lambda info, outcome, flags: SecPkgContextNames(outcome.username),
    SecPkgContextPackageInfo: _package_info,
    SecPkgContextSessionKey: _session_key,
    SecPkgContextSizes: _sizes,
    SecPkgContextStreamSizes: _stream_sizes,
    SecPkgContextTarget: lambda info, outcome, flags: SecPkgContextTarget(outcome.target),
}
