"""aiosmtplib with a layer."""

from typing import assert_type

from saslsspi import Password, Security
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP


async def send(text: str) -> None:
    """Log on and send."""
    async with SaslAsyncSMTP(hostname="mail.example.test", port=587) as client:
        assert_type(await client.authenticate_sasl(credentials=Password("alice", "wonderland")), Security)
        await client.sendmail("alice@example.test", ["bob@example.test"], text)
