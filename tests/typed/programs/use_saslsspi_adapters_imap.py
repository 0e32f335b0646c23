"""The standard library's client with a layer, in TLS and by asyncio."""

import ssl
from typing import assert_type

from saslsspi import MemoryAuthority, Password, Security
from saslsspi.adapters.imap import IMAP, ImapLogonDenied, LineClient, SaslIMAP4, SaslIMAP4_SSL, SaslService

try:
    client = SaslIMAP4_SSL("mail.example.test", timeout=10)
    assert_type(client.authenticate_sasl(credentials=Password("alice", "wonderland")), Security)
except ImapLogonDenied as denied:
    assert_type(denied.text, str)

plain = SaslIMAP4("mail.example.test")
assert_type(plain.security, Security | None)
service = SaslService(service="imap", host="mail.example.test", authority=MemoryAuthority({"alice": "wonderland"}))


async def main() -> str:
    """Log on, and say how."""
    async with await LineClient.connect(IMAP, "mail.example.test", starttls=ssl.create_default_context()) as line:
        security = await line.authenticate_sasl(credentials=Password("alice", "wonderland"))
    return security.mechanism
