"""An application of ASGI behind a logon."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from saslsspi import MemoryAuthority
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor, HttpUser


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Say who asks."""
    user = scope["user"]
    assert isinstance(user, HttpUser)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": user.username.encode()})


protected = AsgiAuthentication(
    application, HttpAcceptor.of(MemoryAuthority({"alice": "wonderland"}), realm="tea.example")
)
