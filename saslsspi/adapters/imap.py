"""imaplib with SASL and its layers."""

from __future__ import annotations

from saslsspi.adapters.mail.imap import ImapLogonDenied, SaslIMAP4, SaslIMAP4_SSL

__all__ = ["ImapLogonDenied", "SaslIMAP4", "SaslIMAP4_SSL"]
