"""The base of all errors, and the three branches under it: whose fault an error is.

A class of errors says what is wrong, with the status that Windows has for it; a branch says whose fault it is. Most
classes stand in one branch; those that two branches share are in `saslsspi.errors.shared`.
"""

from __future__ import annotations

from typing import ClassVar

from saslsspi.status import NTSTATUS, SecurityStatus

__all__ = ["CallerError", "LocalError", "RemoteError", "SaslError", "signed_status"]


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


class CallerError(SaslError):
    """The program that calls us asks for what cannot be: mend the program, or what its user gave it."""


class LocalError(SaslError):
    """This side's surroundings, or a defect of ours: mend the installation, the configuration or this library."""


class RemoteError(SaslError):
    """The peer, or what stands between: it sent what is wrong, or refuses. Nothing here needs mending."""
