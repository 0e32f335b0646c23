"""Negotiate, the security package that chooses another one: SPNEGO (RFC 4178) as Windows speaks it (MS-SPNG)."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.negotiate.package import NegotiatePackage

__all__ = ["PACKAGE"]

PACKAGE: Final = NegotiatePackage()
