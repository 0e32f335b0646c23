"""SieveServer: a small ManageSieve server on asyncio (RFC 5804): every mechanism and layer, and scripts in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols.sieve import SIEVE
from saslsspi.adapters.mail.strings import literal, string, words
from saslsspi.errors import InvalidToken
from saslsspi.testbed.mail.channel import LineChannel
from saslsspi.testbed.mail.server import MailServer, MailSession

__all__ = ["SieveServer"]


class _SieveSession(MailSession):
    server: SieveServer

    def __init__(self, server: SieveServer, channel: LineChannel) -> None:
        super().__init__(server, channel)
        self._left = False

    async def serve(self) -> None:
        await self._announce()
        while not self._left and (line := await self._read(self.server.limits.line)) is not None:
            name, _, text = line.partition(b" ")
            name = name.upper()
            handler = _HANDLERS.get(name)
            if handler is None:
                await self.send(b'NO "no such command here"')
            elif name in _NEED_LOGIN and self.security is None:
                await self.send(b'NO "not before authentication"')
            else:
                await handler(self, text)

    async def read_response(self) -> bytes | None:
        return await self._read(self.server.limits.response)

    async def _read(self, limit: int) -> bytes | None:
        """Return a line with its literals in place, or None at the end."""
        async with asyncio.timeout(self.server.limits.idle_timeout):
            whole = part = await self.channel.read_line(limit)
            while part is not None and whole is not None and (found := literal(part)) is not None:
                size = int(found[1])
                if len(whole) + size > self.server.limits.message:
                    raise InvalidToken(f"a literal of {size} octets is longer than we read")
                if not found[2]:
                    # Section 1.2: a client's literals "MUST" be of the form that waits for nobody.
                    raise InvalidToken("a client's literal has no plus")
                octets = await self.channel.read_exactly(size)
                part = await self.channel.read_line(limit)
                whole = None if octets is None or part is None else b"".join((whole, b"\r\n", octets, part))
            return whole

    async def _announce(self) -> None:
        """Section 1.7: the capabilities, in the greeting and wherever TLS or a layer has begun."""
        lines = [b'"IMPLEMENTATION" "saslsspi testbed"', b'"SIEVE" "fileinto"', b'"VERSION" "1.0"']
        lines.append(b'"SASL" ' + string(" ".join(self.mechanisms).encode("ascii"), from_client=False))
        if self.may_start_tls and self.security is None:
            lines.append(b'"STARTTLS"')
        if self.security is not None:  # section 1.7: OWNER "MUST NOT" be told before, and "SHOULD" be now
            owner = self.security.authzid or self.security.authcid
            lines.append(b'"OWNER" ' + string(owner.encode(), from_client=False))
        await self.send(*lines, b"OK")

    async def _capability(self, text: bytes) -> None:
        await self._announce()

    async def _authenticate(self, text: bytes) -> None:
        if self.security is not None:
            await self.send(b'NO "authenticated already"')
            return
        await self.authenticate(text)
        if self.security is not None and self.channel.layered:
            # Section 2.1: where there is a layer, the server "MUST" send the capabilities under it.
            await self._announce()

    async def _starttls(self, text: bytes) -> None:
        if not self.may_start_tls or self.security is not None:
            await self.send(b'NO "not here"')
            return
        if not self.channel.at_rest:
            raise InvalidToken("octets are pipelined behind STARTTLS")
        await self.send(b'OK "begin"')
        await self.start_tls()
        await self._announce()

    async def _noop(self, text: bytes) -> None:
        given = _arguments(text)
        # Section 2.13: a tag that is sent comes back.
        await self.send(b"OK (TAG " + string(given[0], from_client=False) + b') "done"' if given else b'OK "nothing"')

    async def _logout(self, text: bytes) -> None:
        await self.send(b'OK "bye"')
        self._left = True

    async def _listscripts(self, text: bytes) -> None:
        active = self.server.active
        lines = [
            string(name, from_client=False) + (b" ACTIVE" if name == active else b"") for name in self.server.scripts
        ]
        await self.send(*lines, b"OK")

    async def _getscript(self, text: bytes) -> None:
        script = self.server.scripts.get((*_arguments(text), b"")[0])
        if script is None:
            await self.send(b'NO (NONEXISTENT) "no such script"')
        else:
            await self.send(b"{%d}\r\n" % len(script) + script, b"OK")

    async def _putscript(self, text: bytes) -> None:
        given = _arguments(text)
        if len(given) != 2 or not given[0]:
            await self.send(b'NO "a name and a script are needed"')
        elif given[0] not in self.server.scripts and len(self.server.scripts) >= self.server.limits.messages:
            await self.send(b'NO (QUOTA/MAXSCRIPTS) "too many scripts"')
        else:
            self.server.scripts[given[0]] = given[1]
            await self.send(b"OK")

    async def _checkscript(self, text: bytes) -> None:
        await self.send(b"OK" if len(_arguments(text)) == 1 else b'NO "one script is needed"')

    async def _havespace(self, text: bytes) -> None:
        await self.send(b"OK")

    async def _setactive(self, text: bytes) -> None:
        name = (*_arguments(text), b"")[0]
        if name and name not in self.server.scripts:
            await self.send(b'NO (NONEXISTENT) "no such script"')
            return
        self.server.active = name
        await self.send(b"OK")

    async def _deletescript(self, text: bytes) -> None:
        name = (*_arguments(text), b"")[0]
        if name == self.server.active and name:
            await self.send(b'NO (ACTIVE) "it is in use"')
        elif self.server.scripts.pop(name, None) is None:
            await self.send(b'NO (NONEXISTENT) "no such script"')
        else:
            await self.send(b"OK")


def _arguments(text: bytes) -> list[bytes]:
    return [word.text for word in words(text) if word.is_string]


_Handler = Callable[[_SieveSession, bytes], Awaitable[None]]

_HANDLERS: Final[dict[bytes, _Handler]] = {
    b"CAPABILITY": _SieveSession._capability,
    b"AUTHENTICATE": _SieveSession._authenticate,
    b"STARTTLS": _SieveSession._starttls,
    b"NOOP": _SieveSession._noop,
    b"LOGOUT": _SieveSession._logout,
    b"LISTSCRIPTS": _SieveSession._listscripts,
    b"GETSCRIPT": _SieveSession._getscript,
    b"PUTSCRIPT": _SieveSession._putscript,
    b"CHECKSCRIPT": _SieveSession._checkscript,
    b"HAVESPACE": _SieveSession._havespace,
    b"SETACTIVE": _SieveSession._setactive,
    b"DELETESCRIPT": _SieveSession._deletescript,
}
_NEED_LOGIN: Final = _HANDLERS.keys() - {b"CAPABILITY", b"AUTHENTICATE", b"STARTTLS", b"NOOP", b"LOGOUT"}


class SieveServer(MailServer):
    """A ManageSieve server with scripts that everybody shares; see MailServer.

    Attributes:
        scripts: By name.
        active: Name of the active one, b"" for none.
    """

    protocol: ClassVar[LineProtocol] = SIEVE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.scripts: dict[bytes, bytes] = {}
        self.active = b""

    def session(self, channel: LineChannel) -> MailSession:
        """Serve one connection."""
        return _SieveSession(self, channel)


SERVER: Final = SieveServer
