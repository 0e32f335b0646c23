"""A server of a protocol of lines somewhere; which one it speaks is a LineProtocol's to say."""

from __future__ import annotations

import base64
import binascii
import io
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

from saslsspi.adapters.mail.line_protocol import MAX_LINE, Capabilities, Reading, Reply, ReplyKind
from saslsspi.adapters.mail.lines import read
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import Answer, Setting, TargetAccount, Transcript
from saslsspi_conformance.logons import LogonWatch
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction
from saslsspi_conformance.targets.wire import Address, Wire, address_for
from saslsspi_conformance.transcript import decoded_words

__all__ = ["MailConversation", "MailReply", "MailServerTarget"]

_TAG: Final = b"a"
_PROBE_TAG: Final = b"p"
_NOTHING: Final = Capabilities(None, False, False, {})

_T = TypeVar("_T")


class MailReply(NamedTuple):
    """A server's reply.

    Attributes:
        lines: As they came; empty when the server has closed.
        said: What they mean; None for what is no reply of the protocol.
    """

    lines: tuple[bytes, ...]
    said: Reply | None

    @property
    def last(self) -> bytes:
        """The line that decides."""
        return self.lines[-1] if self.lines else b""

    @property
    def code(self) -> str:
        """The word that decides: an SMTP code, OK, NO, BAD, BYE, +OK, -ERR, or "" where there is none."""
        return "" if self.said is None else self.said.word


class MailServerTarget:
    """A server of a protocol of lines.

    Args:
        address: Where it is.
        guarded: Where one is that takes no passwords in clear; None where there is none.
    """

    def __init__(self, address: Address, guarded: Address | None = None) -> None:
        self.address = address
        self._guarded = guarded
        protocol = LINE_PROTOCOLS[address.protocol]
        self.service = protocol.service
        self.success_data = protocol.success_data
        self.name = f"{address.protocol}{'s' if address.secure else ''}://{address.host}:{address.port}"
        self.host = address.name or address.host
        self.account: TargetAccount = address.account
        self.local = address.local
        self.repeats = True
        self.patience = 1.0

    @cached_property
    def initial_response(self) -> bool:
        """Whether a command may carry one."""
        connection = self.connect(Setting(), Transcript())
        try:
            return connection.listed.initial_response
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
        address = address_for(setting, self.address, self._guarded)
        return MailConversation(address.with_patience(self.patience), transcript)


