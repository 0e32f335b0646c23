"""How a command ends."""

from __future__ import annotations

import enum
from typing import Final

from saslsspi.errors import SaslError
from saslsspi.status import SecurityStatus

__all__ = ["ExitStatus", "WrongUsage", "exit_status"]


class ExitStatus(enum.IntEnum):
    """The exit statuses of every command."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    PROTOCOL = 3


class WrongUsage(Exception):
    """The command line asks for what cannot be; the text says what to write instead."""


_BROKEN_PROTOCOL: Final = frozenset(
    {
        SecurityStatus.SEC_E_INVALID_TOKEN,
        SecurityStatus.SEC_E_ILLEGAL_MESSAGE,
        SecurityStatus.SEC_E_INCOMPLETE_MESSAGE,
        SecurityStatus.SEC_E_MESSAGE_ALTERED,
        SecurityStatus.SEC_E_OUT_OF_SEQUENCE,
        SecurityStatus.SEC_E_DECRYPT_FAILURE,
        SecurityStatus.SEC_E_CONTEXT_EXPIRED,
        SecurityStatus.SEC_E_INVALID_HANDLE,
    }
)


def exit_status(error: SaslError) -> ExitStatus:
    """Return PROTOCOL where the peer or the connection broke the protocol, REFUSED for every other failure."""
    return ExitStatus.PROTOCOL if error.status in _BROKEN_PROTOCOL else ExitStatus.REFUSED
