"""smtplib with SASL and its layers."""

from __future__ import annotations

from saslsspi.adapters.mail.smtp import SaslSMTP, SaslSMTP_SSL, SmtpLogonDenied

__all__ = ["SaslSMTP", "SaslSMTP_SSL", "SmtpLogonDenied"]
