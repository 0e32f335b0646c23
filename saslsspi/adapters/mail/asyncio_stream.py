r"""Protocols of lines over an asyncio stream: a logon for clients of any make, and a small client of our own.

async with await LineClient.connect(IMAP, "mail.example.com", starttls=context) as client:
    security = await client.authenticate_sasl(credentials=Password("alice", "wonderland"))
    reply = await client.command(b"SELECT INBOX")  # under the layer, if there is one
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Self, TypeVar, Unpack, cast

from saslsspi.adapters.mail.dialogue import MAX_LINE, Refused, Turn, check_argument
from saslsspi.adapters.mail.line_protocol import (
    Capabilities,
    LineProtocol,
    Reading,
    Reply,
    ReplyKind,
    ends_here,
    printable,
)
from saslsspi.adapters.mail.logon import (
    Established,
    MailLogon,
    MailOptions,
    closing_on_error,
    layer_is_spoken,
    log_on,
)
from saslsspi.adapters.mail.strings import LINE
from saslsspi.adapters.stream import LayeredStream
from saslsspi.adapters.stream.dialogue import carry_async, first_turn
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, PeerUnsupported, UnsupportedFunction
from saslsspi.sasl.logon import MechanismNames

__all__ = ["LineClient", "authenticate_stream", "read_stream"]

_T = TypeVar("_T")


async def read_stream(stream: LayeredStream, reading: Reading[_T], limit: int = MAX_LINE) -> _T:
    """Read an answer from a stream.

    Raises:
        InvalidToken: the stream ended, a line is longer than limit octets, or it is not of the protocol.
    """
    try:
        wanted = next(reading)
        while True:
            if wanted == LINE:
                line = await stream.readline(limit)
                if not line:
                    raise InvalidToken("the server's answer ends with the connection")
                octets = line[:-1].removesuffix(b"\r")
            else:
                octets = await stream.readexactly(wanted)
            wanted = reading.send(octets)
    except StopIteration as stop:
        return cast(_T, stop.value)


async def authenticate_stream(
    stream: LayeredStream,
    protocol: LineProtocol,
    offered: Sequence[str] | None,
    mechanism: MechanismNames = None,
    *,
    initial_response_invited: bool = True,
    tag: bytes = b"sasl",
    **options: Unpack[MailOptions],
) -> Security:
    """Authenticate, and put the layer into force on the stream; then ask for the capabilities anew.

    Args:
        stream: Stands before a command.
        protocol: One of LINE_PROTOCOLS.
        offered: The mechanisms that the server lists; None where it lists none.
        mechanism: A name, names in order of preference, or None for the strongest.
        initial_response_invited: Whether the server takes one: IMAP's SASL-IR.
        tag: What the tags of the commands begin with, where the protocol has tags; a number follows.
        **options: See MailOptions; `host` is needed.

    Raises:
        LogonDenied, NoAuthenticatingAuthority, AlgorithmMismatch, PackageNotFound, UnsupportedFunction: the server
            refuses, or nothing is left to try; the stream stands before a command again.
        SaslError: the exchange failed, and the stream is closed.
    """
    logon = MailLogon.over(stream.get_extra_info("ssl_object"), mechanism, options, host=options.get("host") or "")
    tags = (tag + b"%d" % number for number in range(1, 1 << 32)) if protocol.tagged else repeat(b"")
    ended = await _log_on(stream, protocol, logon, logon.candidates(offered), initial_response_invited, tags)
    return ended.security


async def _log_on(
    stream: LayeredStream,
    protocol: LineProtocol,
    logon: MailLogon,
    offered: Sequence[str],
    initial_response: bool,
    tags: Iterable[bytes],
) -> Established:
    dialogue = log_on(logon, protocol, offered, initial_response=initial_response, tags=tags)
    turn = await first_turn(dialogue)

    async def ask(turn: Turn) -> Reply:
        stream.write(turn.line)
        await stream.drain()
        return await read_stream(stream, protocol.read(turn.tag))

    with closing_on_error(stream.close):
        ended = await carry_async(dialogue, turn, ask)
        if isinstance(ended, Established) and ended.layer is not None:
            stream.install(ended.layer, unread_is_protected=protocol.speaks_unasked)
    if isinstance(ended, Refused):
        raise ended.error() from ended.cause
    return ended


class LineClient:
    """A client of a protocol of lines: TLS, capabilities, a logon, and then whatever commands its user writes.

    One task uses it at a time. `async with` closes it.

    Attributes:
        protocol: What it speaks.
        stream: The connection.
        listed: What the server listed last.
        security: What authenticate_sasl negotiated; None before.
    """

    def __init__(self, protocol: LineProtocol, stream: LayeredStream, host: str) -> None:
        self.protocol = protocol
        self.stream = stream
        self.listed = Capabilities(None, False, False, {})
        self.security: Security | None = None
        self._host = host
        self._tags = self._make_tags()

    @classmethod
    async def connect(
        cls,
        protocol: LineProtocol,
        host: str,
        port: int | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect, begin TLS and ask for the capabilities.

        Args:
            protocol: One of LINE_PROTOCOLS.
            host: The server's name.
            port: Without it the protocol's usual one.
            tls: The context of TLS from the start.
            starttls: The context of TLS that STARTTLS begins.

        Raises:
            UnsupportedFunction: the server does not begin TLS.
            SaslError: it does not speak the protocol.
            OSError: it cannot be reached, or its certificate is not trusted.
        """
        usual = protocol.tls_port if tls is not None else protocol.port
        if port is None and usual is None:
            raise UnsupportedFunction(f"{protocol.title} has no port that speaks TLS from the start")
        streams = await asyncio.open_connection(
            host, usual if port is None else port, ssl=tls, server_hostname=None if tls is None else host
        )
        return await cls.over(protocol, LayeredStream(*streams), host, starttls=starttls)

    @classmethod
    async def over(
        cls, protocol: LineProtocol, stream: LayeredStream, host: str, *, starttls: ssl.SSLContext | None = None
    ) -> Self:
        """Take over a new connection: read the greeting, begin TLS and ask for the capabilities.

        Args:
            protocol: One of LINE_PROTOCOLS.
            stream: The connection.
            host: The server's name.
            starttls: The context of TLS that STARTTLS begins.

        Raises:
            See connect; the connection is closed.
        """
        client = cls(protocol, stream, host)
        with closing_on_error(client.close):
            if protocol.announces:
                client.listed = await read_stream(client.stream, protocol.read_capabilities(b"*"))
            else:
                greeting = await read_stream(client.stream, protocol.read(b"*"))
                if greeting.kind is ReplyKind.BYE:
                    raise ends_here(greeting.text)
                if not greeting.positive:
                    raise InvalidToken(
                        f"the server's greeting is none: {printable(greeting.text) or 'no reason given'}"
                    )
                await client.capabilities()
            if starttls is not None:
                await client.start_tls(starttls)
        return client

    async def capabilities(self) -> Capabilities:
        """Ask what the server can."""
        tag = next(self._tags)
        await self._send(self.protocol.command(self.protocol.capability, tag))
        self.listed = await read_stream(self.stream, self.protocol.read_capabilities(tag))
        return self.listed

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS, and take the capabilities anew.

        Raises:
            UnsupportedFunction: the server refuses.
            InvalidToken: octets in clear stand behind its reply.
        """
        reply = await self.command(self.protocol.starttls)
        if not reply.positive:
            raise PeerUnsupported("the server does not begin TLS")
        with closing_on_error(self.close):
            await self.stream.start_tls(context, server_hostname=self._host)
            await self._anew()

    async def authenticate_sasl(self, mechanism: MechanismNames = None, **options: Unpack[MailOptions]) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is in force when this returns, and the capabilities were taken anew under it.

        Raises:
            LogonDenied, NoAuthenticatingAuthority, AlgorithmMismatch, PackageNotFound, UnsupportedFunction: the
                server refuses, or nothing is left to try; the connection can be used for another try.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already")
        logon = MailLogon.over(self.stream.get_extra_info("ssl_object"), mechanism, options, host=self._host)
        offered = logon.candidates(self.listed.mechanisms)
        invited = self.listed.initial_response
        ended = await _log_on(self.stream, self.protocol, logon, offered, invited, self._tags)
        if ended.layer is not None:
            with closing_on_error(self.close):
                with layer_is_spoken(self.protocol, ended.security):
                    await self._anew()
                logon.logon.check_not_hidden(ended.security.mechanism, offered, self.listed.mechanisms or ())
        self.security = ended.security
        return ended.security

    async def command(self, text: bytes) -> Reply:
        """Give a command, without tag and CRLF, and return the reply.

        Raises:
            InvalidParameter: the text would be more than one command.
            SaslError: the answer is none.
        """
        check_argument(text)
        tag = next(self._tags)
        await self._send(self.protocol.command(text, tag))
        return await read_stream(self.stream, self.protocol.read(tag))

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()

    async def __aenter__(self) -> Self:
        """Return the client; the end of the block closes it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()
        await self.stream.wait_closed()

    async def _send(self, line: bytes) -> None:
        self.stream.write(line)
        await self.stream.drain()

    async def _anew(self) -> None:
        """Take the capabilities where TLS or a layer has begun; RFC 5804 (2.1, 2.2) has them sent unasked."""
        if self.protocol.announces:
            self.listed = await read_stream(self.stream, self.protocol.read_capabilities(b""))
        else:
            await self.capabilities()

    def _make_tags(self) -> Iterator[bytes]:
        number = 0
        while True:
            number += 1
            yield b"a%d" % number if self.protocol.tagged else b""
