"""SASL for aiosmtpd: SaslSmtpProtocol is its SMTP class with every mechanism of ours as AUTH, and their layers.

Give it to `loop.create_server`, or to a Controller by overriding its `factory`. The handler stays aiosmtpd's: it sees
`session.authenticated`, and `session.auth_data` is what was negotiated (a Security).
"""

from __future__ import annotations

import asyncio
import collections
import re
import ssl
from typing import Any, Final, TypedDict, Unpack, cast

from aiosmtpd.smtp import SMTP

from saslsspi.adapters.mail.line_protocol import MAX_LINE, Verdict
from saslsspi.adapters.mail.protocols.smtp import SMTP as SMTP_WORDS
from saslsspi.adapters.mail.server import SaslService, ServerDialogue, server_bindings
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.adapters.stream.transport import put_under_layer
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.hooks.audit import audited_from
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken
from saslsspi.sasl.layer import Layer

__all__ = ["SaslSmtpProtocol"]

_COMMAND_LINE: Final = 512  # RFC 5321 section 4.5.3.1.4
_MAIL_PARAMETER: Final = 500  # RFC 4954 section 3: MAIL FROM may be so much longer
_MAX_DISCARDED: Final = 1 << 20
_MAIL_AUTH: Final = re.compile(r"(?:^|\s)AUTH=(\S*)", re.IGNORECASE)
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+\Z")


class SmtpOptions(TypedDict, total=False):
    """aiosmtpd's own options of a connection, save those about authentication."""

    data_size_limit: int | None
    enable_SMTPUTF8: bool
    decode_data: bool
    hostname: str | None
    ident: str | None
    tls_context: ssl.SSLContext | None
    require_starttls: bool
    timeout: float
    command_call_limit: int | dict[str, int] | None
    proxy_protocol_timeout: float | None
    loop: asyncio.AbstractEventLoop | None


