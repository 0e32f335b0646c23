r"""SASL over an asyncio stream, for mail clients of any make: SMTP, IMAP or POP3 on a LayeredStream.

stream = LayeredStream(*await asyncio.open_connection("mail.example.com", 143))
...  # greeting, CAPABILITY
security = await authenticate_stream(stream, ImapLines(b"a1"), ["DIGEST-MD5"], host="mail.example.com",
                                     credentials=Password("alice", "wonderland"))
stream.write(b"a2 CAPABILITY\r\n")  # under the layer, if there is one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, Unpack

from saslsspi.adapters.mail.dialogue import MAX_LINE, Profile, Refused, Reply, ReplyKind
from saslsspi.adapters.mail.imap import IMAP_PROFILE, imap_reply_kind
from saslsspi.adapters.mail.logon import Dialogue, Established, Logon, LogonOptions, closing_on_error, ended_of, log_on
from saslsspi.adapters.mail.pop3 import POP3_PROFILE, pop3_reply
from saslsspi.adapters.mail.smtp import SMTP_PROFILE, reply_kind
from saslsspi.adapters.stream import LayeredStream
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken

__all__ = ["ImapLines", "Lines", "Pop3Lines", "SmtpLines", "authenticate_stream"]

_MAX_OTHER_LINES: Final = 1000


class Lines(Protocol):
    """How a protocol writes the command and sorts the lines that answer it."""

    profile: Profile

    def command(self, arguments: bytes) -> bytes:
        """Return the command's line, without its CRLF."""

    def reply(self, line: bytes) -> Reply | None:
        """Sort a line of the server, without its CRLF; None for one that is no answer, or not yet."""


class SmtpLines:
    """RFC 4954."""

    profile = SMTP_PROFILE

    def command(self, arguments: bytes) -> bytes:
        """Return AUTH and its arguments."""
        return b"AUTH " + arguments

    def reply(self, line: bytes) -> Reply | None:
        """Sort a reply; lines with a hyphen are followed by others."""
        if not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
            raise InvalidToken("the server's reply to AUTH is not an SMTP reply")
        return None if line[3:4] == b"-" else Reply(reply_kind(int(line[:3])), line[4:])


class Pop3Lines:
    """RFC 5034."""

    profile = POP3_PROFILE

    def command(self, arguments: bytes) -> bytes:
        """Return AUTH and its arguments."""
        return b"AUTH " + arguments

    def reply(self, line: bytes) -> Reply | None:
        """Sort a reply."""
        return pop3_reply(line)


class ImapLines:
    """RFC 9051; the tag must be one that the connection has not used."""

    profile = IMAP_PROFILE

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._tries = 0

    def command(self, arguments: bytes) -> bytes:
        """Return a tag, AUTHENTICATE and its arguments; a further mechanism gets a further tag."""
        self._tries += 1
        return self._current + b" AUTHENTICATE " + arguments

    def reply(self, line: bytes) -> Reply | None:
        """Sort a response; untagged ones are no answer."""
        first, _, rest = line.partition(b" ")
        if first == b"+":
            return Reply(ReplyKind.CHALLENGE, rest)
        if first == b"*":
            return None
        if first != self._current:
            raise InvalidToken("the server's answer to AUTHENTICATE is not an IMAP response")
        status, _, text = rest.partition(b" ")
        return Reply(imap_reply_kind(status.decode("ascii", "replace").upper(), text), text)

    @property
    def _current(self) -> bytes:
        return self._tag if self._tries < 2 else self._tag + b".%d" % self._tries


async def authenticate_stream(
    stream: LayeredStream,
    lines: Lines,
    offered: Sequence[str],
    mechanism: str | Sequence[str] | None = None,
    *,
    initial_response_invited: bool = True,
    **options: Unpack[LogonOptions],
) -> Security:
    """Authenticate, and put the layer into force on the stream; then ask for the capabilities anew.

    Args:
        stream: Stands before a command.
        lines: The protocol.
        offered: The mechanisms that the server lists.
        mechanism: A name, names in order of preference, or None for the strongest.
        initial_response_invited: Whether the server takes one: IMAP's SASL-IR.
        **options: See LogonOptions; `host` is needed.

    Raises:
        LogonDenied, NoAuthenticatingAuthority, AlgorithmMismatch, PackageNotFound: the server refuses, or nothing is
            left to try; the stream stands before a command again.
        SaslError: the exchange failed, and the stream is closed.
    """
    logon = Logon.over(stream.get_extra_info("ssl_object"), mechanism, options, host=options.get("host", ""))
    dialogue = log_on(logon, lines.profile, offered, initial_response=initial_response_invited)
    arguments = next(dialogue)
    with closing_on_error(stream.close):
        ended = await _carry(stream, lines, dialogue, arguments)
        if isinstance(ended, Established) and ended.layer is not None:
            stream.install(ended.layer)
    if isinstance(ended, Refused):
        raise ended.error()
    return ended.security


async def _carry(stream: LayeredStream, lines: Lines, dialogue: Dialogue, arguments: bytes) -> Established | Refused:
    line = lines.command(arguments)
    while True:
        stream.write(line + b"\r\n")
        await stream.drain()
        reply = await _read_reply(stream, lines)
        try:
            line = dialogue.send(reply)
        except StopIteration as stop:
            return ended_of(stop)
        if reply.kind is not ReplyKind.CHALLENGE:
            line = lines.command(line)


async def _read_reply(stream: LayeredStream, lines: Lines) -> Reply:
    for _ in range(_MAX_OTHER_LINES):
        line = await stream.readline(MAX_LINE)
        if not line:
            raise InvalidToken("the connection ended in the middle of the exchange")
        reply = lines.reply(line.rstrip(b"\r\n"))
        if reply is not None:
            return reply
    raise InvalidToken(f"the server sends more than {_MAX_OTHER_LINES} lines that are no answer")
