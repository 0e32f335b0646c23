"""ImapServer: a small IMAP4rev1 server on asyncio: AUTHENTICATE with every mechanism and layer, and one mailbox."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, NamedTuple

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols.imap import IMAP
from saslsspi.errors import InvalidToken
from saslsspi.testbed.mail.channel import LineChannel
from saslsspi.testbed.mail.server import MailServer, MailSession

__all__ = ["ImapServer"]

_LITERAL: Final = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_BODY: Final = re.compile(rb"BODY(?:\.PEEK)?\[([A-Z.]*)\]|(RFC822)(?![.A-Z])")
_MAX_LITERALS: Final = 8
_WORD: Final = re.compile(rb"[!-~]{1,64}\Z")


class _Command(NamedTuple):
    tag: bytes
    name: bytes
    text: bytes
    literals: list[bytes]


class _ImapSession(MailSession):
    def __init__(self, server: MailServer, channel: LineChannel) -> None:
        super().__init__(server, channel)
        self._selected = False
        self._left = False

    async def serve(self) -> None:
        # RFC 3501 section 6.2.2 and RFC 4954 section 9 in one: what would be refused is not listed.
        await self.send(b"* OK [" + self._capabilities() + b"] saslsspi testbed")
        while not self._left and (command := await self._read_command()) is not None:
            handler = _HANDLERS.get(command.name)
            if handler is None:
                await self.send(command.tag + b" BAD no such command here")
            elif command.name in _NEED_LOGIN and self.security is None:
                await self.send(command.tag + b" BAD not before authentication")
            else:
                await handler(self, command)

    async def _read_command(self) -> _Command | None:
        """Return the next command with its literals, or None at the end.

        Raises:
            InvalidToken: it is larger than a client may ask for.
        """
        line = await self.read_line()
        if line is None:
            return None
        literals: list[bytes] = []
        text = line
        while (found := _LITERAL.search(line)) is not None:
            size, synchronizing = int(found[1]), not found[2]
            # Nobody gets memory here before authentication, and an initial response is no literal (RFC 9051 6.2.2).
            if size > (self.server.limits.message if self.security else 0) or len(literals) == _MAX_LITERALS:
                tag = text.split(b" ")[0]
                await self.send((tag if _WORD.match(tag) else b"*") + b" BAD literal refused")
                if not synchronizing:
                    raise InvalidToken(f"a literal of {size} octets is announced")
                return await self._read_command()
            if synchronizing:
                await self.send(b"+ go on")
            octets = await self.channel.read_exactly(size)
            rest = await self.read_line()
            if octets is None or rest is None:
                return None
            literals.append(octets)
            line = rest
            text += rest
        tag, _, text = text.partition(b" ")
        name, _, text = text.partition(b" ")
        return _Command(tag if _WORD.match(tag) else b"*", name.upper(), text, literals)

    def _capabilities(self) -> bytes:
        # AUTH= stays under a layer: what was listed in clear can be compared there (RFC 4422 section 6.1.2).
        words = ["CAPABILITY IMAP4rev1", *(f"AUTH={name}" for name in self.mechanisms), "SASL-IR LITERAL+ NAMESPACE"]
        if self.security is None:
            words.append("LOGINDISABLED")
            if self.may_start_tls:
                words.append("STARTTLS")
        return " ".join(words).encode("ascii")

    async def _capability(self, command: _Command) -> None:
        await self.send(b"* " + self._capabilities(), command.tag + b" OK done")

    async def _noop(self, command: _Command) -> None:
        await self.send(command.tag + b" OK done")

    async def _logout(self, command: _Command) -> None:
        await self.send(b"* BYE", command.tag + b" OK done")
        self._left = True

    async def _starttls(self, command: _Command) -> None:
        if not self.may_start_tls or self.security is not None:
            await self.send(command.tag + b" BAD not here")
            return
        if not self.channel.at_rest:
            raise InvalidToken("octets are pipelined behind STARTTLS")
        await self.send(command.tag + b" OK begin")
        await self.start_tls()

    async def _authenticate(self, command: _Command) -> None:
        if self.security is not None:
            await self.send(command.tag + b" BAD authenticated already")
            return
        await self.authenticate(command.text, command.tag)

    async def _login(self, command: _Command) -> None:
        await self.send(command.tag + b" NO [PRIVACYREQUIRED] use AUTHENTICATE")

    async def _namespace(self, command: _Command) -> None:
        await self.send(b'* NAMESPACE (("" "/")) NIL NIL', command.tag + b" OK done")

    async def _list(self, command: _Command) -> None:
        await self.send(b'* LIST () "/" INBOX', command.tag + b" OK done")

    async def _select(self, command: _Command) -> None:
        if not _names_inbox(command):
            await self.send(command.tag + b" NO no such mailbox")
            return
        self._selected = True
        await self.send(
            b"* FLAGS (\\Seen)",
            b"* %d EXISTS" % len(self.server.mailbox.messages),
            b"* 0 RECENT",
            b"* OK [UIDVALIDITY 1] one mailbox",
            command.tag + b" OK [READ-WRITE] done",
        )

    async def _status(self, command: _Command) -> None:
        count = len(self.server.mailbox.messages)
        await self.send(b"* STATUS INBOX (MESSAGES %d)" % count, command.tag + b" OK done")

    async def _append(self, command: _Command) -> None:
        if not command.literals or not command.text.upper().lstrip(b'"').startswith(b"INBOX"):
            await self.send(command.tag + b" BAD syntax: APPEND INBOX [flags] [date] literal")
        elif self.server.mailbox.add(command.literals[-1]):
            await self.send(command.tag + b" OK done")
        else:
            await self.send(command.tag + b" NO [OVERQUOTA] the mailbox is full")

    async def _fetch(self, command: _Command) -> None:
        numbers, _, items = command.text.partition(b" ")
        messages = self.server.mailbox.messages
        chosen = _numbers(numbers, len(messages))
        if not self._selected or chosen is None:
            await self.send(command.tag + b" BAD nothing to fetch")
            return
        items = items.upper()
        for number in chosen:
            await self.send(_fetched(number, messages[number - 1], items))
        await self.send(command.tag + b" OK done")

    async def _uid(self, command: _Command) -> None:
        name, _, text = command.text.partition(b" ")
        if name.upper() != b"FETCH":
            await self.send(command.tag + b" BAD only FETCH goes by UID")
            return
        await self._fetch(command._replace(text=text))

    async def _search(self, command: _Command) -> None:
        found = b"".join(b" %d" % (number + 1) for number in range(len(self.server.mailbox.messages)))
        await self.send(b"* SEARCH" + found, command.tag + b" OK done")


_Handler = Callable[[_ImapSession, _Command], Awaitable[None]]

_HANDLERS: Final[dict[bytes, _Handler]] = {
    b"CAPABILITY": _ImapSession._capability,
    b"NOOP": _ImapSession._noop,
    b"LOGOUT": _ImapSession._logout,
    b"STARTTLS": _ImapSession._starttls,
    b"AUTHENTICATE": _ImapSession._authenticate,
    b"LOGIN": _ImapSession._login,
    b"NAMESPACE": _ImapSession._namespace,
    b"LIST": _ImapSession._list,
    b"SELECT": _ImapSession._select,
    b"EXAMINE": _ImapSession._select,
    b"STATUS": _ImapSession._status,
    b"APPEND": _ImapSession._append,
    b"FETCH": _ImapSession._fetch,
    b"UID": _ImapSession._uid,
    b"SEARCH": _ImapSession._search,
}
_NEED_LOGIN: Final = _HANDLERS.keys() - {
    b"CAPABILITY",
    b"NOOP",
    b"LOGOUT",
    b"STARTTLS",
    b"AUTHENTICATE",
    b"LOGIN",
}


def _names_inbox(command: _Command) -> bool:
    if command.literals:
        return command.literals[0].upper() == b"INBOX"
    quoted = _QUOTED.match(command.text)
    name = quoted[1] if quoted else command.text.partition(b" ")[0]
    return name.upper() == b"INBOX"


def _numbers(text: bytes, count: int) -> list[int] | None:
    """Return the messages of a set such as 1:3,5 or 1:*; None where it names one that is not there."""
    chosen: list[int] = []
    for part in text.split(b","):
        ends = [str(count).encode() if end == b"*" else end for end in part.split(b":")]
        if len(ends) > 2 or not all(end.isdigit() and len(end) < 10 for end in ends):
            return None
        first, last = sorted((int(ends[0]), int(ends[-1])))
        if not 0 < first <= last <= count or len(chosen) > count:
            return None
        chosen += range(first, last + 1)
    return chosen


def _fetched(number: int, message: bytes, items: bytes) -> bytes:
    parts = [b"UID %d" % number]
    if b"FLAGS" in items:
        parts.append(b"FLAGS ()")
    if b"RFC822.SIZE" in items:
        parts.append(b"RFC822.SIZE %d" % len(message))
    for found in _BODY.finditer(items):
        section = found[1] or b""
        head, blank, text = message.partition(b"\r\n\r\n")
        body = {b"HEADER": head + blank, b"TEXT": text}.get(section, message)
        name = b"RFC822" if found[2] else b"BODY[" + section + b"]"
        parts.append(name + b" {%d}\r\n" % len(body) + body)
    return b"* %d FETCH (" % number + b" ".join(parts) + b")"


class ImapServer(MailServer):
    """An IMAP server with one mailbox, INBOX, that everybody shares; see MailServer."""

    protocol: ClassVar[LineProtocol] = IMAP

    def session(self, channel: LineChannel) -> MailSession:
        """Serve one connection."""
        return _ImapSession(self, channel)


SERVER: Final = ImapServer
