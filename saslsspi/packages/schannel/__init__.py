"""Schannel: TLS 1.2 and 1.3 as an SSPI package, over memory buffers (OpenSSL through Python's ssl)."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.schannel.package import SchannelPackage

__all__ = ["PACKAGE"]

PACKAGE: Final = SchannelPackage()
