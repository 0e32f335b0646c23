"""The protocols of lines that carry SASL, each in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols.imap import IMAP, imap_capabilities
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.adapters.mail.protocols.sieve import SIEVE, sieve_response
from saslsspi.adapters.mail.protocols.smtp import SMTP, smtp_kind

__all__ = [
    "IMAP",
    "LINE_PROTOCOLS",
    "POP3",
    "SIEVE",
    "SMTP",
    "imap_capabilities",
    "protocol_of_service",
    "sieve_response",
    "smtp_kind",
]

LINE_PROTOCOLS: Final[Mapping[str, LineProtocol]] = MappingProxyType(
    {protocol.name: protocol for protocol in (SMTP, IMAP, POP3, SIEVE)}
)
"""By name."""


def protocol_of_service(service: str) -> LineProtocol | None:
    """Return the protocol with this GSSAPI service name, or None."""
    return next((protocol for protocol in LINE_PROTOCOLS.values() if protocol.service == service), None)
