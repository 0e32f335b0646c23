"""CredSSP: TLS, Negotiate inside it, the two bound together, and credentials handed over (MS-CSSP)."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.credssp.package import CredsspPackage

__all__ = ["PACKAGE"]

PACKAGE: Final = CredsspPackage()
