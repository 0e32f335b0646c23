"""An IMAP, SMTP or POP3 server somewhere (RFC 3501 and 9051, RFC 4954, RFC 5034)."""

from __future__ import annotations

import base64
import binascii
import re
from functools import cached_property
from typing import Final, NamedTuple

from saslsspi_conformance.case_run import Answer, Setting, TargetAccount, Transcript
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction
from saslsspi_conformance.targets.wire import Address, Wire, address_for

__all__ = ["MailConversation", "MailReply", "MailServerTarget"]

_MOST_LINES: Final = 200


class _Words(NamedTuple):
    """The words of one protocol."""

    service: str
    greeting: re.Pattern[bytes]
    authenticate: bytes
    capabilities: bytes
    starttls: bytes
    challenge: re.Pattern[bytes]
    success: re.Pattern[bytes]
    probe: bytes
    answer: re.Pattern[bytes]
    listed: re.Pattern[bytes]


_PROTOCOLS: Final = {
    "imap": _Words(
        service="imap",
        greeting=re.compile(rb"\* OK"),
        authenticate=b"a AUTHENTICATE",
        capabilities=b"a CAPABILITY",
        starttls=b"a STARTTLS",
        challenge=re.compile(rb"\+(?: |\Z)"),
        success=re.compile(rb"a OK"),
        probe=b"p NOOP\r\n",
        answer=re.compile(rb"^p (OK|NO|BAD)", re.M),
        listed=re.compile(rb"AUTH=([A-Z0-9_-]+)", re.I),
    ),
    "smtp": _Words(
        service="smtp",
        greeting=re.compile(rb"220"),
        authenticate=b"AUTH",
        capabilities=b"EHLO tester.example",
        starttls=b"STARTTLS",
        challenge=re.compile(rb"334(?: |\Z)"),
        success=re.compile(rb"235"),
        probe=b"EHLO tester.example\r\n",
        answer=re.compile(rb"^\d{3} ", re.M),
        listed=re.compile(rb"^250[- ]AUTH[ =](.*)$", re.I | re.M),
    ),
    "pop3": _Words(
        service="pop",
        greeting=re.compile(rb"\+OK"),
        authenticate=b"AUTH",
        capabilities=b"CAPA",
        starttls=b"STLS",
        challenge=re.compile(rb"\+(?: |\Z)"),
        success=re.compile(rb"\+OK"),
        probe=b"NOOP\r\n",
        answer=re.compile(rb"^(\+OK|-ERR)", re.M),
        listed=re.compile(rb"^SASL (.*)$", re.I | re.M),
    ),
}


class MailReply(NamedTuple):
    """The lines of one reply; empty when the server has closed."""

    lines: tuple[bytes, ...]

    @property
    def last(self) -> bytes:
        """The line that decides."""
        return self.lines[-1] if self.lines else b""

    @property
    def code(self) -> str:
        """The word that decides: an SMTP code, OK, NO, BAD, +OK, -ERR, or "" when the server has closed."""
        words = self.last.split(b" ")
        found = words[1] if words[0] == b"a" and len(words) > 1 else words[0]
        return found.decode(errors="replace").upper()[:10]


class MailServerTarget:
    """A server behind one of the mail URLs."""

    success_data = False

    def __init__(self, address: Address, guarded: Address | None = None) -> None:
        self.address = address
        self._guarded = guarded
        self.words = _PROTOCOLS[address.protocol]
        self.service = self.words.service
        self.name = f"{address.protocol}{'s' if address.secure else ''}://{address.host}:{address.port}"
        self.host = address.name or address.host
        self.account: TargetAccount = address.account
        self.local = address.local

    @cached_property
    def initial_response(self) -> bool:
        """Whether a command may carry one; IMAP says so in its capabilities."""
        if self.address.protocol != "imap":
            return True
        connection = self.connect(Setting(), Transcript())
        try:
            return b"SASL-IR" in connection.capabilities()
        finally:
            connection.close()

    def mechanisms(self) -> tuple[str, ...]:
        """Read the list of the capabilities."""
        connection = self.connect(Setting(), Transcript())
        try:
            return connection.supported()
        finally:
            connection.close()

    def connect(self, setting: Setting, transcript: Transcript) -> MailConversation:
        """Open a connection."""
        return MailConversation(address_for(setting, self.address, self._guarded), self.words, transcript)


