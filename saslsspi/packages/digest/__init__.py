"""WDigest, the Digest security package: DIGEST-MD5 of SASL (RFC 2831) with SSPI semantics (MS-DPSP)."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.digest.package import DigestPackage

__all__ = ["PACKAGE"]

PACKAGE: Final = DigestPackage()
