"""SmtpServer: a small SMTP server: aiosmtpd with AUTH of every mechanism and layer; it keeps the messages it gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, ClassVar, Final, cast

from aiosmtpd.smtp import TLSSetupException

from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.engine.security import Security
from saslsspi.errors import SaslError
from saslsspi.testbed.channel import TLS_HANDSHAKE_TIMEOUT, close_listeners
from saslsspi.testbed.mail.channel import LineChannel
from saslsspi.testbed.mail.server import Authenticated, MailServer, MailSession

__all__ = ["SmtpServer"]

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128


class _Keeper:
    """aiosmtpd's handler: puts messages into the mailbox."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Take a message."""
        if self._server.mailbox.add(bytes(envelope.content)):
            return "250 2.0.0 kept"
        return "452 4.2.2 The mailbox is full"


class _Connection(SaslSmtpProtocol):
    def __init__(self, server: SmtpServer, **kwargs: Any) -> None:
        super().__init__(
            _Keeper(server),
            sasl=server.service,
            bindings=server.bindings,
            max_failures=server.limits.failures,
            hostname=server.hosts[0],
            ident="saslsspi testbed",
            tls_context=server.certificate,
            auth_required=server.auth_required,
            data_size_limit=server.limits.message,
            timeout=server.limits.idle_timeout,
            **kwargs,
        )
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # STARTTLS makes the connection anew for aiosmtpd, and it is there already.
        if self not in self._server.connections and len(self._server.connections) >= self._server.limits.connections:
            cast(asyncio.Transport, transport).abort()
            return
        self._server.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self not in self._server.connections:
            return
        self._server.connections.discard(self)
        super().connection_lost(error)

    async def handle_exception(self, error: Exception) -> str:
        # aiosmtpd would log a client that ends the TLS handshake as a failure of its own, with a traceback.
        if not isinstance(error, TLSSetupException | SaslError):
            return await super().handle_exception(error)
        _LOG.debug("%s: %s", self.session.peer if self.session is not None else None, error)
        return "454 4.7.0 The connection ends here"

    async def authenticated(self, security: Security) -> None:
        if self._server.on_security is not None:
            peer = self.session.peer if self.session is not None else None
            ssf = max(int(self._surroundings().get("external_ssf", 0)), security.ssf)
            address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unknown"
            self._server.on_security(Authenticated(address, ssf, security))


class SmtpServer(MailServer):
    """An SMTP server for submission; see MailServer. The traffic is not counted.

    Attributes:
        auth_required: Whether MAIL needs authentication.
        connections: The connections that are open.
    """

    protocol: ClassVar[LineProtocol] = SMTP

    def __init__(self, *, auth_required: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.auth_required = auth_required
        self.connections: set[SaslSmtpProtocol] = set()

    def session(self, channel: LineChannel) -> MailSession:
        """Not used: aiosmtpd serves the connections."""
        raise NotImplementedError

    async def start(self) -> None:
        """Listen and serve."""
        loop = asyncio.get_running_loop()
        contexts = [(self._wanted[0], None)] + ([(self._wanted[1], self.certificate)] if self.certificate else [])
        for port, context in contexts:
            listener = await loop.create_server(
                lambda: _Connection(self, loop=loop),
                self._address,
                port,
                ssl=context,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT if context else None,
                backlog=_BACKLOG,
            )
            self._listeners.append(listener)

    async def stop(self) -> None:
        """Close everything."""
        await close_listeners(self._listeners)
        for connection in list(self.connections):
            transport = connection.transport
            if isinstance(transport, asyncio.Transport):
                # A TLS transport that was closed twice has nothing left to abort; Python 3.11.2 trips over that.
                with contextlib.suppress(AttributeError):
                    transport.abort()
        while self.connections:
            await asyncio.sleep(0)
        self._listeners.clear()


SERVER: Final = SmtpServer
