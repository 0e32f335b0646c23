"""A channel that is read by LDAP messages."""

from __future__ import annotations

from saslsspi.testbed.channel import Channel
from saslsspi.testbed.ldap.messages import message_size

__all__ = ["Channel", "LdapChannel"]


class LdapChannel(Channel):
    """One connection of an LDAP client."""

    async def receive(self, max_size: int) -> bytes | None:
        """Return the next LDAP message, or None when the peer has closed.

        Raises:
            InvalidToken: it is no LDAP message, or one of more than max_size octets.
            SaslError: the security layer has failed.
        """
        while True:
            size = message_size(self._plain, max_size)
            if size is not None and len(self._plain) >= size:
                message = bytes(self._plain[:size])
                del self._plain[:size]
                return message
            if not await self._more():
                return None
