"""WinRM's message encryption."""

from __future__ import annotations

from saslsspi.adapters.http.winrm import WinRmProtocol, open_body, seal_body

__all__ = ["WinRmProtocol", "open_body", "seal_body"]
