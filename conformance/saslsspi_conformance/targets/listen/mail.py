"""A client that connects and speaks IMAP, SMTP or POP3 (RFC 9051, RFC 4954, RFC 5034), as far as its logon."""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from saslsspi_conformance.case_run import Answer, Setting, Transcript
from saslsspi_conformance.outcome import NotApplicable, Reaction
from saslsspi_conformance.targets.listen.base import ClientStream, Listener, ListeningTarget

__all__ = ["MailClientConversation", "MailClientTarget"]


class _Words(NamedTuple):
    """One protocol; {m} is the mechanism, {t} the tag of the command, {i} what announces initial responses."""

    service: str
    greeting: str
    authenticate: str
    challenge: bytes
    success: str
    failure: str
    okay: str
    leaves: str
    answers: dict[str, str]


_PROTOCOLS: Final = {
    "imap": _Words(
        service="imap",
        greeting="* OK [CAPABILITY IMAP4rev1{i} AUTH={m}] tester",
        authenticate="AUTHENTICATE",
        challenge=b"+ ",
        success="{t} OK done",
        failure="{t} NO failed",
        okay="{t} OK done",
        leaves="LOGOUT",
        answers={
            "CAPABILITY": "* CAPABILITY IMAP4rev1{i} AUTH={m}\r\n{t} OK done",
            "STARTTLS": "{t} BAD no TLS",
            "LOGIN": "{t} NO not so",
        },
    ),
    "smtp": _Words(
        service="smtp",
        greeting="220 tester.example ESMTP",
        authenticate="AUTH",
        challenge=b"334 ",
        success="235 2.7.0 done",
        failure="535 5.7.8 failed",
        okay="250 2.0.0 done",
        leaves="QUIT",
        answers={"EHLO": "250-tester.example\r\n250 AUTH {m}", "STARTTLS": "502 5.5.1 no TLS"},
    ),
    "pop3": _Words(
        service="pop",
        greeting="+OK tester",
        authenticate="AUTH",
        challenge=b"+ ",
        success="+OK done",
        failure="-ERR failed",
        okay="+OK done",
        leaves="QUIT",
        answers={
            "CAPA": "+OK\r\nSASL {m}\r\n.",
            "STLS": "-ERR no TLS",
            "USER": "-ERR not so",
            "PASS": "-ERR not so",
            "APOP": "-ERR not so",
        },
    ),
}


class MailClientTarget(ListeningTarget):
    """Whoever connects and speaks one of the mail protocols."""

    def __init__(self, listener: socket.socket, meeting: Listener, protocol: str) -> None:
        super().__init__(listener, meeting)
        self._words = _PROTOCOLS[protocol]
        self._protocol = protocol
        self.service = self._words.service

    def _conversation(
        self, stream: ClientStream, mechanism: str, setting: Setting, transcript: Transcript
    ) -> MailClientConversation:
        return MailClientConversation(stream, self._words, mechanism, setting, transcript)


class MailClientConversation:
    """One connection of a client.

    Attributes:
        commands: The lines that it has sent before and after the exchange, without their ends.
        raw: The lines of the exchange as they came.
    """

    def __init__(
        self, stream: ClientStream, words: _Words, mechanism: str, setting: Setting, transcript: Transcript
    ) -> None:
        self._stream = stream
        self._words = words
        self._mechanism = mechanism
        self._transcript = transcript
        self._announced = " SASL-IR" if setting.initial_responses else ""
        self._tag = ""
        self.commands: list[bytes] = []
        self.raw: list[bytes] = []

    def _say(self, text: str) -> None:
        line = text.format(m=self._mechanism, t=self._tag, i=self._announced)
        self._transcript.sent("", line.encode())
        self._stream.send(line.encode() + b"\r\n")

    def start(self) -> Answer:
        """Greet, and answer commands until the exchange begins."""
        self._say(self._words.greeting)
        while (line := self._stream.line()) is not None:
            words = self._command(line)
            if words[:1] == [self._words.authenticate] and len(words) > 1:
                return self._begun(words[1].upper(), line.split(b" ")[-1] if len(words) > 2 else None)
            if words[:1] == [self._words.leaves]:
                break
        return Answer(Reaction.CLOSED, None, "the client has gone")

    def _command(self, line: bytes) -> list[str]:
        """Note a command and answer it, unless it begins the exchange."""
        self.commands.append(line)
        words = line.decode("utf-8", "replace").split()
        if self._words.service == "imap":
            self._tag, words = (words or ["*"])[0], words[1:]
        words = [word.upper() if number == 0 else word for number, word in enumerate(words)]
        name = words[0] if words else ""
        # What else stands on a line may hold a password: in base64, or plain behind LOGIN and PASS.
        shown = words[:2] if name == self._words.authenticate else words[:1]
        self._transcript.received(" ".join(shown))
        if name == self._words.authenticate and len(words) == 1:
            self._say("+OK\r\n{m}\r\n.")  # POP3 of before RFC 5034
        elif name != self._words.authenticate:
            self._say(self._words.answers.get(name, self._words.okay))
        return words

    def _begun(self, name: str, initial: bytes | None) -> Answer:
        if name != self._mechanism:
            self._say(self._words.failure)
            raise NotApplicable(f"the client wants {name}, the case is about {self._mechanism}")
        if initial is None:
            return Answer(Reaction.RESPONSE)
        self.raw.append(initial)
        return self._decoded(b"" if initial == b"=" else initial)

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge and read the response."""
        self._transcript.sent("challenge", data)
        return self.challenge_line(base64.b64encode(data))

    def challenge_line(self, coded: bytes) -> Answer:
        """Send a challenge as it stands on the line, base64 or not."""
        self._stream.send(self._words.challenge + coded + b"\r\n")
        line = self._stream.line()
        if line is None:
            self._transcript.received("closes")
            return Answer(Reaction.CLOSED)
        if line == b"*":
            self._transcript.received("", line)
            self._say(self._words.failure)
            return Answer(Reaction.FAILURE, None, "it cancels")
        self.raw.append(line)
        return self._decoded(line)

    def _decoded(self, line: bytes) -> Answer:
        try:
            octets = base64.b64decode(line, validate=True)
        except binascii.Error:
            self._transcript.received("no base64:", line)
            return Answer(Reaction.BROKEN, None, "the response is no base64")
        self._transcript.received("response", octets)
        return Answer(Reaction.RESPONSE, octets)

    def succeed(self, data: bytes | None = None) -> Answer:
        """Send success and see whether the client goes on: it sends a command, or ends the connection."""
        self._say(self._words.success)
        ends = self._ends(self._stream.receive)
        self._transcript.received("ends the connection" if ends else "goes on to use the connection")
        return Answer(Reaction.CLOSED if ends else Reaction.SUCCESS)

    def _ends(self, receive: Callable[[], bytes]) -> bool:
        octets = self._stream.pending or receive()
        self._stream.pending = octets
        words = octets.decode("latin-1").upper().split()
        return not octets or self._words.leaves in words[:2]

    @property
    def waiting(self) -> bool:
        """Whether the client has sent more than was asked for."""
        return bool(self._stream.pending)

    def receive(self) -> bytes:
        """Return what the client sends."""
        octets, self._stream.pending = self._stream.pending or self._stream.receive(), b""
        self._transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def send(self, octets: bytes) -> Answer:
        """Give octets to the client; what reaches its user cannot be seen."""
        self._transcript.sent("octets", octets)
        self._stream.send(octets)
        raise NotApplicable("what reaches the user of a client cannot be seen from here")

    def close(self) -> None:
        """Close."""
        self._stream.close()