class MailConversation:
    """One connection."""

    def __init__(self, address: Address, words: _Words, transcript: Transcript) -> None:
        self.protocol = address.protocol
        self.words = words
        self.transcript = transcript
        self.wire = Wire(address)
        self.probe = self.large_probe = words.probe
        try:
            self._begin(address)
        except BaseException:
            self.close()
            raise

    def _begin(self, address: Address) -> None:
        """Read the greeting, and start TLS where it is wanted."""
        greeting = self.reply()
        if not self.words.greeting.match(greeting.lines[0] if greeting.lines else b""):
            raise CaseError(f"no greeting, but {greeting.last!r}")
        if self.protocol == "smtp":
            self.command(b"EHLO tester.example")
        if address.starttls and not address.secure:
            self.start_tls()

    def start_tls(self) -> None:
        """Put TLS around what follows, where it is not there yet."""
        if self.wire.encrypted:
            return
        reply = self.command(self.words.starttls)
        if reply.code not in {"OK", "220", "+OK"}:
            raise NotApplicable(f"the server does not begin TLS: {reply.last.decode(errors='replace')}")
        self.wire.start_tls()
        if self.protocol == "smtp":
            self.command(b"EHLO tester.example")

    def reply(self) -> MailReply:
        """Read one reply: up to the tagged line, the line without a hyphen, or the status line."""
        lines: list[bytes] = []
        while True:
            line = self.wire.line()
            if not line and not lines:
                self.transcript.received("closes")
                return MailReply(())
            lines.append(line)
            if len(lines) > _MOST_LINES:
                raise CaseError(f"a reply of more than {_MOST_LINES} lines")
            self.transcript.received("", line)
            if self.protocol == "imap" and line.startswith(b"* ") and len(lines) < 50 and self.transcript_started:
                continue
            if self.protocol == "smtp" and line[3:4] == b"-":
                continue
            self.transcript_started = True
            return MailReply(tuple(lines))

    transcript_started = False

    def command(self, line: bytes) -> MailReply:
        """Send a line and read the reply."""
        self.transcript.sent("", line)
        self.wire.send(line + b"\r\n")
        return self.reply()

    def capabilities(self) -> bytes:
        """The text of the capabilities."""
        reply = self.command(self.words.capabilities)
        lines = list(reply.lines)
        while self.protocol == "pop3" and lines and lines[0].startswith(b"+OK") and lines[-1] != b".":
            if len(lines) > _MOST_LINES:
                raise CaseError(f"more than {_MOST_LINES} capabilities")
            line = self.wire.line()
            if not line:
                break
            lines.append(line)
        return b"\n".join(lines)

    def supported(self) -> tuple[str, ...]:
        """The mechanisms that are listed."""
        found = self.words.listed.findall(self.capabilities())
        return tuple(dict.fromkeys(name for line in found for name in line.decode(errors="replace").upper().split()))

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Ask for a mechanism."""
        line = self.words.authenticate + b" " + mechanism.encode()
        if initial is not None:
            line += b" " + (base64.b64encode(initial) or b"=")
        self.transcript.sent(f"{mechanism}, initial response" if initial is not None else mechanism, initial)
        self.wire.send(line + b"\r\n")
        return self.answer(self.reply())

    def respond(self, response: bytes) -> Answer:
        """Answer a challenge."""
        self.transcript.sent("response", response)
        self.wire.send(base64.b64encode(response) + b"\r\n")
        return self.answer(self.reply())

    def cancel(self) -> Answer:
        """Cancel."""
        return self.answer(self.command(b"*"))

    def answer(self, reply: MailReply) -> Answer:
        """A reply in the terms of cases."""
        line = reply.last
        if not reply.lines:
            return Answer(Reaction.CLOSED)
        if self.words.success.match(line):
            return Answer(Reaction.SUCCESS, None, line.decode(errors="replace"))
        if (found := self.words.challenge.match(line)) is not None:
            try:
                data = base64.b64decode(line[found.end() :], validate=True)
            except binascii.Error:
                return Answer(Reaction.CHALLENGE, line[found.end() :], "the challenge is no base64")
            if data:
                self.transcript.received("challenge", data)
            return Answer(Reaction.CHALLENGE, data)
        return Answer(Reaction.FAILURE, None, line.decode(errors="replace"))

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.transcript.sent("octets", octets)
        self.wire.send(octets)

    def receive(self) -> bytes:
        """Return octets."""
        octets = self.wire.receive()
        self.transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def answers(self, text: bytes) -> bool:
        """Whether the answer to a probe is there."""
        return text.endswith(b"\n") and self.words.answer.search(text) is not None

    def close(self) -> None:
        """Close."""
        self.wire.close()
