"""The errors of this library: one class a status, one base.

Every error raised on purpose is a SaslError. It says what is wrong in its text, which SECURITY_STATUS Windows
would have returned, and carries the token that is still due to the peer, if any.
"""

from __future__ import annotations

from typing import ClassVar

from saslsspi.status import NTSTATUS, SecurityStatus

__all__ = [
    "AlgorithmMismatch",
    "ApplicationProtocolMismatch",
    "BadBindings",
    "BufferTooSmall",
    "CertificateExpired",
    "CertificateUnknown",
    "CertificateWrongUsage",
    "ContextExpired",
    "ContextMisuse",
    "CryptoSystemInvalid",
    "DecryptFailure",
    "DelegationPolicy",
    "DowngradeDetected",
    "EncryptFailure",
    "IllegalMessage",
    "IncompleteCredentials",
    "IncompleteMessage",
    "InsufficientMemory",
    "InternalError",
    "InvalidParameter",
    "InvalidToken",
    "LogonDenied",
    "LogonFailure",
    "MessageAltered",
    "MutualAuthFailed",
    "NoAuthenticatingAuthority",
    "NoContext",
    "NoCredentials",
    "NoImpersonation",
    "OutOfSequence",
    "PackageNotFound",
    "PolicyNtlmOnly",
    "QopNotSupported",
    "SaslError",
    "SecurityQosFailed",
    "StrongCryptoNotSupported",
    "TargetUnknown",
    "TimeSkew",
    "UnknownCredentials",
    "UnsupportedFunction",
    "UntrustedRoot",
    "WrongPrincipal",
    "signed_status",
]


def signed_status(status: int) -> int:
    """Return a status as the signed 32-bit number that Windows' own exceptions carry."""
    return status - (1 << 32) if status >= 1 << 31 else status


