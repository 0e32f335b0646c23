"""Dovecot's authentication protocol, the side that Dovecot itself plays: one connection of Postfix, Exim or Dovecot.

Exchanges of one connection run side by side. What the mechanism says with success goes as one more challenge, since
carriers have no room for it in OK.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from base64 import b64encode
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Final

from saslsspi.authd.crowd import Guest
from saslsspi.authd.exchanges import Door
from saslsspi.authd.words import MAX_LINE, AuthCommand, Continuation, line, read_auth, read_continuation
from saslsspi.engine.hooks.audit import audited_from
from saslsspi.engine.policy import Property
from saslsspi.errors import InvalidToken, NoAuthenticatingAuthority, NoImpersonation, SaslError, TemporarilyUnavailable
from saslsspi.sasl.registry import find_mechanism
from saslsspi.sasl.server import Server

__all__ = ["MAX_LINE", "serve_dovecot"]

_MAJOR, _MINOR = "1", "2"
_CONNECTIONS: Final = count(1)
# What a mechanism of ours is called there; a word for what it lacks, and for what it has.
_LACKING: Final = {Property.NO_PLAINTEXT: "plaintext", Property.NO_DICTIONARY: "dictionary"}
_HAVING: Final = {Property.MUTUAL: "mutual-auth", Property.FORWARD_SECRECY: "forward-secrecy"}


def greeting(mechanisms: tuple[str, ...]) -> bytes:
    """Return the service's half of the handshake."""
    words = [line("VERSION", _MAJOR, _MINOR)]
    for name in mechanisms:
        has = find_mechanism(name).properties
        described = [word for flag, word in _LACKING.items() if not has & flag]
        described += [word for flag, word in _HAVING.items() if has & flag]
        described += ["anonymous"] if not has & Property.NO_ANONYMOUS else []
        words.append(line("MECH", name, *described))
    words += [line("SPID", str(os.getpid())), line("CUID", str(next(_CONNECTIONS)))]
    return b"".join([*words, line("COOKIE", secrets.token_hex(16)), line("DONE")])


async def serve_dovecot(
    door: Door, guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:  # fmt: skip
    """Serve one connection until it ends.

    Raises:
        InvalidToken: it does not speak the protocol; what it began is given up.
    """
    writer.write(greeting(door.mechanisms))
    await _Connection(door, writer).serve(guest, reader)


class _Exchange:
    """One exchange: the server, and who asks."""

    def __init__(self, server: Server, peer: str) -> None:
        self.server = server
        self.peer = peer
        self.busy = True  # a step runs, and nothing is awaited from the client
        self.timer: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Nothing more is to come."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.server.done:
            with audited_from(self.peer):
                self.server.abort()


class _Connection:
    def __init__(self, door: Door, writer: asyncio.StreamWriter) -> None:
        self._door = door
        self._writer = writer
        self._running: dict[str, _Exchange] = {}
        self._working = 0
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "VERSION": self._version,
            "CPID": _ignore,
            "AUTH": self._auth,
            "CONT": self._continue,
            "CANCEL": self._cancel,
        }

    async def serve(self, guest: Guest, reader: asyncio.StreamReader) -> None:
        guest.idle = lambda: not (self._running or self._working)
        async with asyncio.TaskGroup() as self._tasks:
            try:
                while octets := await _line(reader):
                    guest.heard()
                    command, *parameters = octets.decode("utf-8", "surrogateescape").split("\t")
                    # "If optional parameter name is unknown, the parameter should just be ignored"; so are commands.
                    self._commands.get(command, _ignore)(parameters)
                    await self._writer.drain()
            finally:
                for number in list(self._running):
                    self._drop(number)

    def _version(self, parameters: list[str]) -> None:
        if parameters[:1] != [_MAJOR]:
            raise InvalidToken(f"version {parameters[:1]} of the protocol is not spoken here")

    def _auth(self, parameters: list[str]) -> None:
        command = read_auth(parameters)
        if command.number in self._running:
            raise InvalidToken("a request's number is used twice")
        if len(self._running) >= self._door.limits.exchanges:
            self._say("FAIL", command.number, "temp")
            return
        self._tasks.create_task(self._answered(command.number, self._begin(command)))

    async def _begin(self, command: AuthCommand) -> None:
        try:
            server = self._door.server(
                command.mechanism,
                service=command.service or "smtp",
                secured=command.secured,
                certificate_user=command.certificate_user,
                peer=command.peer,
            )
        except SaslError as error:
            await self._fail(command.number, error)
            return
        exchange = self._running[command.number] = _Exchange(server, command.peer)
        exchange.timer = asyncio.get_running_loop().call_later(
            self._door.limits.exchange_seconds, self._give_up, command.number, exchange
        )
        await self._step(command.number, exchange, command.response)

    def _give_up(self, number: str, exchange: _Exchange) -> None:
        """End an exchange that takes too long; where a thread is in it, it ends when that comes back."""
        if self._running.get(number) is exchange:
            self._drop(number)
            self._say("FAIL", number, "temp")

    def _continue(self, parameters: list[str]) -> None:
        said: Continuation = read_continuation(parameters)
        exchange = self._running.get(said.number)
        if exchange is None:
            self._say("FAIL", said.number)
            return
        if exchange.busy:
            raise InvalidToken("a client speaks before it was answered")
        exchange.busy = True
        self._tasks.create_task(self._answered(said.number, self._step(said.number, exchange, said.response)))

    def _cancel(self, parameters: list[str]) -> None:
        if parameters:
            self._drop(parameters[0])

    def _drop(self, number: str) -> None:
        """End an exchange; one that is in the middle of a step is ended by that, since a thread is in it."""
        exchange = self._running.pop(number, None)
        if exchange is not None and not exchange.busy:
            exchange.end()

    async def _answered(self, number: str, work: Coroutine[Any, Any, None]) -> None:
        """Do a request's work; a client whose request's task is cancelled is told so."""
        self._working += 1
        try:
            await work
        except asyncio.CancelledError:
            self._drop(number)
            self._say("FAIL", number, "temp")
            raise
        finally:
            self._working -= 1

    async def _step(self, number: str, exchange: _Exchange, response: bytes | None) -> None:
        try:
            reply = await self._door.step(exchange.server, response, exchange.peer)
        except asyncio.CancelledError:
            exchange.end()
            raise
        except SaslError as error:
            exchange.end()
            if self._running.get(number) is exchange:
                del self._running[number]
                await self._fail(number, error)
            return
        if self._running.get(number) is not exchange:  # it was cancelled meanwhile
            exchange.end()
            return
        if exchange.server.done:
            del self._running[number]
            exchange.end()
            security = exchange.server.security
            self._say("OK", number, f"user={security.authzid or security.authcid}")
        else:
            exchange.busy = False
            self._say("CONT", number, b64encode(reply or b"").decode())

    async def _fail(self, number: str, error: SaslError) -> None:
        await self._door.hold_back(error)
        away = isinstance(error, NoAuthenticatingAuthority | TemporarilyUnavailable)
        self._say("FAIL", number, *(["temp"] if away else ["authz"] if isinstance(error, NoImpersonation) else []))

    def _say(self, command: str, *parameters: str) -> None:
        if not self._writer.is_closing():
            self._writer.write(line(command, *parameters))


def _ignore(parameters: list[str]) -> None:
    pass


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line without its end, b"" where there is none any more.

    Raises:
        InvalidToken: it is too long.
    """
    try:
        octets = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""
    except asyncio.LimitOverrunError:
        raise InvalidToken(f"a line is longer than {MAX_LINE} octets") from None
    return octets[:-1] or b"\t"
