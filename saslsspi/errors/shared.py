"""Statuses that two branches share: each class is raised in its usual branch, and has a subclass in another.

`raise QopNotSupported(...)` is one of RemoteError as well, because the peer did not offer it, just as
`raise OSError(errno.ENOENT)` is a FileNotFoundError. NotProtected is one of CallerError; `except QopNotSupported` takes
both.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from saslsspi.errors.base import CallerError, LocalError, RemoteError, SaslError
from saslsspi.status import NTSTATUS, SecurityStatus

__all__ = [
    "AlgorithmMismatch",
    "BufferMissing",
    "ContextExpired",
    "ContextUsedUp",
    "InsufficientMemory",
    "InternalError",
    "InvalidToken",
    "LogonFailure",
    "NoAuthenticatingAuthority",
    "NoBuffers",
    "NoImpersonation",
    "NoOutputBuffer",
    "NotImpersonating",
    "NotProtected",
    "NothingEnabled",
    "PackageNotFound",
    "PeerUnsupported",
    "QopNotSupported",
    "SecurityNotAgreed",
    "SecurityQosFailed",
    "ServerUnnamed",
    "TemporarilyUnavailable",
    "UnknownCredentials",
    "UnsupportedFunction",
    "told_by_peer",
]


class _Shared(SaslError):
    _branch: ClassVar[type[SaslError] | None] = None
    _made: ClassVar[type[SaslError] | None] = None
    _told: ClassVar[type[SaslError]]

    def __init_subclass__(cls, *, usual: type[SaslError] | None = None) -> None:
        super().__init_subclass__()
        cls._branch = usual or cls._branch
        placed = issubclass(cls, CallerError | LocalError | RemoteError)
        cls._made = None if placed or cls._branch is None else _placed(cls, cls._branch)
        cls._told = cls if placed or cls._made is None else cls._made
        if not placed and cls._branch not in (None, RemoteError):
            cls._told = _placed(cls, RemoteError)

    def __new__(cls, text: str = "", **others: Any) -> Self:
        """Return an error of the class in the branch that is usual for it."""
        kind: Any = cls._made or cls
        made: Self = super().__new__(kind, text)
        return made


def _placed(kind: type[SaslError], branch: type[SaslError]) -> type[SaslError]:
    def reduced(self: SaslError) -> tuple[Any, ...]:  # pickle finds a class by its name, which is that of kind
        return (kind, (self.text,), vars(self))

    names = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": reduced}
    return type(kind.__name__, (kind, branch), names)


def told_by_peer(kind: type[SaslError]) -> type[SaslError]:
    """Return the class to raise where it is the peer that names this status: one of kind and of RemoteError.

    A class of another branch alone cannot be both, and RemoteError itself is returned for it.
    """
    if issubclass(kind, _Shared):
        kind = kind._told
    return kind if issubclass(kind, RemoteError) else RemoteError


class AlgorithmMismatch(_Shared, usual=RemoteError):
    """The two sides have no permitted algorithm in common."""

    status = SecurityStatus.SEC_E_ALGORITHM_MISMATCH


class ContextExpired(_Shared, usual=RemoteError):
    """The context or its stream has ended."""

    status = SecurityStatus.SEC_E_CONTEXT_EXPIRED


class InsufficientMemory(_Shared, usual=LocalError):
    """A buffer for output is missing or a bounded store is full."""

    status = SecurityStatus.SEC_E_INSUFFICIENT_MEMORY


class InternalError(_Shared, usual=LocalError):
    """A component under this library, or a plugin, failed without a status of its own."""

    status = SecurityStatus.SEC_E_INTERNAL_ERROR


class InvalidToken(_Shared, usual=RemoteError):
    """The peer's token is malformed, truncated, too long, or not the one now due."""

    status = SecurityStatus.SEC_E_INVALID_TOKEN


class LogonFailure(_Shared, usual=CallerError):
    """The context is already established and takes no further token (Digest)."""

    status = NTSTATUS.STATUS_LOGON_FAILURE


class NoAuthenticatingAuthority(_Shared, usual=LocalError):
    """No authority could be asked about the account."""

    status = SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY


class NoImpersonation(_Shared, usual=RemoteError):
    """The context carries no identity that may be impersonated, or the authorization identity is refused."""

    status = SecurityStatus.SEC_E_NO_IMPERSONATION


class PackageNotFound(_Shared, usual=LocalError):
    """No such security package, or no such SASL mechanism, is installed."""

    status = SecurityStatus.SEC_E_SECPKG_NOT_FOUND


class QopNotSupported(_Shared, usual=RemoteError):
    """The quality of protection that is asked for was not offered or not negotiated."""

    status = SecurityStatus.SEC_E_QOP_NOT_SUPPORTED


class SecurityQosFailed(_Shared, usual=CallerError):
    """A requirement flag is invalid for the package, or what it asks for was not reached."""

    status = SecurityStatus.SEC_E_SECURITY_QOS_FAILED


class UnknownCredentials(_Shared, usual=CallerError):
    """The package does not understand these credentials."""

    status = SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS


class UnsupportedFunction(_Shared, usual=CallerError):
    """The package does not offer this function, flag or attribute."""

    status = SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


class SecurityNotAgreed(SecurityQosFailed, RemoteError):
    """The peer does not agree to a protection that is required here, or demands one that was not asked for."""


class PeerUnsupported(UnsupportedFunction, RemoteError):
    """The peer does not offer a function, or a strength, that this exchange needs."""


class TemporarilyUnavailable(NoAuthenticatingAuthority, RemoteError):
    """The peer cannot log anybody on at present, and says that it is not the secret's fault."""


class ServerUnnamed(LogonFailure, RemoteError):
    """The server does not say who it is where that is required (NTLM: MS-NLMP section 3.1.5.1.2)."""


class NotProtected(QopNotSupported, CallerError):
    """Our caller wants a message protected in a way that this context does not have."""


class NothingEnabled(AlgorithmMismatch, CallerError):
    """Our caller's credential permits no version or cipher that there is."""


class NotImpersonating(NoImpersonation, CallerError):
    """Our caller uses or ends an impersonation that there is not."""


class ContextUsedUp(ContextExpired, CallerError):
    """Our caller goes on with a context that this side has closed, or that was used as often as it can be."""


class NoBuffers(InternalError, CallerError):
    """Our caller passed no buffers to a call that is about them."""


class NoOutputBuffer(InsufficientMemory, CallerError):
    """Our caller has passed no buffer for the token; nothing is lost."""


class BufferMissing(InvalidToken, CallerError):
    """Our caller passed a message or a request without a buffer, or a value, that the call needs."""
