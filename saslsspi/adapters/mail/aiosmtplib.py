"""SASL for aiosmtplib: SaslAsyncSMTP is its SMTP client with one method more (RFC 4954).

aiosmtplib reads reply lines of up to 8,192 octets, so a mechanism whose challenges are longer fails there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Unpack, cast

import aiosmtplib

from saslsspi.adapters.mail.dialogue import Refused, Reply, ReplyKind
from saslsspi.adapters.mail.logon import (
    Dialogue,
    Established,
    Logon,
    LogonOptions,
    check_not_hidden,
    closing_on_error,
    ended_of,
    log_on,
)
from saslsspi.adapters.mail.smtp import SMTP_PROFILE, SmtpLogonDenied, reply_kind
from saslsspi.adapters.stream.transport import put_under_layer
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, PeerUnsupported
from saslsspi.sasl.layer import Layer

__all__ = ["SaslAsyncSMTP"]


class SaslAsyncSMTP(aiosmtplib.SMTP):
    """aiosmtplib.SMTP with authenticate_sasl.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _code = 0  # of the last reply to AUTH

    async def authenticate_sasl(
        self,
        mechanism: str | Sequence[str] | None = None,
        **options: Unpack[LogonOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        As in smtp.SaslSMTP; the keywords are those of LogonOptions.

        Raises:
            SmtpLogonDenied: these credentials are refused; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None and self.is_connected:
            raise ContextMisuse("this session is authenticated already (RFC 4954 section 4)")
        if self.is_ehlo_or_helo_needed:
            await self.ehlo()
        if not self.supports_extension("auth"):
            raise PeerUnsupported("the server does not offer AUTH")
        offered = self._offered()
        host = self.hostname or ""
        logon = Logon.over(self.get_transport_info("ssl_object"), mechanism, options, host=host)
        dialogue = log_on(logon, SMTP_PROFILE, offered, initial_response=True)
        arguments = next(dialogue)
        with closing_on_error(self.close, aiosmtplib.SMTPException):
            ended = await self._carry(dialogue, arguments)
            if isinstance(ended, Established) and ended.layer is not None:
                self._install(ended.layer)
                await self.ehlo()
                check_not_hidden(logon, ended.security, offered, self._offered())
        if isinstance(ended, Refused):
            refusal = ended.error()
            if isinstance(refusal, LogonDenied):
                raise SmtpLogonDenied(refusal.text, self._code, ended.reply.text)
            raise refusal
        self.security = ended.security
        return ended.security

    def close(self) -> None:
        """Close the connection; the next one begins without authentication."""
        self.security = None
        super().close()

    async def _carry(self, dialogue: Dialogue, arguments: bytes) -> Established | Refused:
        line = b"AUTH " + arguments
        while True:
            response = await self.execute_command(line)
            self._code, kind = response.code, reply_kind(response.code)
            try:
                line = dialogue.send(Reply(kind, response.message.encode("utf-8", "surrogateescape")))
            except StopIteration as stop:
                return ended_of(stop)
            if kind is not ReplyKind.CHALLENGE:
                line = b"AUTH " + line

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
