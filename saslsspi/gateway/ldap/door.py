"""The LDAP door: what is made once for a listener, and a session for each client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from saslsspi.gateway.door import GatewayDoor
from saslsspi.gateway.ldap.session import LdapSession
from saslsspi.gateway.ldap.upstream import LdapUpstream
from saslsspi.gateway.settings import GatewayListener, GatewaySettings
from saslsspi.gateway.streams import CarriedStream

__all__ = ["ldap_door"]


def ldap_door(
    settings: GatewaySettings, listener: GatewayListener, door: GatewayDoor
) -> Callable[[CarriedStream, str], Awaitable[None]]:
    """Return what serves one client of a listener.

    Raises:
        InvalidParameter: the authority cannot be used.
    """
    upstream = LdapUpstream(settings.authority_of(listener), settings.policy, settings.limits)

    async def serve(client: CarriedStream, peer: str) -> None:
        await LdapSession(door, upstream, client, peer).serve()

    return serve
