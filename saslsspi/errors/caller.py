"""The fault of the program that calls us: an argument, a state, a flag or a credential that cannot be.

Nothing that a peer sends raises one of these.
"""

from __future__ import annotations

from saslsspi.errors.base import CallerError
from saslsspi.status import SecurityStatus

__all__ = [
    "BufferTooSmall",
    "ContextMisuse",
    "IncompleteCredentials",
    "InvalidParameter",
    "NoContext",
    "NoCredentials",
    "TargetUnknown",
]


class InvalidParameter(CallerError):
    """Our caller passed an argument that is outside its range."""

    status = SecurityStatus.SEC_E_INVALID_PARAMETER


class ContextMisuse(CallerError):
    """Our caller used a handle that is empty, deleted, foreign, or not in the state for this call."""

    status = SecurityStatus.SEC_E_INVALID_HANDLE


class NoContext(CallerError):
    """There is no context to work on."""

    status = SecurityStatus.SEC_E_NO_CONTEXT


class TargetUnknown(CallerError):
    """The target name is missing, or not one that can be asked for."""

    status = SecurityStatus.SEC_E_TARGET_UNKNOWN


class NoCredentials(CallerError):
    """There are no credentials for this use of the handle."""

    status = SecurityStatus.SEC_E_NO_CREDENTIALS


class IncompleteCredentials(CallerError):
    """The credentials lack a part that this exchange needs."""

    status = SecurityStatus.SEC_E_INCOMPLETE_CREDENTIALS


class BufferTooSmall(CallerError):
    """A buffer of our caller is too small; nothing was written and nothing is lost."""

    status = SecurityStatus.SEC_E_BUFFER_TOO_SMALL
