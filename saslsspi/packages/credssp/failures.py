"""errorCode: what a server's failure is called in NTSTATUS, and what a client makes of one (MS-CSSP section 2.2.1)."""

from __future__ import annotations

from typing import Final

from saslsspi import errors
from saslsspi.errors import LogonDenied, SaslError, told_by_peer
from saslsspi.status import NTSTATUS, SecurityStatus

__all__ = ["carries_error_code", "error_code_of", "failure_of"]

_NAMED: Final[dict[int, NTSTATUS]] = {
    SecurityStatus.SEC_E_LOGON_DENIED: NTSTATUS.STATUS_LOGON_FAILURE,
    SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY: NTSTATUS.STATUS_NO_LOGON_SERVERS,
    SecurityStatus.SEC_E_BAD_BINDINGS: NTSTATUS.STATUS_BAD_BINDINGS,
    SecurityStatus.SEC_E_TIME_SKEW: NTSTATUS.STATUS_TIME_DIFFERENCE_AT_DC,
    SecurityStatus.SEC_E_DOWNGRADE_DETECTED: NTSTATUS.STATUS_NOT_SUPPORTED,
    SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION: NTSTATUS.STATUS_NOT_SUPPORTED,
}
_CLASSES: Final[dict[int, type[SaslError]]] = {
    **{
        int(kind.status): kind
        for kind in (getattr(errors, name) for name in errors.__all__)
        if isinstance(kind, type) and issubclass(kind, SaslError) and "status" in vars(kind) and kind is not SaslError
    },
    NTSTATUS.STATUS_NO_LOGON_SERVERS: errors.NoAuthenticatingAuthority,
    NTSTATUS.STATUS_NOT_SUPPORTED: errors.UnsupportedFunction,
    NTSTATUS.STATUS_BAD_BINDINGS: errors.BadBindings,
    NTSTATUS.STATUS_TIME_DIFFERENCE_AT_DC: errors.TimeSkew,
    NTSTATUS.STATUS_LOGON_FAILURE: LogonDenied,
}
_NAMES: Final[dict[int, str]] = {
    **{int(member): member.name for member in SecurityStatus},
    **{int(member): member.name for member in NTSTATUS},
}


def carries_error_code(version: int) -> bool:
    """Whether a negotiated version has the field: "If the negotiated protocol version is 3, 4, or 6"."""
    return version >= 3 and version != 5


def error_code_of(error: SaslError) -> int:
    """Return the NTSTATUS for a failure; one that has none goes under its own number, as Windows does."""
    return int(_NAMED.get(error.status, error.status))


def failure_of(code: int) -> SaslError:
    """Return the error that a server's errorCode stands for; whatever its status, it is the peer's."""
    kind = told_by_peer(_CLASSES.get(code, LogonDenied))
    failure = kind(f"the server failed with {_NAMES.get(code, 'NTSTATUS')} (0x{code:08X})")
    failure.ntstatus = code
    return failure
