"""A mail server of aiosmtpd."""

import asyncio

from saslsspi import MemoryAuthority
from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.smtp import SaslService


class Handler:
    """Takes no mail."""


async def main() -> None:
    """Serve."""
    service = SaslService(service="smtp", host="mail.example.test", authority=MemoryAuthority({"alice": "wonderland"}))
    server = await asyncio.get_running_loop().create_server(
        lambda: SaslSmtpProtocol(Handler(), sasl=service, auth_required=True, hostname="mail.example.test", timeout=60),
        "127.0.0.1",
        2525,
    )
    await server.serve_forever()
