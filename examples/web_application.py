"""An ASGI application for users with a password, under several workers that share Redis.

    saslsspi accounts add sqlite:///accounts.db alice --realm shop.example
    head -c 32 /dev/urandom > secret; chmod 600 secret
    ACCOUNTS=sqlite:///accounts.db REDIS=redis://127.0.0.1/0 SECRET=secret \
        uvicorn --app-dir examples --workers 4 web_application:application

Each worker takes a request of HTTP Digest that another one has challenged, and none takes one twice. The audit log is
a line of JSON for each logon, on standard error.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from saslsspi import Secret
from saslsspi.accounts import RedisFailures, RedisNonceStore, SharedRedis, SqlAuthority, Throttle
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor
from saslsspi.engine.hooks.observers import AuditJsonFormatter


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Greet whoever has logged on."""
    body = f"tea for {scope['user'].username}, from process {os.getpid()}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def acceptor() -> HttpAcceptor:
    """Return who decides, with what the workers share."""
    shared = SharedRedis.at(os.environ["REDIS"], Path(os.environ["SECRET"]).read_bytes())
    return HttpAcceptor.of(
        SqlAuthority(create_engine(os.environ["ACCOUNTS"]), secrets=(Secret.HA1,)),
        realm="shop.example",
        nonce_store=RedisNonceStore(shared),
        throttle=Throttle(RedisFailures(shared)),
    )


def audit_as_json() -> None:
    """Write the audit log as lines of JSON."""
    handler, logger = logging.StreamHandler(), logging.getLogger("saslsspi.audit")
    handler.setFormatter(AuditJsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


audit_as_json()
application = AsgiAuthentication(shop, acceptor())
