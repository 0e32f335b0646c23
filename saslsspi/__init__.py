"""SASL mechanisms on a security-context engine with SSPI semantics.

The upper floor is here: Client and Server run one SASL exchange each, and their layer protects what follows. The
lower floor, SSPI's own functions, is `saslsspi.sspi`. Names are loaded on first use, so the import itself is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saslsspi.accounts import FileAuthority, HtdigestAuthority, MemoryAuthority, MemoryNonceStore
    from saslsspi.channel_bindings import ChannelBindings
    from saslsspi.errors import SaslError
    from saslsspi.sasl.acceptance import Choice, choose, offer
    from saslsspi.sasl.credentials import Anonymous, Password
    from saslsspi.sasl.layer import Layer
    from saslsspi.sasl.mechanism import Mechanism
    from saslsspi.sasl.security import Security
    from saslsspi.sasl.session import Client, Pending, Server
    from saslsspi.sspi.environment import Account, Authority, Environment, NonceStore
    from saslsspi.sspi.policy import (
        ChannelBindingPolicy,
        CredSspPolicy,
        NegotiatePolicy,
        NtlmPolicy,
        NtlmResponses,
        Policy,
        Property,
        Tolerances,
    )
    from saslsspi.status import SecurityStatus

__version__ = "0.1.0"

_HOMES = {
    "Account": "saslsspi.sspi.environment",
    "Anonymous": "saslsspi.sasl.credentials",
    "Authority": "saslsspi.sspi.environment",
    "ChannelBindingPolicy": "saslsspi.sspi.policy",
    "ChannelBindings": "saslsspi.channel_bindings",
    "Choice": "saslsspi.sasl.acceptance",
    "Client": "saslsspi.sasl.session",
    "CredSspPolicy": "saslsspi.sspi.policy",
    "Environment": "saslsspi.sspi.environment",
    "FileAuthority": "saslsspi.accounts",
    "HtdigestAuthority": "saslsspi.accounts",
    "Layer": "saslsspi.sasl.layer",
    "Mechanism": "saslsspi.sasl.mechanism",
    "MemoryAuthority": "saslsspi.accounts",
    "MemoryNonceStore": "saslsspi.accounts",
    "NegotiatePolicy": "saslsspi.sspi.policy",
    "NonceStore": "saslsspi.sspi.environment",
    "NtlmPolicy": "saslsspi.sspi.policy",
    "NtlmResponses": "saslsspi.sspi.policy",
    "Password": "saslsspi.sasl.credentials",
    "Pending": "saslsspi.sasl.session",
    "Policy": "saslsspi.sspi.policy",
    "Property": "saslsspi.sspi.policy",
    "SaslError": "saslsspi.errors",
    "Security": "saslsspi.sasl.security",
    "SecurityStatus": "saslsspi.status",
    "Server": "saslsspi.sasl.session",
    "Tolerances": "saslsspi.sspi.policy",
    "choose": "saslsspi.sasl.acceptance",
    "offer": "saslsspi.sasl.acceptance",
}

__all__ = [
    "Account",
    "Anonymous",
    "Authority",
    "ChannelBindingPolicy",
    "ChannelBindings",
    "Choice",
    "Client",
    "CredSspPolicy",
    "Environment",
    "FileAuthority",
    "HtdigestAuthority",
    "Layer",
    "Mechanism",
    "MemoryAuthority",
    "MemoryNonceStore",
    "NegotiatePolicy",
    "NonceStore",
    "NtlmPolicy",
    "NtlmResponses",
    "Password",
    "Pending",
    "Policy",
    "Property",
    "SaslError",
    "Security",
    "SecurityStatus",
    "Server",
    "Tolerances",
    "choose",
    "offer",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