class SaslSmtpProtocol(SMTP):
    """One connection of an aiosmtpd server with SASL.

    Args:
        handler: aiosmtpd's handler.
        sasl: What is offered.
        bindings: The channel bindings of the server's certificate.
        auth_required: Whether MAIL and its like need authentication.
        max_failures: How many exchanges of one connection may fail; RFC 4954 section 9 wants three at least.
        **kwargs: Those of SmtpOptions.
    """

    line_length_limit = MAX_LINE  # of the reader that aiosmtpd makes; a message's lines keep their own limit

    def __init__(
        self,
        handler: object,
        *,
        sasl: SaslService,
        bindings: ChannelBindings | None = None,
        auth_required: bool = False,
        max_failures: int = 10,
        **kwargs: Unpack[SmtpOptions],
    ) -> None:
        # Whether TLS is needed is the policy's to say, mechanism by mechanism.
        super().__init__(handler, auth_require_tls=False, auth_callback=lambda *_: False, **kwargs)
        self._auth_required = auth_required  # aiosmtpd warns of it where TLS is not required
        self.line_length_limit = SMTP.line_length_limit
        self._sasl = sasl
        self._tls_bindings = bindings
        self._max_failures = max_failures
        self._failures = 0
        self._layered = False
        limits: dict[str, int] = collections.defaultdict(lambda: _COMMAND_LINE)
        limits["AUTH"] = sasl.max_line
        limits["MAIL"] = _COMMAND_LINE + _MAIL_PARAMETER
        self.command_size_limits = limits

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802  # aiosmtpd finds commands by their names
        """Answer EHLO with the mechanisms that may be used here and now."""
        offered = self._sasl.offered(**self._surroundings())
        self._auth_methods = dict.fromkeys(offered, cast(Any, None))
        # RFC 4954 section 6: what would be refused for want of encryption is not listed.
        self._auth_require_tls = not offered
        await super().smtp_EHLO(hostname)

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Serve AUTH (RFC 4954 section 4)."""
        assert self.session is not None
        if await self.check_helo_needed("EHLO"):
            return
        if self.session.authenticated:
            await self.push("503 5.5.1 Already authenticated")
        elif self.envelope is not None and self.envelope.mail_from is not None:
            await self.push("503 5.5.1 Not during a mail transaction")
        else:
            dialogue = self._sasl.dialogue(**self._surroundings())
            try:
                peer = self.session.peer
                with audited_from(":".join(map(str, peer[:2])) if isinstance(peer, tuple) else ""):
                    try:
                        verdict = await self._converse(dialogue, (arg or "").encode("utf-8", "surrogateescape"))
                    finally:
                        dialogue.abandon()
            except InvalidToken:
                assert self.transport is not None
                self.transport.close()
                return
            await self._conclude(dialogue, verdict)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Serve MAIL, with the AUTH parameter of RFC 4954 section 5."""
        found = _MAIL_AUTH.search(arg or "")
        if arg is None or found is None:
            await super().smtp_MAIL(arg)
            return
        if not _XTEXT.match(found[1]):
            await self.push("501 5.5.4 AUTH= wants xtext")
            return
        await super().smtp_MAIL(arg[: found.start()] + arg[found.end() :])
        if self.envelope is not None and self.envelope.mail_from is not None:
            self.envelope.mail_options.append(f"AUTH={found[1]}")

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """Serve STARTTLS; nothing that came in clear behind it survives, and it does not go under a layer."""
        if self._layered:
            await self.push("503 5.5.1 Not under a security layer")
            return
        await super().smtp_STARTTLS(arg)

    async def authenticated(self, security: Security) -> None:
        """Be told of every success, before its layer is in use; for subclasses."""

    async def _converse(self, dialogue: ServerDialogue, arguments: bytes) -> Verdict:
        # The authority may block, so it is asked beside the loop.
        step = await beside_loop(dialogue.begin, arguments)
        while step.verdict is None:
            await self.push(dialogue.line(step))
            line = await self._read_response()
            if line is None:
                return Verdict.TOO_LONG
            self._reset_timeout()
            step = await beside_loop(dialogue.receive, line)
        return step.verdict

    async def _conclude(self, dialogue: ServerDialogue, verdict: Verdict) -> None:
        assert self.session is not None
        assert self.transport is not None
        if verdict is not Verdict.SUCCESS:
            self._failures += 1
            await asyncio.sleep(dialogue.delay)
            await self.push(SMTP_WORDS.replies[verdict])
            if self._failures >= self._max_failures:
                await self.push("421 4.7.0 Too many failures")
                self.transport.close()
            return
        security = dialogue.security
        self.session.authenticated = True
        self.session.auth_data = security  # type: ignore[assignment]  # declared as None, meant for anything
        await self.authenticated(security)
        if dialogue.layer is None:
            await self.push(SMTP_WORDS.replies[verdict])
        elif self._unread():
            # Clear text behind the last response would be read as if it had been protected.
            self.transport.close()
        else:
            await self.push(SMTP_WORDS.replies[verdict])
            self._install(dialogue.layer)

    async def _read_response(self) -> bytes | None:
        """Return the next line without its end, or None for one that is too long.

        Raises:
            InvalidToken: the client has gone, or will not stop.
        """
        discarded = 0
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                discarded += error.consumed
                if discarded > _MAX_DISCARDED:
                    raise InvalidToken("a response line does not end") from error
                await self._reader.read(error.consumed)
            except asyncio.IncompleteReadError as error:
                raise InvalidToken("the client has gone in the middle of the exchange") from error
            else:
                return None if discarded or len(line) > self._sasl.max_line else line.rstrip(b"\r\n")

    def _surroundings(self) -> dict[str, Any]:
        """Describe the TLS around this connection."""
        tls = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        if not isinstance(tls, ssl.SSLObject):
            return {}
        cipher = tls.cipher()
        certificate = tls.getpeercert() or {}
        subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
        names = (value for part in subject for kind, value in part if kind == "commonName")
        return {
            "external_ssf": cipher[2] if cipher else 0,
            "external_identity": next(names, None),
            "bindings": server_bindings(tls, self._tls_bindings),
        }

    def _unread(self) -> bool:
        return bool(self._reader._buffer)  # type: ignore[attr-defined]  # asyncio has no public way to look

    def _install(self, layer: Layer) -> None:
        """Protect everything from the next octet on, and forget what was said in clear."""
        assert self.session is not None
        transport = cast(asyncio.Transport, self.transport)
        over = self.transport = put_under_layer(transport, self, layer)
        for holder in (self._reader, self._writer, self):
            holder._transport = over  # type: ignore[union-attr]  # aiosmtpd's STARTTLS does the same
        self._layered = True
        self.tls_context = None  # STARTTLS is neither offered nor served any more
        # RFC 4954 section 4: the protocol is back in the state right after the greeting.
        self._set_rset_state()  # type: ignore[no-untyped-call]
        self.session.extended_smtp = False
        self.session.host_name = None
