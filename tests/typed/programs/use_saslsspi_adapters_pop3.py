"""The standard library's client with a layer, in TLS and by asyncio."""

import ssl
from typing import assert_type

from saslsspi import MemoryAuthority, Password, Security
from saslsspi.adapters.pop3 import POP3, LineClient, PopLogonDenied, SaslPOP3, SaslPOP3_SSL, SaslService

try:
    client = SaslPOP3_SSL("mail.example.test", timeout=10)
    assert_type(client.authenticate_sasl(credentials=Password("alice", "wonderland")), Security)
except PopLogonDenied as denied:
    assert_type(denied.text, str)

plain = SaslPOP3("mail.example.test")
assert_type(plain.security, Security | None)
service = SaslService(service="pop3", host="mail.example.test", authority=MemoryAuthority({"alice": "wonderland"}))


async def main() -> str:
    """Log on, and say how."""
    async with await LineClient.connect(POP3, "mail.example.test", starttls=ssl.create_default_context()) as line:
        security = await line.authenticate_sasl(credentials=Password("alice", "wonderland"))
    return security.mechanism