class SaslError(OSError):
    """Base of every error this library raises on purpose; `saslsspi.sspi.WindowsError` off Windows.

    Attributes:
        status: The SECURITY_STATUS of the failure (an NTSTATUS where SSPI's pages say so), unsigned.
        winerror: The same number, signed 32-bit.
        token: What still goes to the peer, or None.
        alert: The TLS alert that the failure generated, whether or not it goes to the peer, or None.
        ntstatus: The NTSTATUS that the peer gave as its reason, or None.
        requirement: The id of the violated requirement in the conformance catalogue, or None.
    """

    status: ClassVar[SecurityStatus | NTSTATUS] = SecurityStatus.SEC_E_INTERNAL_ERROR
    alert: bytes | None = None
    ntstatus: int | None = None

    def __init__(self, text: str = "", *, token: bytes | None = None, requirement: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.token = token
        self.requirement = requirement

    @property
    def winerror(self) -> int:
        """The status as a signed 32-bit number."""
        return signed_status(self.status)

    def __str__(self) -> str:
        name = f"{self.status.name} (0x{self.status:08X})"
        return f"{name}: {self.text}" if self.text else name


class InvalidToken(SaslError):
    """The peer's token is malformed, truncated, too long, or not the one now due."""

    status = SecurityStatus.SEC_E_INVALID_TOKEN


class IllegalMessage(SaslError):
    """The peer's TLS message is unexpected or badly formed."""

    status = SecurityStatus.SEC_E_ILLEGAL_MESSAGE


class IncompleteMessage(SaslError):
    """More octets of this message are needed; nothing was consumed.

    Attributes:
        missing: How many octets are missing at least, or 0 when that is unknown.
    """

    status = SecurityStatus.SEC_E_INCOMPLETE_MESSAGE

    def __init__(self, text: str = "", *, missing: int = 0) -> None:
        super().__init__(text)
        self.missing = missing


class MessageAltered(SaslError):
    """A signature, padding or message type does not verify."""

    status = SecurityStatus.SEC_E_MESSAGE_ALTERED


class OutOfSequence(SaslError):
    """A protected message, or a nonce count, is not the next one."""

    status = SecurityStatus.SEC_E_OUT_OF_SEQUENCE


class LogonDenied(SaslError):
    """The peer did not prove that it knows the secret, or the account may not log on."""

    status = SecurityStatus.SEC_E_LOGON_DENIED


class NoCredentials(SaslError):
    """There are no credentials for this use of the handle."""

    status = SecurityStatus.SEC_E_NO_CREDENTIALS


class UnknownCredentials(SaslError):
    """The package does not understand these credentials."""

    status = SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS


class IncompleteCredentials(SaslError):
    """The credentials lack a part that this exchange needs."""

    status = SecurityStatus.SEC_E_INCOMPLETE_CREDENTIALS


class NoAuthenticatingAuthority(SaslError):
    """No authority could be asked about the account."""

    status = SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY


class NoImpersonation(SaslError):
    """The context carries no identity that may be impersonated, or the authorization identity is refused."""

    status = SecurityStatus.SEC_E_NO_IMPERSONATION


class ContextMisuse(SaslError):
    """Our caller used a handle that is empty, deleted, foreign, or not in the state for this call."""

    status = SecurityStatus.SEC_E_INVALID_HANDLE


class NoContext(SaslError):
    """There is no context to work on."""

    status = SecurityStatus.SEC_E_NO_CONTEXT


class InvalidParameter(SaslError):
    """Our caller passed an argument that is outside its range."""

    status = SecurityStatus.SEC_E_INVALID_PARAMETER


class UnsupportedFunction(SaslError):
    """The package does not offer this function, flag or attribute."""

    status = SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


class PackageNotFound(SaslError):
    """No such security package, or no such SASL mechanism, is installed."""

    status = SecurityStatus.SEC_E_SECPKG_NOT_FOUND


class QopNotSupported(SaslError):
    """The quality of protection that is asked for was not offered or not negotiated."""

    status = SecurityStatus.SEC_E_QOP_NOT_SUPPORTED


class SecurityQosFailed(SaslError):
    """A requirement flag is invalid for the package, or what it asks for was not reached."""

    status = SecurityStatus.SEC_E_SECURITY_QOS_FAILED


class AlgorithmMismatch(SaslError):
    """The two sides have no permitted algorithm in common."""

    status = SecurityStatus.SEC_E_ALGORITHM_MISMATCH


class DowngradeDetected(SaslError):
    """Less was negotiated than the policy demands or than the peer first offered."""

    status = SecurityStatus.SEC_E_DOWNGRADE_DETECTED


class BadBindings(SaslError):
    """The channel bindings are missing or belong to another channel."""

    status = SecurityStatus.SEC_E_BAD_BINDINGS


class TargetUnknown(SaslError):
    """The target name is missing, or not one that can be asked for."""

    status = SecurityStatus.SEC_E_TARGET_UNKNOWN


class WrongPrincipal(SaslError):
    """The peer meant another service or host, or is not the one we meant."""

    status = SecurityStatus.SEC_E_WRONG_PRINCIPAL


class MutualAuthFailed(SaslError):
    """The server did not prove who it is."""

    status = SecurityStatus.SEC_E_MUTUAL_AUTH_FAILED


class TimeSkew(SaslError):
    """The clocks of the two sides differ too much."""

    status = SecurityStatus.SEC_E_TIME_SKEW


class ContextExpired(SaslError):
    """The context or its stream has ended."""

    status = SecurityStatus.SEC_E_CONTEXT_EXPIRED


class DelegationPolicy(SaslError):
    """The delegation policy does not name this target."""

    status = SecurityStatus.SEC_E_DELEGATION_POLICY


class PolicyNtlmOnly(SaslError):
    """The delegation policy names this target only for servers that prove who they are, and this one did not."""

    status = SecurityStatus.SEC_E_POLICY_NLTM_ONLY


class UntrustedRoot(SaslError):
    """The peer's certificate does not lead to an authority that is trusted here, or ours to one of the peer's."""

    status = SecurityStatus.SEC_E_UNTRUSTED_ROOT


class CertificateUnknown(SaslError):
    """The peer's certificate, or ours in the peer's eyes, is not acceptable."""

    status = SecurityStatus.SEC_E_CERT_UNKNOWN


class CertificateExpired(SaslError):
    """The certificate is not valid at this time."""

    status = SecurityStatus.SEC_E_CERT_EXPIRED


class CertificateWrongUsage(SaslError):
    """The certificate is not for this purpose."""

    status = SecurityStatus.SEC_E_CERT_WRONG_USAGE


class ApplicationProtocolMismatch(SaslError):
    """The two sides have no application protocol in common."""

    status = SecurityStatus.SEC_E_APPLICATION_PROTOCOL_MISMATCH


class BufferTooSmall(SaslError):
    """A buffer of our caller is too small; nothing was written and nothing is lost."""

    status = SecurityStatus.SEC_E_BUFFER_TOO_SMALL


class InsufficientMemory(SaslError):
    """A buffer for output is missing or a bounded store is full."""

    status = SecurityStatus.SEC_E_INSUFFICIENT_MEMORY


class StrongCryptoNotSupported(SaslError):
    """This platform forbids a primitive that the protocol needs."""

    status = SecurityStatus.SEC_E_STRONG_CRYPTO_NOT_SUPPORTED


class CryptoSystemInvalid(SaslError):
    """A primitive is unavailable on this platform."""

    status = SecurityStatus.SEC_E_CRYPTO_SYSTEM_INVALID


class EncryptFailure(SaslError):
    """Data could not be encrypted."""

    status = SecurityStatus.SEC_E_ENCRYPT_FAILURE


class DecryptFailure(SaslError):
    """Data could not be decrypted."""

    status = SecurityStatus.SEC_E_DECRYPT_FAILURE


class InternalError(SaslError):
    """A component under this library, or a plugin, failed without a status of its own."""

    status = SecurityStatus.SEC_E_INTERNAL_ERROR


class LogonFailure(SaslError):
    """The context is already established and takes no further token (Digest)."""

    status = NTSTATUS.STATUS_LOGON_FAILURE
