"""aiosmtplib with SASL and its layers."""

from __future__ import annotations

from saslsspi.adapters.mail.aiosmtplib import SaslAsyncSMTP

__all__ = ["SaslAsyncSMTP"]
