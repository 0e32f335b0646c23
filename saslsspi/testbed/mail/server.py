"""What the embedded servers of mail protocols have in common: listening, TLS, a SASL exchange, a bounded mailbox."""

from __future__ import annotations

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Self

from saslsspi.accounts.account import AccountLookup
from saslsspi.accounts.nonces import NonceStore
from saslsspi.adapters.mail.line_protocol import LineProtocol, Verdict
from saslsspi.adapters.mail.server import SaslService, ServerDialogue, Step, server_bindings
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.hooks.audit import audited_from
from saslsspi.engine.policy import DEFAULT_POLICY, Policy
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, SaslError
from saslsspi.testbed.channel import TLS_HANDSHAKE_TIMEOUT, Traffic, close_listeners
from saslsspi.testbed.mail.channel import LineChannel

__all__ = ["Authenticated", "MailLimits", "MailServer", "MailSession", "Mailbox"]

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128


class Authenticated(NamedTuple):
    """A SASL exchange that succeeded.

    Attributes:
        peer: The client's address.
        ssf: Security strength factor of the connection, TLS included.
    """

    peer: str
    ssf: int
    security: Security


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLimits:
    """How much a client may ask for.

    Attributes:
        line: Longest command line, in octets.
        response: Longest response line of an exchange, in octets.
        message: Largest message, in octets.
        messages: How many messages a mailbox holds.
        failures: How many exchanges of one connection may fail; RFC 4954 section 9 wants three at least.
        connections: How many clients at a time.
        idle_timeout: How long a client may take for its next line, in seconds; RFC 9051 section 5.4 and RFC 5804
            section 1.2 want half an hour at least of a client that has logged on.
    """

    line: int = 1 << 16
    response: int = 1 << 16
    message: int = 1 << 25
    messages: int = 64
    failures: int = 10
    connections: int = 128
    idle_timeout: float = 1800.0


class Mailbox:
    """The messages of everybody: one mailbox, bounded, in memory."""

    def __init__(self, limits: MailLimits, messages: Iterable[bytes] = ()) -> None:
        self._limits = limits
        self.messages = list(messages)

    def add(self, message: bytes) -> bool:
        """Keep a message; False when the mailbox is full."""
        if len(self.messages) >= self._limits.messages or len(message) > self._limits.message:
            return False
        self.messages.append(message)
        return True


