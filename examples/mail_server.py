"""A mail server: aiosmtpd with every mechanism as AUTH, accounts in PostgreSQL, failed logons held back.

    saslsspi accounts add postgresql+psycopg://mail@/mail alice --realm mail.example
    python examples/mail_server.py postgresql+psycopg://mail@/mail 2525

PLAIN and LOGIN are offered inside TLS only, and so is what a policy demands: give aiosmtpd a tls_context for that.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from aiosmtpd.handlers import Debugging
from sqlalchemy import create_engine

from saslsspi.accounts import AccountLookup, SqlAuthority, Throttle
from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.mail.server import SaslService


def service_of(authority: AccountLookup) -> SaslService:
    """Return what the server offers to everybody."""
    return SaslService(service="smtp", host="localhost", authority=authority, realm="mail.example", throttle=Throttle())


async def main(accounts: str, port: int) -> None:
    """Serve on loopback."""
    sasl = service_of(SqlAuthority(create_engine(accounts, pool_pre_ping=True)))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SaslSmtpProtocol(Debugging(sys.stderr), sasl=sasl, auth_required=True, loop=loop), "127.0.0.1", port
    )
    async with server:
        print(f"mail on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
