"""ASGI middleware that authenticates."""

from __future__ import annotations

from saslsspi.adapters.http.asgi import CONNECTION, AsgiAuthentication

__all__ = ["CONNECTION", "AsgiAuthentication"]