class MailServer(ABC):
    """A small mail server for the demo, the tests and the conformance runs: `with loopback.running(server)`.

    Args:
        authority: Who may log on; asked beside the loop, so it may block.
        policy: What exchanges must satisfy.
        mechanisms: The mechanisms to offer; empty for all that are installed and permitted.
        hosts: The names under which clients know this server.
        realm: The realm or realms to offer.
        nonce_store: Where sessions are remembered for subsequent authentication; None offers none.
        certificate: For STARTTLS and for a second port that speaks TLS from the start; None offers neither. Where it
            asks clients for certificates, EXTERNAL takes the common name of a verified one.
        bindings: The channel bindings of that certificate.
        messages: What is in the mailbox.
        limits: How much a client may ask for.
        address: Where to listen.
        port: 0 takes a free one.
        tls_port: The port that speaks TLS; 0 takes a free one.
        on_security: Called in the server's loop with every exchange that succeeds.

    Attributes:
        channel_type: What connections are made of; a subclass may override its transmit.
        traffic: How many octets crossed the wire, in clear and protected.
    """

    channel_type: ClassVar[type[LineChannel]] = LineChannel
    protocol: ClassVar[LineProtocol]

    def __init__(
        self,
        *,
        authority: AccountLookup,
        policy: Policy = DEFAULT_POLICY,
        mechanisms: Sequence[str] = (),
        hosts: Sequence[str] = ("localhost", "127.0.0.1"),
        realm: str | Sequence[str] | None = None,
        nonce_store: NonceStore | None = None,
        certificate: ssl.SSLContext | None = None,
        bindings: ChannelBindings | None = None,
        messages: Iterable[bytes] = (),
        limits: MailLimits | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        tls_port: int = 0,
        on_security: Callable[[Authenticated], None] | None = None,
    ) -> None:
        self.limits = limits or MailLimits()
        self.traffic = Traffic()
        self.mailbox = Mailbox(self.limits, messages)
        self.hosts = tuple(hosts)
        self.certificate = certificate
        self.bindings = bindings
        self.on_security = on_security
        self.service = SaslService(
            service=self.protocol.service,
            host=self.hosts,
            authority=authority,
            realm=realm,
            policy=policy,
            mechanisms=tuple(mechanisms),
            nonce_store=nonce_store,
            max_line=self.limits.response,
        )
        self._address = address
        self._wanted = (port, tls_port)
        self._listeners: list[asyncio.Server] = []
        self._channels: set[LineChannel] = set()

    @abstractmethod
    def session(self, channel: LineChannel) -> MailSession:
        """Return what serves one connection."""

    @property
    def port(self) -> int:
        """The port for plain text and STARTTLS, once started."""
        return self._port_of(0)

    @property
    def tls_port(self) -> int:
        """The port that speaks TLS, once started: where there is a certificate, and the protocol has such a port."""
        return self._port_of(1)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            OSError: a port cannot be had.
        """
        loop = asyncio.get_running_loop()
        secure = (
            [] if self.certificate is None or self.protocol.tls_port is None else [(self._wanted[1], self.certificate)]
        )
        contexts = [(self._wanted[0], None), *secure]
        for port, context in contexts:
            listener = await loop.create_server(
                lambda: self.channel_type(self._serve, self.traffic),
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
        for channel in list(self._channels):
            channel.abort()
        while self._channels:  # the cancelled sessions get their turn
            await asyncio.sleep(0)
        self._listeners.clear()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def _port_of(self, number: int) -> int:
        if number >= len(self._listeners):
            raise ContextMisuse("the server does not listen on that port")
        found: int = self._listeners[number].sockets[0].getsockname()[1]
        return found

    async def _serve(self, lines: LineChannel) -> None:
        if len(self._channels) >= self.limits.connections:
            return  # without a word
        self._channels.add(lines)
        try:
            with audited_from(lines.peer):
                await self.session(lines).serve()
        except (SaslError, OSError) as error:  # TimeoutError is an OSError
            _LOG.debug("%s: %s", lines.peer, error)
        finally:
            self._channels.discard(lines)


class MailSession(ABC):
    """One connection: what is the same in all protocols."""

    def __init__(self, server: MailServer, channel: LineChannel) -> None:
        self.server = server
        self.channel = channel
        self.security: Security | None = None
        self._failures = 0

    @abstractmethod
    async def serve(self) -> None:
        """Serve until the client has gone."""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What may be offered here and now."""
        return self.server.service.offered(
            external_ssf=self.channel.tls_bits, external_identity=self.channel.tls_identity, bindings=self._bindings()
        )

    @property
    def may_start_tls(self) -> bool:
        """Whether STARTTLS can be offered here and now."""
        return self.server.certificate is not None and self.channel.tls is None and not self.channel.layered

    async def send(self, *lines: bytes) -> None:
        """Send lines."""
        self.channel.send(b"".join(line + b"\r\n" for line in lines))
        async with asyncio.timeout(self.server.limits.idle_timeout):
            await self.channel.drain()

    async def read_line(self) -> bytes | None:
        """Return the next line, or None at the end."""
        async with asyncio.timeout(self.server.limits.idle_timeout):
            return await self.channel.read_line(self.server.limits.line)

    async def read_response(self) -> bytes | None:
        """Return the next response line of an exchange, or None at the end."""
        async with asyncio.timeout(self.server.limits.idle_timeout):
            return await self.channel.read_line(self.server.limits.response)

    async def authenticate(self, arguments: bytes, tag: bytes = b"") -> None:
        """Serve one AUTH or AUTHENTICATE command, and install the layer it ends in.

        Raises:
            InvalidToken: a line is too long, too many exchanges have failed, or something stands in clear where the
                layer begins; the connection ends.
        """
        server = self.server
        dialogue = server.service.dialogue(
            external_ssf=self.channel.tls_bits, external_identity=self.channel.tls_identity, bindings=self._bindings()
        )
        try:
            step = await self._converse(dialogue, arguments, tag)
        finally:
            dialogue.abandon()
        await asyncio.sleep(dialogue.delay)
        await self.send(dialogue.line(step, tag))
        if step.verdict is not Verdict.SUCCESS:
            self._failures += 1
            if self._failures >= server.limits.failures:
                raise InvalidToken(f"{self._failures} exchanges have failed")
            return
        if dialogue.layer is not None:
            self.channel.install(dialogue.layer)
        self.security = dialogue.security
        if server.on_security is not None:
            ssf = max(self.channel.tls_bits, self.security.ssf)
            server.on_security(Authenticated(self.channel.peer, ssf, self.security))

    async def _converse(self, dialogue: ServerDialogue, arguments: bytes, tag: bytes) -> Step:
        step = await beside_loop(dialogue.begin, arguments)
        while step.verdict is None:
            await self.send(dialogue.line(step))
            try:
                line = await self.read_response()
            except InvalidToken:
                await self.send(self.server.protocol.reply(Verdict.TOO_LONG, None, tag))
                raise
            if line is None:
                raise InvalidToken("the client has gone in the middle of the exchange")
            step = await beside_loop(dialogue.receive, line)
        return step

    async def start_tls(self) -> None:
        """Begin TLS; nothing may have arrived behind the command."""
        assert self.server.certificate is not None
        await self.channel.start_tls(self.server.certificate)

    def _bindings(self) -> list[ChannelBindings]:
        return server_bindings(self.channel.tls, self.server.bindings)
