"""SASL mechanisms on a security-context engine with SSPI semantics.

The upper floor is here: Client and Server run one SASL exchange each, and their layer protects what follows. The
lower floor, SSPI's own functions, is `saslsspi.sspi`. Names are loaded on first use, so the import itself is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the table below for type checkers, which run nothing; a test holds the two together
    from saslsspi.accounts import AccountLookup as AccountLookup
    from saslsspi.accounts import Chain as Chain
    from saslsspi.accounts import FileAuthority as FileAuthority
    from saslsspi.accounts import HtdigestAuthority as HtdigestAuthority
    from saslsspi.accounts import MemoryAuthority as MemoryAuthority
    from saslsspi.accounts import MemoryNonceStore as MemoryNonceStore
    from saslsspi.accounts import derive_scram_keys as derive_scram_keys
    from saslsspi.accounts import format_scram_keys as format_scram_keys
    from saslsspi.accounts import parse_scram_keys as parse_scram_keys
    from saslsspi.accounts import user_hash as user_hash
    from saslsspi.accounts.account import Account as Account
    from saslsspi.accounts.account import Pending as Pending
    from saslsspi.accounts.account import Question as Question
    from saslsspi.accounts.account import ScramKeys as ScramKeys
    from saslsspi.accounts.account import Secret as Secret
    from saslsspi.accounts.authority import Authority as Authority
    from saslsspi.accounts.nonces import NonceStore as NonceStore
    from saslsspi.channel_bindings import ChannelBindings as ChannelBindings
    from saslsspi.context import Context as Context
    from saslsspi.credentials import Anonymous as Anonymous
    from saslsspi.credentials import NtHash as NtHash
    from saslsspi.credentials import Password as Password
    from saslsspi.credentials import PerPackage as PerPackage
    from saslsspi.credentials import Tickets as Tickets
    from saslsspi.credentials import Token as Token
    from saslsspi.engine.environment import Environment as Environment
    from saslsspi.engine.exchange import Qop as Qop
    from saslsspi.engine.policy import ChannelBindingPolicy as ChannelBindingPolicy
    from saslsspi.engine.policy import CredSspCredentials as CredSspCredentials
    from saslsspi.engine.policy import CredSspPolicy as CredSspPolicy
    from saslsspi.engine.policy import NegotiatePolicy as NegotiatePolicy
    from saslsspi.engine.policy import NtlmPolicy as NtlmPolicy
    from saslsspi.engine.policy import NtlmResponses as NtlmResponses
    from saslsspi.engine.policy import NtlmTarget as NtlmTarget
    from saslsspi.engine.policy import Policy as Policy
    from saslsspi.engine.policy import Property as Property
    from saslsspi.engine.policy import PublicKeyLeg as PublicKeyLeg
    from saslsspi.engine.policy import Tolerances as Tolerances
    from saslsspi.engine.protection import Part as Part
    from saslsspi.engine.security import Security as Security
    from saslsspi.errors import BadBindings as BadBindings
    from saslsspi.errors import CallerError as CallerError
    from saslsspi.errors import DowngradeDetected as DowngradeDetected
    from saslsspi.errors import InvalidParameter as InvalidParameter
    from saslsspi.errors import InvalidToken as InvalidToken
    from saslsspi.errors import LocalError as LocalError
    from saslsspi.errors import LogonDenied as LogonDenied
    from saslsspi.errors import MessageAltered as MessageAltered
    from saslsspi.errors import MutualAuthFailed as MutualAuthFailed
    from saslsspi.errors import NoAuthenticatingAuthority as NoAuthenticatingAuthority
    from saslsspi.errors import PackageNotFound as PackageNotFound
    from saslsspi.errors import RemoteError as RemoteError
    from saslsspi.errors import SaslError as SaslError
    from saslsspi.errors import TemporarilyUnavailable as TemporarilyUnavailable
    from saslsspi.errors import TokenRefused as TokenRefused
    from saslsspi.prep import Preparation as Preparation
    from saslsspi.sasl.acceptance import Choice as Choice
    from saslsspi.sasl.acceptance import choose as choose
    from saslsspi.sasl.acceptance import offer as offer
    from saslsspi.sasl.client import Client as Client
    from saslsspi.sasl.layer import Layer as Layer
    from saslsspi.sasl.mechanism import Mechanism as Mechanism
    from saslsspi.sasl.server import Server as Server
    from saslsspi.status import SecurityStatus as SecurityStatus

__version__ = "0.1.0"

_HOMES: Final = {
    "Account": "saslsspi.accounts.account",
    "AccountLookup": "saslsspi.accounts",
    "Anonymous": "saslsspi.credentials",
    "Authority": "saslsspi.accounts.authority",
    "BadBindings": "saslsspi.errors",
    "CallerError": "saslsspi.errors",
    "Chain": "saslsspi.accounts",
    "ChannelBindingPolicy": "saslsspi.engine.policy",
    "ChannelBindings": "saslsspi.channel_bindings",
    "Choice": "saslsspi.sasl.acceptance",
    "Client": "saslsspi.sasl.client",
    "Context": "saslsspi.context",
    "CredSspCredentials": "saslsspi.engine.policy",
    "CredSspPolicy": "saslsspi.engine.policy",
    "DowngradeDetected": "saslsspi.errors",
    "Environment": "saslsspi.engine.environment",
    "FileAuthority": "saslsspi.accounts",
    "HtdigestAuthority": "saslsspi.accounts",
    "InvalidParameter": "saslsspi.errors",
    "InvalidToken": "saslsspi.errors",
    "Layer": "saslsspi.sasl.layer",
    "LocalError": "saslsspi.errors",
    "LogonDenied": "saslsspi.errors",
    "Mechanism": "saslsspi.sasl.mechanism",
    "MemoryAuthority": "saslsspi.accounts",
    "MemoryNonceStore": "saslsspi.accounts",
    "MessageAltered": "saslsspi.errors",
    "MutualAuthFailed": "saslsspi.errors",
    "NegotiatePolicy": "saslsspi.engine.policy",
    "NoAuthenticatingAuthority": "saslsspi.errors",
    "NonceStore": "saslsspi.accounts.nonces",
    "NtHash": "saslsspi.credentials",
    "NtlmPolicy": "saslsspi.engine.policy",
    "NtlmResponses": "saslsspi.engine.policy",
    "NtlmTarget": "saslsspi.engine.policy",
    "PackageNotFound": "saslsspi.errors",
    "Part": "saslsspi.engine.protection",
    "Password": "saslsspi.credentials",
    "PerPackage": "saslsspi.credentials",
    "Pending": "saslsspi.accounts.account",
    "Policy": "saslsspi.engine.policy",
    "Preparation": "saslsspi.prep",
    "Property": "saslsspi.engine.policy",
    "PublicKeyLeg": "saslsspi.engine.policy",
    "Qop": "saslsspi.engine.exchange",
    "Question": "saslsspi.accounts.account",
    "RemoteError": "saslsspi.errors",
    "SaslError": "saslsspi.errors",
    "ScramKeys": "saslsspi.accounts.account",
    "Secret": "saslsspi.accounts.account",
    "Security": "saslsspi.engine.security",
    "SecurityStatus": "saslsspi.status",
    "Server": "saslsspi.sasl.server",
    "TemporarilyUnavailable": "saslsspi.errors",
    "Tickets": "saslsspi.credentials",
    "Token": "saslsspi.credentials",
    "TokenRefused": "saslsspi.errors",
    "Tolerances": "saslsspi.engine.policy",
    "choose": "saslsspi.sasl.acceptance",
    "derive_scram_keys": "saslsspi.accounts",
    "format_scram_keys": "saslsspi.accounts",
    "offer": "saslsspi.sasl.acceptance",
    "parse_scram_keys": "saslsspi.accounts",
    "user_hash": "saslsspi.accounts",
}

__all__ = sorted(_HOMES)  # the table is the list


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
