"""The mail doors: what is made once for a listener, and a session for each client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from saslsspi.gateway.door import GatewayDoor
from saslsspi.gateway.mail.imap import ImapDoorSession
from saslsspi.gateway.mail.pop3 import Pop3DoorSession
from saslsspi.gateway.mail.session import MailDoorSession
from saslsspi.gateway.mail.smtp import SmtpDoorSession
from saslsspi.gateway.mail.upstream import MailUpstream
from saslsspi.gateway.settings import GatewayListener, GatewaySettings
from saslsspi.gateway.streams import CarriedStream

__all__ = ["SESSIONS", "mail_door"]

SESSIONS: Final[Mapping[str, type[MailDoorSession]]] = MappingProxyType(
    {kind.protocol.name: kind for kind in (ImapDoorSession, SmtpDoorSession, Pop3DoorSession)}
)


def mail_door(
    settings: GatewaySettings, listener: GatewayListener, door: GatewayDoor
) -> Callable[[CarriedStream, str], Awaitable[None]]:
    """Return what serves one client of a listener.

    Raises:
        SaslError: the authority cannot be used.
    """
    session = SESSIONS[listener.protocol]
    authority = settings.authority_of(listener)
    upstream = MailUpstream(session.protocol, authority, settings.policy, settings.limits, settings.decoy_key)

    async def serve(client: CarriedStream, peer: str) -> None:
        await session(door, upstream, client, peer).serve()

    return serve
