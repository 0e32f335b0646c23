"""A client that connects and speaks a protocol of lines, as far as its logon; which one is a LineProtocol's to say."""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from saslsspi.adapters.mail.line_protocol import MAX_LINE, LineProtocol, Verdict
from saslsspi.adapters.mail.lines import read
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.mail.strings import read_line
from saslsspi.errors import InvalidToken
from saslsspi_conformance.case_run import Answer, Setting, Transcript
from saslsspi_conformance.outcome import NotApplicable, Reaction
from saslsspi_conformance.targets.listen.base import ClientStream, Listener, ListeningTarget

__all__ = ["MailClientConversation", "MailClientTarget"]


_NOT_SO: Final = frozenset({"LOGIN", "USER", "PASS", "APOP"})
"""Commands that would log on without SASL."""


class MailClientTarget(ListeningTarget):
    """Whoever connects and speaks one of the mail protocols."""

    def __init__(self, listener: socket.socket, meeting: Listener, protocol: str) -> None:
        super().__init__(listener, meeting)
        self.protocol = LINE_PROTOCOLS[protocol]
        self.service = self.protocol.service
        self.success_data = self.protocol.success_data

    def _conversation(
        self, stream: ClientStream, mechanism: str, setting: Setting, transcript: Transcript
    ) -> MailClientConversation:
        return MailClientConversation(stream, self.protocol, mechanism, setting, transcript)


class MailClientConversation:
    """One connection of a client.

    Attributes:
        commands: The lines that it has sent before and after the exchange, without their ends.
        raw: The lines of the exchange as they came.
    """

    def __init__(
        self,
        stream: ClientStream,
        protocol: LineProtocol,
        mechanism: str,
        setting: Setting,
        transcript: Transcript,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._mechanism = mechanism
        self._invites = setting.initial_responses
        self._transcript = transcript
        self._tag = b""
        self.commands: list[bytes] = []
        self.raw: list[bytes] = []
        self.unasked = self._capabilities() + b"\r\n" if protocol.announces else b""

    def _capabilities(self) -> bytes:
        return self._protocol.write_capabilities([self._mechanism], self._invites, self._tag)

    def _say(self, line: bytes) -> None:
        self._transcript.sent("", line)
        self._stream.send(line + b"\r\n")

    def _refuse(self) -> None:
        self._say(self._protocol.reply(Verdict.DENIED, tag=self._tag))

    def _line(self) -> bytes | None:
        """Return the client's next line, with its literals where the protocol has them."""
        if self._protocol.strings:
            with contextlib.suppress(InvalidToken):
                return read(self._stream, read_line(MAX_LINE))
            return None
        line = self._stream.readline()
        return line.rstrip(b"\r\n") if line.endswith(b"\n") else None

    def start(self) -> Answer:
        """Greet, and answer commands until the exchange begins."""
        self._say(self._protocol.greeting or self._capabilities())
        while (line := self._line()) is not None:
            name, arguments = self._command(line)
            if name == self._protocol.authenticate and arguments:
                mechanism, *initial = self._protocol.arguments(arguments)
                return self._begun(mechanism.decode("ascii", "replace").upper(), initial[-1] if initial else None)
            if name == self._protocol.leave:
                break
        return Answer(Reaction.CLOSED, None, "the client has gone")

    def _command(self, line: bytes) -> tuple[bytes, bytes]:
        """Note a command and answer it, unless it begins the exchange; return its name and what stands behind it."""
        self.commands.append(line)
        protocol = self._protocol
        if protocol.tagged:
            self._tag, _, line = line.partition(b" ")
        name, _, rest = line.partition(b" ")
        name = name.upper()
        # What else stands on a line may hold a password: in base64, or plain behind LOGIN and PASS.
        shown = (name, *rest.split(b" ")[:1]) if name == protocol.authenticate else (name,)
        self._transcript.received(b" ".join(shown).decode("utf-8", "replace"))
        # A bare AUTH asks for the mechanisms in POP3 of before RFC 5034.
        asks = name == protocol.capability.partition(b" ")[0] or (name == protocol.authenticate and not rest)
        if asks:
            self._say(self._capabilities())
        elif name == protocol.starttls or name.decode("ascii", "replace") in _NOT_SO:
            self._refuse()
        elif name != protocol.authenticate:
            self._say((self._tag + b" " if protocol.tagged else b"") + protocol.okay)
        return name, rest

    def _begun(self, name: str, initial: bytes | None) -> Answer:
        if name != self._mechanism:
            self._refuse()
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
        self._stream.send(self._protocol.challenge(coded) + b"\r\n")
        line = self._line()
        if line is None:
            self._transcript.received("closes")
            return Answer(Reaction.CLOSED)
        try:
            text = self._protocol.unwritten(line)
        except InvalidToken:
            self._transcript.received("no string:", line)
            return Answer(Reaction.BROKEN, None, "the response is no string")
        if text == b"*":
            self._transcript.received("", text)
            self._refuse()
            return Answer(Reaction.FAILURE, None, "it cancels")
        self.raw.append(text)
        return self._decoded(text)

    def _decoded(self, line: bytes) -> Answer:
        try:
            octets = base64.b64decode(line, validate=True)
        except binascii.Error:
            self._transcript.received("no base64:", line)
            return Answer(Reaction.BROKEN, None, "the response is no base64")
        self._transcript.received("response", octets)
        return Answer(Reaction.RESPONSE, octets)

    def succeed(self, data: bytes | None = None, behind: bytes = b"") -> Answer:
        """Send success and see whether the client goes on: it sends a command, or ends the connection."""
        coded = None if data is None else base64.b64encode(data)
        self._say(self._protocol.reply(Verdict.SUCCESS, coded, self._tag))
        self._stream.send(behind)
        ends = self._ends(self._stream.receive)
        self._transcript.received("ends the connection" if ends else "goes on to use the connection")
        return Answer(Reaction.CLOSED if ends else Reaction.SUCCESS)

    def _ends(self, receive: Callable[[], bytes]) -> bool:
        octets = self._stream.pending or receive()
        self._stream.pending = octets
        return not octets or self._protocol.leave in octets.upper().split()[:2]

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
