"""ManageSieve with SASL and its layers, blocking and over asyncio streams; and what a server needs."""

from __future__ import annotations

from saslsspi.adapters.mail.asyncio_stream import LineClient, authenticate_stream
from saslsspi.adapters.mail.protocols.sieve import SIEVE
from saslsspi.adapters.mail.server import SaslService
from saslsspi.adapters.mail.sieve import SaslSieve, SieveLogonDenied, SieveRefused, SieveScript

__all__ = [
    "SIEVE",
    "LineClient",
    "SaslService",
    "SaslSieve",
    "SieveLogonDenied",
    "SieveRefused",
    "SieveScript",
    "authenticate_stream",
]
