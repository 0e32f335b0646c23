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
    """The delegation policy does not name this target.

    What to do: If that server may have the password, name it in `CredSspPolicy.allow_fresh`; else log on without
    CredSSP.
    """

    status = SecurityStatus.SEC_E_DELEGATION_POLICY


class StrongCryptoNotSupported(LocalError):
    """This platform forbids a primitive that the protocol needs.

    What to do: Take another mechanism, such as SCRAM or Kerberos; or permit the primitive in this machine's FIPS
    setting.
    """

    status = SecurityStatus.SEC_E_STRONG_CRYPTO_NOT_SUPPORTED


class CryptoSystemInvalid(LocalError):
    """A primitive is unavailable on this platform.

    What to do: The text names the primitive. Install a build of cryptography or of OpenSSL that has it, or take
    another package.
    """

    status = SecurityStatus.SEC_E_CRYPTO_SYSTEM_INVALID


class EncryptFailure(LocalError):
    """Data could not be encrypted.

    What to do: It is a defect of this side: begin a new connection, and report it with the text.
    """

    status = SecurityStatus.SEC_E_ENCRYPT_FAILURE
