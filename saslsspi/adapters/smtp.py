"""smtplib with SASL and its layers; SMTP over asyncio streams; and what a server needs."""

from __future__ import annotations

from saslsspi.adapters.mail.asyncio_stream import LineClient, authenticate_stream
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.adapters.mail.server import SaslService
from saslsspi.adapters.mail.smtp import SaslSMTP, SaslSMTP_SSL, SmtpLogonDenied

__all__ = ["SMTP", "LineClient", "SaslSMTP", "SaslSMTP_SSL", "SaslService", "SmtpLogonDenied", "authenticate_stream"]
