"""poplib with SASL and its layers; POP3 over asyncio streams; and what a server needs."""

from __future__ import annotations

from saslsspi.adapters.mail.asyncio_stream import LineClient, authenticate_stream
from saslsspi.adapters.mail.pop3 import PopLogonDenied, SaslPOP3, SaslPOP3_SSL
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.adapters.mail.server import SaslService

__all__ = ["POP3", "LineClient", "PopLogonDenied", "SaslPOP3", "SaslPOP3_SSL", "SaslService", "authenticate_stream"]
