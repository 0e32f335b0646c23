"""WSGI middleware that authenticates."""

from __future__ import annotations

from saslsspi.adapters.http.wsgi import CONNECTION, WsgiAuthentication

__all__ = ["CONNECTION", "WsgiAuthentication"]
