"""aiosmtpd with every mechanism and layer."""

from __future__ import annotations

from saslsspi.adapters.mail.aiosmtpd import SaslSmtpProtocol

__all__ = ["SaslSmtpProtocol"]