class MailConversation:
    """One connection.

    Attributes:
        listed: The capabilities that the server listed last.
    """

    def __init__(self, address: Address, transcript: Transcript) -> None:
        self.protocol = LINE_PROTOCOLS[address.protocol]
        self.transcript = transcript
        self.wire = Wire(address)
        self._watch = LogonWatch(transcript.logons)
        self.listed = _NOTHING
        self._announced = False
        self.probe = self.protocol.command(self.protocol.noop, _PROBE_TAG)
        self.large_probe = self.protocol.command(self.protocol.capability, _PROBE_TAG)
        try:
            self._begin(address)
        except BaseException:
            self.close()
            raise

    def _begin(self, address: Address) -> None:
        """Read the greeting, and start TLS where it is wanted."""
        greeting = None if self.protocol.announces else self.reply(b"*")
        if greeting is not None and (greeting.said is None or not greeting.said.positive):
            raise CaseError(f"no greeting, but {greeting.last!r}")
        self._list()
        if address.starttls and not address.secure:
            self.start_tls()

    def start_tls(self) -> None:
        """Put TLS around what follows, where it is not there yet."""
        if self.wire.encrypted:
            return
        reply = self.ask(self.protocol.starttls)
        if reply.said is None or not reply.said.positive:
            raise NotApplicable(f"the server does not begin TLS: {reply.last.decode(errors='replace')}")
        self.wire.start_tls()
        self._list()

    def _read(self, reading: Reading[_T]) -> tuple[_T | None, tuple[bytes, ...]]:
        """Read an answer: None where what comes is none, and the lines that came."""
        noted = _Noted(self.wire, self.transcript)
        try:
            return read(noted, reading), tuple(noted.lines)
        except SaslError:
            if not noted.lines:
                self.transcript.received("closes")
            return None, tuple(noted.lines)

    def _list(self) -> None:
        """Read the capabilities, which come unasked in some protocols."""
        if not self.protocol.announces:
            self.capabilities()
            return
        found, lines = self._read(self.protocol.read_capabilities(b""))
        if found is None:
            raise CaseError(f"no capabilities, but {lines[-1] if lines else b''!r}")
        self.listed = found

    def reply(self, tag: bytes = _TAG) -> MailReply:
        """Read one reply, as far as the line that decides."""
        try:
            said, lines = self._read(self.protocol.read(tag))
        except TimeoutError:
            self._watch.came(Reaction.SILENCE)
            raise
        reply = MailReply(lines, said)
        self._watch.came(_outcome(reply))
        return reply

    def _say(self, line: bytes) -> None:
        """Send what may name the account, in base64."""
        self._watch.sending(line + b" ".join(plain for _, plain in decoded_words(line)))
        self.wire.send(line)

    def command(self, line: bytes) -> MailReply:
        """Send a line as it is and read the reply."""
        self.transcript.sent("", line)
        self._say(line + b"\r\n")
        return self.reply()

    def ask(self, text: bytes) -> MailReply:
        """Give a command, under its tag where the protocol has tags."""
        return self.command(self.protocol.command(text, _TAG).removesuffix(b"\r\n"))

    def capabilities(self) -> bytes:
        """Ask for the capabilities and return the text of the answer."""
        line = self.protocol.command(self.protocol.capability, _TAG)
        self.transcript.sent("", line.removesuffix(b"\r\n"))
        self.wire.send(line)
        found, lines = self._read(self.protocol.read_capabilities(_TAG))
        self.listed = found or _NOTHING
        return b"\n".join(lines)

    def supported(self) -> tuple[str, ...]:
        """The mechanisms that are listed."""
        self.capabilities()
        return tuple(dict.fromkeys(self.listed.mechanisms or ()))

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Ask for a mechanism."""
        coded = None if initial is None else base64.b64encode(initial)
        self.transcript.sent(f"{mechanism}, initial response" if initial is not None else mechanism, initial)
        self._say(self.protocol.begin(mechanism, coded, _TAG))
        return self.answer(self.reply())

    def respond(self, response: bytes) -> Answer:
        """Answer a challenge."""
        self.transcript.sent("response", response)
        self._say(self.protocol.response(base64.b64encode(response)))
        return self.answer(self.reply())

    def respond_with(self, text: bytes) -> MailReply:
        """Answer a challenge with a text, base64 or not."""
        return self.command(self.protocol.response(text).removesuffix(b"\r\n"))

    def cancel(self) -> Answer:
        """Cancel."""
        return self.answer(self.respond_with(b"*"))

    def answer(self, reply: MailReply) -> Answer:
        """A reply in the terms of cases."""
        said, text = reply.said, reply.last.decode(errors="replace")
        outcome = _outcome(reply)
        if outcome is Reaction.CLOSED:
            return Answer(outcome)
        if said is None or outcome is Reaction.FAILURE:
            return Answer(Reaction.FAILURE, None, text)
        is_challenge = outcome is Reaction.CHALLENGE
        coded = said.text if is_challenge else said.data
        try:
            data = None if coded is None else base64.b64decode(coded, validate=True)
        except binascii.Error:
            data, text = coded, "what it says is no base64"
        else:
            text = "" if is_challenge else text
        if data:
            self.transcript.received("challenge" if is_challenge else "data with success", data)
        return Answer(outcome, data, text)

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.transcript.sent("octets", octets)
        self.wire.send(octets)

    def receive(self) -> bytes:
        """Return octets."""
        octets = self.wire.receive()
        self.transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def answers(self, text: bytes, *, large: bool = False) -> bool:
        """Whether the answer to a probe is there: behind the capabilities, where a server lists them under a layer.

        What ends the connection is no answer.
        """
        source = io.BytesIO(text)
        try:
            if self.protocol.announces and not self._announced:
                read(source, self.protocol.read_capabilities(b""))
            if large:
                read(source, self.protocol.read_capabilities(_PROBE_TAG))
            elif not read(source, self.protocol.read(_PROBE_TAG)).positive:
                return False
        except SaslError:
            return False
        self._announced = True
        return True

    def close(self) -> None:
        """Close."""
        self.wire.close()


def _outcome(reply: MailReply) -> Reaction:
    if not reply.lines:
        return Reaction.CLOSED
    kinds = {ReplyKind.SUCCESS: Reaction.SUCCESS, ReplyKind.CHALLENGE: Reaction.CHALLENGE}
    return Reaction.FAILURE if reply.said is None else kinds.get(reply.said.kind, Reaction.FAILURE)


class _Noted:
    """A connection whose lines are noted as they come."""

    def __init__(self, wire: Wire, transcript: Transcript) -> None:
        self._wire = wire
        self._transcript = transcript
        self.lines: list[bytes] = []

    def readline(self, limit: int = MAX_LINE, /) -> bytes:
        """Return a line with its end."""
        return self._note(self._wire.readline(limit))

    def read(self, size: int, /) -> bytes:
        """Return so many octets."""
        return self._note(self._wire.read(size))

    def _note(self, octets: bytes) -> bytes:
        if octets:
            self.lines.append(octets.removesuffix(b"\n").removesuffix(b"\r"))
            self._transcript.received("", self.lines[-1])
        return octets
