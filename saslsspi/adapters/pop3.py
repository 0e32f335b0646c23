"""poplib with SASL and its layers."""

from __future__ import annotations

from saslsspi.adapters.mail.pop3 import PopLogonDenied, SaslPOP3, SaslPOP3_SSL

__all__ = ["PopLogonDenied", "SaslPOP3", "SaslPOP3_SSL"]
