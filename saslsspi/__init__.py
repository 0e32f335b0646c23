"""SASL mechanisms on a security-context engine with SSPI semantics.

The upper floor is here: Client and Server run one SASL exchange each, and their layer protects what follows. The
lower floor, SSPI's own functions, is `saslsspi.sspi`. Names are loaded on first use, so the import itself is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saslsspi.accounts import (
        Chain,
        FileAuthority,
        HtdigestAuthority,
        MemoryAuthority,
        MemoryNonceStore,
        derive_scram_keys,
        format_scram_keys,
        parse_scram_keys,
        user_hash,
    )
    from saslsspi.accounts.account import Account, Pending, Question, ScramKeys, Secret
    from saslsspi.accounts.authority import AccountLookup, Authority
    from saslsspi.accounts.nonces import NonceStore
    from saslsspi.channel_bindings import ChannelBindings
    from saslsspi.context import Context
    from saslsspi.credentials import Anonymous, Password
    from saslsspi.engine.environment import Environment
    from saslsspi.engine.exchange import Qop
    from saslsspi.engine.policy import (
        ChannelBindingPolicy,
        CredSspPolicy,
        NegotiatePolicy,
        NtlmPolicy,
        NtlmResponses,
        Policy,
        Property,
        Tolerances,
    )
    from saslsspi.engine.protection import Part
    from saslsspi.engine.security import Security
    from saslsspi.errors import SaslError
    from saslsspi.sasl.acceptance import Choice, choose, offer
    from saslsspi.sasl.client import Client
    from saslsspi.sasl.layer import Layer
    from saslsspi.sasl.mechanism import Mechanism
    from saslsspi.sasl.server import Server
    from saslsspi.status import SecurityStatus

__version__ = "0.1.0"

_HOMES = {
    "Account": "saslsspi.accounts.account",
    "AccountLookup": "saslsspi.accounts",
    "Anonymous": "saslsspi.credentials",
    "Authority": "saslsspi.accounts.authority",
    "Chain": "saslsspi.accounts",
    "ChannelBindingPolicy": "saslsspi.engine.policy",
    "ChannelBindings": "saslsspi.channel_bindings",
    "Choice": "saslsspi.sasl.acceptance",
    "Client": "saslsspi.sasl.client",
    "Context": "saslsspi.context",
    "CredSspPolicy": "saslsspi.engine.policy",
    "Environment": "saslsspi.engine.environment",
    "FileAuthority": "saslsspi.accounts",
    "HtdigestAuthority": "saslsspi.accounts",
    "Layer": "saslsspi.sasl.layer",
    "Mechanism": "saslsspi.sasl.mechanism",
    "MemoryAuthority": "saslsspi.accounts",
    "MemoryNonceStore": "saslsspi.accounts",
    "NegotiatePolicy": "saslsspi.engine.policy",
    "NonceStore": "saslsspi.accounts.nonces",
    "NtlmPolicy": "saslsspi.engine.policy",
    "NtlmResponses": "saslsspi.engine.policy",
    "Part": "saslsspi.engine.protection",
    "Password": "saslsspi.credentials",
    "Pending": "saslsspi.accounts.account",
    "Policy": "saslsspi.engine.policy",
    "Property": "saslsspi.engine.policy",
    "Qop": "saslsspi.engine.exchange",
    "Question": "saslsspi.accounts.account",
    "SaslError": "saslsspi.errors",
    "ScramKeys": "saslsspi.accounts.account",
    "Secret": "saslsspi.accounts.account",
    "Security": "saslsspi.engine.security",
    "SecurityStatus": "saslsspi.status",
    "Server": "saslsspi.sasl.server",
    "Tolerances": "saslsspi.engine.policy",
    "choose": "saslsspi.sasl.acceptance",
    "derive_scram_keys": "saslsspi.accounts",
    "format_scram_keys": "saslsspi.accounts",
    "offer": "saslsspi.sasl.acceptance",
    "parse_scram_keys": "saslsspi.accounts",
    "user_hash": "saslsspi.accounts",
}

__all__ = [
    "Account",
    "AccountLookup",
    "Anonymous",
    "Authority",
    "Chain",
    "ChannelBindingPolicy",
    "ChannelBindings",
    "Choice",
    "Client",
    "Context",
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
    "Part",
    "Password",
    "Pending",
    "Policy",
    "Property",
    "Qop",
    "Question",
    "SaslError",
    "ScramKeys",
    "Secret",
    "Security",
    "SecurityStatus",
    "Server",
    "Tolerances",
    "choose",
    "derive_scram_keys",
    "format_scram_keys",
    "offer",
    "parse_scram_keys",
    "user_hash",
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
