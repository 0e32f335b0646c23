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
    """Our caller passed an argument that is outside its range.

    What to do: The text names the argument and its range; mend the call.
    """

    status = SecurityStatus.SEC_E_INVALID_PARAMETER


class ContextMisuse(CallerError):
    """Our caller used a handle that is empty, deleted, foreign, or not in the state for this call.

    What to do: Look at the order of the calls: a context that failed or ended is thrown away, and a new one begun.
    """

    status = SecurityStatus.SEC_E_INVALID_HANDLE


class NoContext(CallerError):
    """There is no context to work on.

    What to do: Begin one first; who calls for another's attributes asks that side.
    """

    status = SecurityStatus.SEC_E_NO_CONTEXT


class TargetUnknown(CallerError):
    """The target name is missing, or not one that can be asked for.

    What to do: Give the service and the host, as `service=` and `host=`, or "ldap/host.example" for a target.
    """

    status = SecurityStatus.SEC_E_TARGET_UNKNOWN


class NoCredentials(CallerError):
    """There are no credentials for this use of the handle.

    What to do: Give credentials, or log on to Kerberos with kinit; on a server give an authority, a keytab or a
    certificate.
    """

    status = SecurityStatus.SEC_E_NO_CREDENTIALS


class IncompleteCredentials(CallerError):
    """The credentials lack a part that this exchange needs.

    What to do: The text names the part: a user, a password, a realm, or the certificate that a server asks for.
    """

    status = SecurityStatus.SEC_E_INCOMPLETE_CREDENTIALS


class BufferTooSmall(CallerError):
    """A buffer of our caller is too small; nothing was written and nothing is lost.

    What to do: Ask for the sizes (SecPkgContextSizes), and call again with a buffer of that size.
    """

    status = SecurityStatus.SEC_E_BUFFER_TOO_SMALL
