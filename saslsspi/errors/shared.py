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
    """The two sides have no permitted algorithm in common.

    What to do: Compare what the server offers (`saslsspi probe`) with `Policy.ciphers`, `weak_mechanisms` and the
    package's policy.
    """

    status = SecurityStatus.SEC_E_ALGORITHM_MISMATCH


class ContextExpired(_Shared, usual=RemoteError):
    """The context or its stream has ended.

    What to do: Begin a new connection; a Kerberos ticket that has ended is had anew with kinit.
    """

    status = SecurityStatus.SEC_E_CONTEXT_EXPIRED


class InsufficientMemory(_Shared, usual=LocalError):
    """A buffer for output is missing or a bounded store is full.

    What to do: Try again later; where it lasts, the bounded store that the text names is full: give it more room,
    or find who fills it.
    """

    status = SecurityStatus.SEC_E_INSUFFICIENT_MEMORY


class InternalError(_Shared, usual=LocalError):
    """A component under this library, or a plugin, failed without a status of its own.

    What to do: The error's `__cause__` says what failed; it is a plugin's, an authority's or a library's, and the
    logs have it.
    """

    status = SecurityStatus.SEC_E_INTERNAL_ERROR


class InvalidToken(_Shared, usual=RemoteError):
    """The peer's token is malformed, truncated, too long, or not the one now due.

    What to do: Look at the token with `saslsspi decode`. It is the peer's to mend, or of another protocol; some
    departures have a tolerance.
    """

    status = SecurityStatus.SEC_E_INVALID_TOKEN


class LogonFailure(_Shared, usual=CallerError):
    """The context is already established and takes no further token (Digest).

    What to do: Begin a new context for a new logon.
    """

    status = NTSTATUS.STATUS_LOGON_FAILURE


class NoAuthenticatingAuthority(_Shared, usual=LocalError):
    """No authority could be asked about the account.

    What to do: Try again later, with the same password: the directory, database or KDC behind the server is away.
    """

    status = SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY


class NoImpersonation(_Shared, usual=RemoteError):
    """The context carries no identity that may be impersonated, or the authorization identity is refused.

    What to do: Ask the server's administrator for the right to act as that user (`may_act_as`), or leave `authzid`
    out.
    """

    status = SecurityStatus.SEC_E_NO_IMPERSONATION


class PackageNotFound(_Shared, usual=LocalError):
    """No such security package, or no such SASL mechanism, is installed.

    What to do: `saslsspi mechanisms` and `packages` say what is installed, and what failed to load and why; install
    the extra they name.
    """

    status = SecurityStatus.SEC_E_SECPKG_NOT_FOUND


class QopNotSupported(_Shared, usual=RemoteError):
    """The quality of protection that is asked for was not offered or not negotiated.

    What to do: Compare `min_ssf` with what the server offers (`saslsspi probe`); lower it, or put TLS around the
    connection.
    """

    status = SecurityStatus.SEC_E_QOP_NOT_SUPPORTED


class SecurityQosFailed(_Shared, usual=CallerError):
    """A requirement flag is invalid for the package, or what it asks for was not reached.

    What to do: Leave the flag out, or take a package that has it; the text names the flag.
    """

    status = SecurityStatus.SEC_E_SECURITY_QOS_FAILED


class UnknownCredentials(_Shared, usual=CallerError):
    """The package does not understand these credentials.

    What to do: Give the kind that the package takes: `Password`, `NtHash`, `Tickets`, `Token`; the text names them.
    """

    status = SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS


class UnsupportedFunction(_Shared, usual=CallerError):
    """The package does not offer this function, flag or attribute.

    What to do: docs/sspi.md says which package has which function; the text says what to use in its place.
    """

    status = SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


class SecurityNotAgreed(SecurityQosFailed, RemoteError):
    """The peer does not agree to a protection that is required here, or demands one that was not asked for.

    What to do: Compare the flags and the policies of both sides; where a server demands signing, give `min_ssf=1`.
    """


class PeerUnsupported(UnsupportedFunction, RemoteError):
    """The peer does not offer a function, or a strength, that this exchange needs.

    What to do: Log on without it, or by another mechanism; the text names what the peer lacks.
    """


class TemporarilyUnavailable(NoAuthenticatingAuthority, RemoteError):
    """The peer cannot log anybody on at present, and says that it is not the secret's fault.

    What to do: Try again later with the same secret; asking for another password would only mislead.
    """


class ServerUnnamed(LogonFailure, RemoteError):
    """The server does not say who it is where that is required (NTLM: MS-NLMP section 3.1.5.1.2).

    What to do: Give the server its names (computer and domain), or ask for no mutual authentication.
    """


class NotProtected(QopNotSupported, CallerError):
    """Our caller wants a message protected in a way that this context does not have.

    What to do: Ask for the layer when logging on (`min_ssf`), or protect this message as the context can.
    """


class NothingEnabled(AlgorithmMismatch, CallerError):
    """Our caller's credential permits no version or cipher that there is.

    What to do: Permit at least one version and cipher in the credential.
    """


class NotImpersonating(NoImpersonation, CallerError):
    """Our caller uses or ends an impersonation that there is not.

    What to do: Impersonate first; each revert ends one.
    """


class ContextUsedUp(ContextExpired, CallerError):
    """Our caller goes on with a context that this side has closed, or that was used as often as it can be.

    What to do: Begin a new connection before going on.
    """


class NoBuffers(InternalError, CallerError):
    """Our caller passed no buffers to a call that is about them.

    What to do: Pass the buffers that the function is about; docs/sspi.md lists them.
    """


class NoOutputBuffer(InsufficientMemory, CallerError):
    """Our caller has passed no buffer for the token; nothing is lost.

    What to do: Call again with a buffer of type SECBUFFER_TOKEN, or with ISC_REQ_ALLOCATE_MEMORY.
    """


class BufferMissing(InvalidToken, CallerError):
    """Our caller passed a message or a request without a buffer, or a value, that the call needs.

    What to do: Pass the buffer or value that the text names, and call again.
    """
