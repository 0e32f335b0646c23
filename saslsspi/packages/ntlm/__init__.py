"""NTLM, the NT LAN Manager security package (MS-NLMP): client and acceptor, sign and seal."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.ntlm.package import NtlmPackage

__all__ = ["PACKAGE"]

PACKAGE: Final = NtlmPackage()
