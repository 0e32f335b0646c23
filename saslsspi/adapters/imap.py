"""imaplib with SASL and its layers; IMAP over asyncio streams; and what a server needs."""

from __future__ import annotations

from saslsspi.adapters.mail.asyncio_stream import LineClient, authenticate_stream
from saslsspi.adapters.mail.imap import ImapLogonDenied, SaslIMAP4, SaslIMAP4_SSL
from saslsspi.adapters.mail.protocols.imap import IMAP
from saslsspi.adapters.mail.server import SaslService

__all__ = ["IMAP", "ImapLogonDenied", "LineClient", "SaslIMAP4", "SaslIMAP4_SSL", "SaslService", "authenticate_stream"]
