"""Pop3Server: a small POP3 server on asyncio: AUTH with every mechanism and layer, and one mailbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.errors import InvalidToken
from saslsspi.testbed.mail.channel import LineChannel
from saslsspi.testbed.mail.server import MailServer, MailSession

__all__ = ["Pop3Server"]


class _Pop3Session(MailSession):
    def __init__(self, server: MailServer, channel: LineChannel) -> None:
        super().__init__(server, channel)
        self._left = False
        self._deleted: set[int] = set()
        self._messages = tuple(server.mailbox.messages)

    async def serve(self) -> None:
        await self.send(b"+OK saslsspi testbed")
        while not self._left and (line := await self.read_line()) is not None:
            name, _, text = line.partition(b" ")
            name = name.upper()
            handler = _HANDLERS.get(name)
            if handler is None:
                await self.send(b"-ERR no such command here")
            elif name in _NEED_LOGIN and self.security is None:
                await self.send(b"-ERR not before authentication")
            else:
                await handler(self, text.strip())

    async def _capa(self, text: bytes) -> None:
        lines = [b"+OK", b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE"]
        # RFC 5034 section 3: the capability "MUST" stay after a successful AUTH.
        lines.append(" ".join(["SASL", *self.mechanisms]).encode("ascii"))
        if self.may_start_tls and self.security is None:
            lines.append(b"STLS")
        await self.send(*lines, b".")

    async def _auth(self, text: bytes) -> None:
        # RFC 5034 section 4: only in AUTHORIZATION state, and only one success in a session.
        if self.security is not None:
            await self.send(b"-ERR authenticated already")
        elif not text:
            # Before RFC 5034 a bare AUTH asked for the list; some clients still do.
            await self.send(b"+OK", *(name.encode("ascii") for name in self.mechanisms), b".")
        else:
            await self.authenticate(text)
            self._messages = tuple(self.server.mailbox.messages)

    async def _stls(self, text: bytes) -> None:
        if not self.may_start_tls or self.security is not None:
            await self.send(b"-ERR not here")
            return
        if not self.channel.at_rest:
            raise InvalidToken("octets are pipelined behind STLS")
        await self.send(b"+OK begin")
        await self.start_tls()

    async def _user(self, text: bytes) -> None:
        await self.send(b"-ERR use AUTH")

    async def _noop(self, text: bytes) -> None:
        await self.send(b"+OK")

    async def _quit(self, text: bytes) -> None:
        await self.send(b"+OK bye")
        self._left = True

    async def _stat(self, text: bytes) -> None:
        kept = [message for number, message in self._kept()]
        await self.send(b"+OK %d %d" % (len(kept), sum(map(len, kept))))

    async def _list(self, text: bytes) -> None:
        await self._enumerate(text, lambda number, message: b"%d %d" % (number, len(message)))

    async def _uidl(self, text: bytes) -> None:
        await self._enumerate(text, lambda number, message: b"%d m%d" % (number, number))

    async def _retr(self, text: bytes) -> None:
        message = self._find(text)
        if message is None:
            await self.send(b"-ERR no such message")
        else:
            await self.send(b"+OK", *_stuffed(message), b".")

    async def _top(self, text: bytes) -> None:
        number, _, count = text.partition(b" ")
        message = self._find(number)
        if message is None or not count.isdigit() or len(count) > 9:
            await self.send(b"-ERR no such message")
            return
        head, _, body = message.partition(b"\r\n\r\n")
        await self.send(b"+OK", *_stuffed(head), b"", *_stuffed(body)[: int(count)], b".")

    async def _dele(self, text: bytes) -> None:
        if self._find(text) is None:
            await self.send(b"-ERR no such message")
        else:
            self._deleted.add(int(text))
            await self.send(b"+OK")

    async def _rset(self, text: bytes) -> None:
        self._deleted.clear()
        await self.send(b"+OK")

    async def _enumerate(self, text: bytes, describe: Callable[[int, bytes], bytes]) -> None:
        if not text:
            await self.send(b"+OK", *(describe(number, message) for number, message in self._kept()), b".")
        elif (message := self._find(text)) is not None:
            await self.send(b"+OK " + describe(int(text), message))
        else:
            await self.send(b"-ERR no such message")

    def _kept(self) -> list[tuple[int, bytes]]:
        return [pair for pair in enumerate(self._messages, 1) if pair[0] not in self._deleted]

    def _find(self, text: bytes) -> bytes | None:
        if not text.isdigit() or len(text) > 9:
            return None
        return dict(self._kept()).get(int(text))


_Handler = Callable[[_Pop3Session, bytes], Awaitable[None]]

_HANDLERS: Final[dict[bytes, _Handler]] = {
    b"CAPA": _Pop3Session._capa,
    b"AUTH": _Pop3Session._auth,
    b"STLS": _Pop3Session._stls,
    b"USER": _Pop3Session._user,
    b"NOOP": _Pop3Session._noop,
    b"QUIT": _Pop3Session._quit,
    b"STAT": _Pop3Session._stat,
    b"LIST": _Pop3Session._list,
    b"UIDL": _Pop3Session._uidl,
    b"RETR": _Pop3Session._retr,
    b"TOP": _Pop3Session._top,
    b"DELE": _Pop3Session._dele,
    b"RSET": _Pop3Session._rset,
}
_NEED_LOGIN: Final = _HANDLERS.keys() - {b"CAPA", b"AUTH", b"STLS", b"USER", b"QUIT"}


def _stuffed(message: bytes) -> list[bytes]:
    """Return a message's lines with their leading dots doubled (RFC 1939 section 3)."""
    lines = message.removesuffix(b"\r\n").split(b"\r\n")
    return [b"." + line if line.startswith(b".") else line for line in lines]


class Pop3Server(MailServer):
    """A POP3 server with one mailbox that everybody shares; see MailServer. Deletion lasts for the session."""

    protocol: ClassVar[LineProtocol] = POP3

    def session(self, channel: LineChannel) -> MailSession:
        """Serve one connection."""
        return _Pop3Session(self, channel)


SERVER: Final = Pop3Server
