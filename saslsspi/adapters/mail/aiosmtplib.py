"""SASL for aiosmtplib: SaslAsyncSMTP is its SMTP client with one method more (RFC 4954).

aiosmtplib reads reply lines of up to 8,192 octets, so a mechanism whose challenges are longer fails there.
"""

from __future__ import annotations

import asyncio
from typing import Self, Unpack, cast

import aiosmtplib

from saslsspi.adapters.mail.dialogue import Refused, Turn
from saslsspi.adapters.mail.line_protocol import Reply, ReplyKind
from saslsspi.adapters.mail.logon import (
    Established,
    MailLogon,
    MailOptions,
    closing_on_error,
    layer_is_spoken,
    log_on,
)
from saslsspi.adapters.mail.protocols.smtp import SMTP, smtp_kind
from saslsspi.adapters.mail.smtp import SmtpLogonDenied
from saslsspi.adapters.stream.dialogue import carry_async, first_turn
from saslsspi.adapters.stream.transport import put_under_layer
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import MechanismNames

__all__ = ["SaslAsyncSMTP"]


class SaslAsyncSMTP(aiosmtplib.SMTP):
    """aiosmtplib.SMTP with authenticate_sasl.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None

    async def __aenter__(self) -> Self:
        """Connect as aiosmtplib does; the end of the block leaves the server."""
        await super().__aenter__()
        return self

    async def authenticate_sasl(
        self,
        mechanism: MechanismNames = None,
        **options: Unpack[MailOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        As in smtp.SaslSMTP; the keywords are those of MailOptions.

        Raises:
            SmtpLogonDenied: these credentials are refused; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None and self.is_connected:
            raise ContextMisuse("this session is authenticated already (RFC 4954 section 4)")
        with closing_on_error(self.close, aiosmtplib.SMTPException):
            if self.is_ehlo_or_helo_needed:
                await self.ehlo()
        logon = MailLogon.over(self.get_transport_info("ssl_object"), mechanism, options, host=self.hostname or "")
        offered = logon.candidates(self._offered() if self.supports_extension("auth") else None)
        dialogue = log_on(logon, SMTP, offered, initial_response=self.supports_extension("auth"))
        turn = await first_turn(dialogue)
        with closing_on_error(self.close, aiosmtplib.SMTPException):
            ended = await carry_async(dialogue, turn, self._ask)
            if isinstance(ended, Established) and ended.layer is not None:
                self._install(ended.layer)
                with layer_is_spoken(SMTP, ended.security):
                    await self.ehlo()
                logon.logon.check_not_hidden(ended.security.mechanism, offered, self._offered())
        if isinstance(ended, Refused):
            raise ended.error(SmtpLogonDenied.of) from ended.cause
        self.security = ended.security
        return ended.security

    def close(self) -> None:
        """Close the connection; the next one begins without authentication."""
        self.security = None
        super().close()

    async def _ask(self, turn: Turn) -> Reply:
        response = await self.execute_command(turn.line.removesuffix(b"\r\n"))
        kind = smtp_kind(str(response.code))
        text = response.message.encode("utf-8", "surrogateescape")
        return Reply(kind, text.rstrip(b" ") if kind is ReplyKind.CHALLENGE else text, None, str(response.code))

    def _offered(self) -> list[str]:
        return [name.upper() for name in self.server_auth_methods]

    def _install(self, layer: Layer) -> None:
        protocol = self.protocol
        if protocol is None or protocol.transport is None:
            raise InvalidToken("the connection ended with the server's success")
        if protocol._buffer:
            raise InvalidToken("octets in clear stand behind the server's success, where protection begins")
        transport = cast(asyncio.Transport, protocol.transport)
        over = put_under_layer(transport, cast(asyncio.Protocol, protocol), layer)
        self.transport = protocol.transport = over
        # RFC 4954 section 4: what was learnt from the server in clear is forgotten.
        self._reset_server_state()
