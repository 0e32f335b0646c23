"""One client of a mail door: greeted, logged on at a server, and carried line by line from there on.

Before the logon the gateway answers by itself, with what the server can; a protocol's words are in the subclass. Behind
it octets are carried as they are, in both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import ClassVar, Final, cast

from saslsspi.adapters.mail.asyncio_stream import LineClient
from saslsspi.adapters.mail.dialogue import CANCEL, EMPTY_INITIAL_RESPONSE, MAX_LINE, decode_line
from saslsspi.adapters.mail.line_protocol import LineProtocol, Verdict
from saslsspi.engine.hooks.audit import Attempt
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken, LogonDenied, NoAuthenticatingAuthority, SaslError
from saslsspi.gateway.door import GatewayDoor, guesses
from saslsspi.gateway.mail.upstream import MailUpstream
from saslsspi.gateway.streams import PIECE, CarriedStream
from saslsspi.gateway.watch import ABANDONED, Watch, unless_gone

__all__ = ["MailDoorSession"]

_LOG: Final = logging.getLogger("saslsspi.gateway")
_MOST_COMMANDS: Final = 100  # before a logon
_MOST_FAILURES: Final = 3
_PROMPTS: Final = (b"Username:", b"Password:")
MECHANISMS: Final = ("PLAIN", "LOGIN")


class MailDoorSession(ABC):
    """A session.

    Args:
        door: Where the client came in.
        upstream: Where it is logged on.
        client: Its connection.
        peer: Where it is.
    """

    protocol: ClassVar[LineProtocol]

    def __init__(self, door: GatewayDoor, upstream: MailUpstream, client: CarriedStream, peer: str) -> None:
        self._door = door
        self._upstream = upstream
        self._client = client
        self._peer = peer
        self._server: LineClient | None = None
        self._logged_on = False
        self._left = False
        self._failures = 0
        self._watch = Watch(door.limits)

    async def serve(self) -> None:
        """Serve until either side leaves, or a limit is reached."""
        try:
            await self._serve()
        except asyncio.CancelledError:
            await self._say_goodbye(self._watch.why or "the gateway ends")
            if not self._watch.took_note():
                raise
            _LOG.info("%s: the connection ends: %s", self._peer, self._watch.why)
        except NoAuthenticatingAuthority as error:
            _LOG.warning("%s: the connection ends: %s", self._peer, error.text)
            await self._say_goodbye("the server is not available")
        except InvalidToken as error:
            _LOG.info("%s: the connection ends: %s", self._peer, error.text)
            await self._say_goodbye("that is not understood here")
        except (SaslError, OSError) as error:
            _LOG.info("%s: the connection ends: %s", self._peer, error)
        finally:
            self._watch.stop()
            try:
                await self._client.end()
            finally:
                await self._leave()

    async def _serve(self) -> None:
        self._server = await unless_gone(self._client, self._upstream.connect())
        await self.say(self.greeting())
        for _ in range(_MOST_COMMANDS):
            line = await self.line()
            if line is None:
                return
            await self.command(line)
            del line  # a password may be in it, and its logon is over
            if self._logged_on:
                await self._carry()
                return
            if self._left:
                return
            if self._failures >= _MOST_FAILURES:
                await self._say_goodbye("too many refusals")
                return
        await self._say_goodbye("too many commands before a logon")

    # What a protocol has words for

    @abstractmethod
    def greeting(self) -> bytes:
        """Return the first line, without CRLF."""

    @abstractmethod
    def goodbye(self, why: str) -> bytes:
        """Return the line that ends a session, without CRLF."""

    @abstractmethod
    async def command(self, line: bytes) -> None:
        """Take a command, without CRLF."""

    # What its subclass uses

    @property
    def takes_passwords(self) -> bool:
        """Whether a password may come now."""
        return self._client.tls is not None or self._door.listener.takes_clear

    @property
    def may_start_tls(self) -> bool:
        """Whether TLS can begin."""
        return self._door.context is not None and self._client.tls is None

    @property
    def listed(self) -> dict[str, str]:
        """What the server lists, by name."""
        return {} if self._server is None else dict(self._server.listed.values)

    async def say(self, *lines: bytes) -> None:
        """Send lines, which have no CRLF."""
        self._client.write(b"".join(line + b"\r\n" for line in lines))
        await self._client.drain()

    async def line(self) -> bytes | None:
        """Return the client's next line without its end; None where it has left."""
        line = await self._client.readline(MAX_LINE)
        self._watch.touch()
        return line[:-1].removesuffix(b"\r") if line else None

    async def exactly(self, size: int) -> bytes:
        """Return so many octets of the client's."""
        return await self._client.readexactly(size)

    async def leave(self, *lines: bytes) -> None:
        """Send last lines."""
        self._left = True
        await self.say(*lines)

    async def start_tls(self, reply: bytes) -> None:
        """Agree to TLS with a line, and begin it."""
        context = self._door.context
        assert context is not None
        await self.say(reply)
        async with asyncio.timeout(self._door.limits.logon_seconds):
            await self._client.start_tls(context)

    async def authenticate(self, arguments: bytes, tag: bytes = b"") -> None:
        """Take AUTH or AUTHENTICATE with PLAIN or LOGIN: a mechanism and perhaps an initial response, in base64."""
        name, _, initial = arguments.partition(b" ")
        mechanism = name.decode("ascii", "replace").upper()
        if mechanism not in MECHANISMS or not self.takes_passwords:
            Attempt(mechanism if mechanism in MECHANISMS else "an unknown mechanism").refused(
                LogonDenied("start TLS before a password" if mechanism in MECHANISMS else "PLAIN or LOGIN come in here")
            )
            self._failures += 1
            await self.say(self.protocol.reply(Verdict.UNSUITABLE, None, tag))
            return
        try:
            given = None if not initial else b"" if initial == EMPTY_INITIAL_RESPONSE else decode_line(initial)
            pair = await (self._plain(given) if mechanism == "PLAIN" else self._login(given))
        except InvalidToken as error:
            self._failures += 1
            Attempt(mechanism).refused(error)
            await self.say(self.protocol.reply(Verdict.UNDECODABLE, None, tag))
            return
        if pair is None:
            Attempt(mechanism).refused(LogonDenied(ABANDONED))
            await self.say(self.protocol.reply(Verdict.CANCELLED, None, tag))
        else:
            await self.log_on(mechanism, *pair, tag)

    async def log_on(self, how: str, name: bytes, password: bytes, tag: bytes = b"") -> None:
        """Log somebody on, and say what became of it."""

        async def work() -> tuple[None, Security]:
            try:
                user, secret = name.decode(), password.decode()
            except UnicodeDecodeError:
                raise LogonDenied("the name or the password is not UTF-8") from None
            if not user or not secret or "\0" in user + secret:
                raise LogonDenied("a name and a password are needed")
            self._server = self._server or await self._upstream.connect()
            try:
                return None, await self._upstream.log_on(self._server, user, secret)
            except BaseException:
                cast("CarriedStream", self._server.stream).abort()
                self._server = None
                raise

        self._watch.changed(logged_on=True)
        try:
            shown = name.decode("utf-8", "replace")
            await unless_gone(self._client, self._door.audited(how, shown, self._peer, work))
        except SaslError as error:
            self._watch.changed(logged_on=False)
            self._failures += 1
            await self.say(self.protocol.reply(Verdict.DENIED if guesses(error) else Verdict.TEMPORARY, None, tag))
            return
        self._watch.changed(logged_on=True)
        self._logged_on = True
        await self.say(self.protocol.reply(Verdict.SUCCESS, None, tag))

    async def _plain(self, initial: bytes | None) -> tuple[bytes, bytes] | None:
        message = initial if initial is not None else await self._asked(b"")
        if message is None:
            return None
        fields = message.split(b"\0")
        if len(fields) != 3:
            raise InvalidToken("a PLAIN message has three fields")
        authzid, name, password = fields
        if authzid not in (b"", name):
            raise InvalidToken("nobody acts as another through a gateway")
        return name, password

    async def _login(self, initial: bytes | None) -> tuple[bytes, bytes] | None:
        name = initial if initial is not None else await self._asked(_PROMPTS[0])
        password = None if name is None else await self._asked(_PROMPTS[1])
        return None if name is None or password is None else (name, password)

    async def _asked(self, challenge: bytes) -> bytes | None:
        """Send a challenge and return the response, None where the client gives up."""
        await self.say(self.protocol.challenge(b64encode(challenge)))
        line = await self.line()
        if line is None:
            raise LogonDenied("the client has left in the middle of its logon")
        return None if line == CANCEL else decode_line(line)

    # What is carried

    async def _carry(self) -> None:
        assert self._server is not None
        server = cast("CarriedStream", self._server.stream)
        copying = {
            asyncio.create_task(self._copy(self._client, server)),
            asyncio.create_task(self._copy(server, self._client)),
        }
        try:
            ended, _ = await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in copying:
                task.cancel()
            await asyncio.wait(copying)
        for task in ended:
            task.result()

    async def _copy(self, source: CarriedStream, sink: CarriedStream) -> None:
        while octets := await source.read(PIECE):
            self._watch.touch()
            sink.write(octets)
            await sink.drain()

    async def _leave(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await cast("CarriedStream", server.stream).end()

    async def _say_goodbye(self, why: str) -> None:
        if not self._logged_on:  # else a server's line may be half out
            with contextlib.suppress(OSError, SaslError):
                self._client.write(self.goodbye(why) + b"\r\n")
