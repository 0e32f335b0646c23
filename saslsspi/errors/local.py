"""The fault of this side's surroundings: what is installed, reachable and permitted here, or a defect of ours.

The same program on another machine, or with another configuration, may succeed.
"""

from __future__ import annotations

from saslsspi.errors.base import LocalError
from saslsspi.status import SecurityStatus

__all__ = [
    "CryptoSystemInvalid",
    "DelegationPolicy",
    "EncryptFailure",
    "StrongCryptoNotSupported",
]


class DelegationPolicy(LocalError):
    """The delegation policy does not name this target."""

    status = SecurityStatus.SEC_E_DELEGATION_POLICY


class StrongCryptoNotSupported(LocalError):
    """This platform forbids a primitive that the protocol needs."""

    status = SecurityStatus.SEC_E_STRONG_CRYPTO_NOT_SUPPORTED


class CryptoSystemInvalid(LocalError):
    """A primitive is unavailable on this platform."""

    status = SecurityStatus.SEC_E_CRYPTO_SYSTEM_INVALID


class EncryptFailure(LocalError):
    """Data could not be encrypted."""

    status = SecurityStatus.SEC_E_ENCRYPT_FAILURE
