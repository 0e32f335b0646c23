"""The IMAP door: LOGIN, and AUTHENTICATE with PLAIN or LOGIN (RFC 9051 section 6.2)."""

from __future__ import annotations

import re
from typing import Final

from saslsspi.adapters.mail.line_protocol import MAX_LINE
from saslsspi.adapters.mail.protocols.imap import IMAP
from saslsspi.adapters.mail.strings import literal
from saslsspi.errors import InvalidToken
from saslsspi.gateway.mail.session import MECHANISMS, MailDoorSession

__all__ = ["ImapDoorSession", "login_arguments"]

_TAG: Final = re.compile(rb'[^\x00-\x20"(){}%*+\\\x7f-\xff]{1,100}\Z')
# Atoms with a backslash too, which Python's imaplib sends for DOMAIN\user.
_ASTRING: Final = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*+)"|\{(\d{1,10})\+?\}\r\n|([^ "(){}\r\n]++)')
_ESCAPED: Final = re.compile(rb'\\(["\\])')
_NOT_PASSED_ON: Final = re.compile(r"AUTH=.*|STARTTLS|LOGINDISABLED|SASL-IR|IMAP4REV1", re.DOTALL)


def login_arguments(text: bytes) -> tuple[bytes, bytes]:
    """Cut what stands behind LOGIN: a name and a password, atoms or strings.

    Raises:
        InvalidToken: it is something else.
    """
    found: list[bytes] = []
    position = 0
    while position < len(text) and len(found) < 2:
        match = _ASTRING.match(text, position)
        if match is None:
            break
        position = match.end()
        if match[2] is not None:
            size = int(match[2])
            found.append(text[position : position + size])
            position += size
        else:
            found.append(match[3] if match[3] is not None else _ESCAPED.sub(rb"\1", match[1]))
        if text[position : position + 1] == b" " and len(found) < 2:
            position += 1
    if len(found) != 2 or position != len(text):
        raise InvalidToken("LOGIN takes a name and a password")
    return found[0], found[1]


class ImapDoorSession(MailDoorSession):
    """A session of IMAP."""

    protocol = IMAP

    def greeting(self) -> bytes:
        """See MailDoorSession."""
        return b"* OK [CAPABILITY " + self._capabilities() + b"] ready"

    def goodbye(self, why: str) -> bytes:
        """See MailDoorSession."""
        return b"* BYE " + why.encode()

    async def command(self, line: bytes) -> None:
        """See MailDoorSession."""
        tag, _, rest = line.partition(b" ")
        if not _TAG.match(tag):
            raise InvalidToken("a command without a tag")
        whole = await self._whole(rest)
        name, _, text = whole.partition(b" ")
        word = name.upper()
        if word == b"CAPABILITY":
            await self.say(b"* CAPABILITY " + self._capabilities(), tag + b" OK done")
        elif word == b"NOOP":
            await self.say(tag + b" OK done")
        elif word == b"ID":
            await self.say(b"* ID NIL", tag + b" OK done")
        elif word == b"LOGOUT":
            await self.leave(b"* BYE", tag + b" OK done")
        elif word == b"STARTTLS" and self.may_start_tls:
            await self.start_tls(tag + b" OK begin")
        elif word == b"AUTHENTICATE":
            await self.authenticate(text, tag)
        elif word == b"LOGIN" and self.takes_passwords:
            try:
                pair = login_arguments(text)
            except InvalidToken as error:
                await self.say(tag + b" BAD " + error.text.encode())
            else:
                await self.log_on("LOGIN", *pair, tag)
        elif word == b"LOGIN":
            await self.authenticate(b"LOGIN", tag)  # which is refused, and recorded
        else:
            await self.say(tag + b" BAD log on first")

    async def _whole(self, line: bytes) -> bytes:
        """Return a command with its literals in place."""
        whole = part = line
        while (found := literal(part)) is not None:
            size = int(found[1])
            if len(whole) + size > MAX_LINE:
                raise InvalidToken(f"a literal of {size} octets is longer than we read")
            if not found[2]:
                await self.say(b"+ go on")
            octets = await self.exactly(size)
            rest = await self.line()
            if rest is None:
                raise InvalidToken("the connection was closed within a command")
            part = rest
            whole = b"".join((whole, b"\r\n", octets, part))
            if len(whole) > MAX_LINE:
                raise InvalidToken("a command with literals is longer than we read")
        return whole

    def _capabilities(self) -> bytes:
        words = ["IMAP4rev1", *(name for name in self.listed if not _NOT_PASSED_ON.fullmatch(name))]
        words += [f"AUTH={name}" for name in MECHANISMS] + ["SASL-IR"] if self.takes_passwords else ["LOGINDISABLED"]
        words += ["STARTTLS"] if self.may_start_tls else []
        return " ".join(words).encode("utf-8", "replace")
