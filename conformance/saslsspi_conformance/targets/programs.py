"""`conformance exec`: a program that speaks our line protocol on standard input and output, as server or as client.

One process is one connection. What it prints and reads is what `saslsspi server` and `saslsspi client` do
(docs/cli.md): `more TOKEN`, `done TOKEN [JSON]`, `fail TOKEN [JSON]`, and `data TOKEN` to `wrap` and `unwrap`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import select
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from saslsspi_conformance.case_run import Answer, Setting, TargetAccount, Transcript
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction
from saslsspi_conformance.targets.wire import Deadline, check_setting

__all__ = ["ProgramClientTarget", "ProgramServerTarget", "TestedProgram"]

_LONGEST_LINE: Final = 1 << 25
_TEXT: Final = b"request " * 1250
_PROBE: Final = b"ping"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedProgram:
    """A program, and what it is told.

    Attributes:
        command: Its words; {mechanism}, {service}, {host}, {realm} and {user} in them are replaced. The password is in
            its environment, as SASLSSPI_PASSWORD.
        account: Who may log on, or who logs on.
        mechanisms: What the cases may be about.
        service: The GSSAPI service name of both sides.
        host: The server's name.
        timeout: For each answer, in seconds.
    """

    command: Sequence[str]
    account: TargetAccount
    mechanisms: tuple[str, ...] = ("DIGEST-MD5",)
    service: str = "imap"
    host: str = "localhost"
    timeout: float = 5.0

    def words(self, mechanism: str) -> list[str]:
        """Return the command for a mechanism."""
        told = {"mechanism": mechanism, "service": self.service, "host": self.host}
        told |= {"realm": self.account.realm, "user": self.account.user}
        found = list(self.command)
        for name, value in told.items():
            found = [word.replace(f"{{{name}}}", value) for word in found]
        return found


class _Line(NamedTuple):
    """One line of a program; word "" is that it has ended."""

    word: str
    token: bytes | None
    text: str


class _Process:
    """One running program; every wait is bounded."""

    def __init__(self, program: TestedProgram, mechanism: str, patience: float) -> None:
        words = program.words(mechanism)
        self._timeout = program.timeout * patience
        try:
            self._running = subprocess.Popen(  # noqa: S603  # the user's own
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"SASLSSPI_PASSWORD": program.account.password},
            )
        except OSError as error:
            raise CaseError(f"{words[0]} cannot be started: {error}") from error
        self._buffer = b""

    def ask(self, line: str) -> _Line:
        """Write a line and read one."""
        assert self._running.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._running.stdin.write(line.encode() + b"\n")
            self._running.stdin.flush()
        return self.read()

    def read(self) -> _Line:
        """Return the next line; raises TimeoutError where none comes, and CaseError for what is none of ours."""
        assert self._running.stdout is not None
        deadline = Deadline(self._timeout)
        handle = self._running.stdout.fileno()
        while b"\n" not in self._buffer:
            deadline.check()
            if len(self._buffer) > _LONGEST_LINE:
                raise CaseError(f"a line of more than {_LONGEST_LINE} octets")
            if not select.select([handle], [], [], 0.1)[0]:
                continue
            octets = os.read(handle, 65536)
            if not octets:
                return _Line("", None, "the program has ended")
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\n")
        word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        token, _, text = rest.partition(" ")
        if word not in {"more", "done", "fail", "data"}:
            raise CaseError(f"the program does not speak the line protocol, but says {line[:200]!r}")
        return _Line(word, _decoded(token or "-"), text)

    def ends_well(self) -> bool:
        """Close its input and see whether it takes the exchange for finished: status 0."""
        assert self._running.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._running.stdin.close()
        try:
            return self._running.wait(self._timeout) == 0
        except subprocess.TimeoutExpired:
            raise TimeoutError("the program does not end with its input") from None

    def close(self) -> None:
        """End it."""
        self._running.kill()
        for stream in (self._running.stdin, self._running.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._running.wait()


def _decoded(token: str) -> bytes | None:
    if token == "-":
        return None
    try:
        return b"" if token == "=" else base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):  # the second where it is beyond ASCII
        raise CaseError(f"the program's token is no base64: {token[:200]!r}") from None


def _encoded(token: bytes | None) -> str:
    return "-" if token is None else base64.b64encode(token).decode() or "="


class _ProgramTarget:
    success_data = True
    initial_response = True
    local = False
    repeats = True

    def __init__(self, program: TestedProgram) -> None:
        self._program = program
        self.name = f"exec {program.command[0]}"
        self.service = program.service
        self.host = program.host
        self.account = program.account
        self.patience = 1.0

    def mechanisms(self) -> tuple[str, ...]:
        """What cases may be about."""
        return self._program.mechanisms

    def _start(self, mechanism: str) -> _Process:
        return _Process(self._program, mechanism, self.patience)


class ProgramServerTarget(_ProgramTarget):
    """A program that is a server."""

    def connect(self, setting: Setting, transcript: Transcript) -> _ServerProgram:
        """Open what stands for a connection: the program starts when its mechanism is known."""
        check_setting(setting)
        return _ServerProgram(self._start, transcript)


class _ServerProgram:
    """One exchange with a server."""

    probe = _PROBE
    large_probe = _TEXT

    def __init__(self, start: Callable[[str], _Process], transcript: Transcript) -> None:
        self._start = start
        self._transcript = transcript
        self._process: _Process | None = None
        self._back: list[bytes] = []
        self._closed = False

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Start the program for a mechanism, with an initial response or without one."""
        if self._process is not None:
            raise NotApplicable("a program has one exchange")
        self._transcript.sent(mechanism, initial)
        self._process = self._start(mechanism)
        return self._answer(self._process.ask(_encoded(initial)))

    def respond(self, response: bytes) -> Answer:
        """Answer a challenge."""
        assert self._process is not None
        self._transcript.sent("response", response)
        return self._answer(self._process.ask(_encoded(response)))

    def _answer(self, line: _Line) -> Answer:
        kinds = {"more": Reaction.CHALLENGE, "done": Reaction.SUCCESS, "fail": Reaction.FAILURE, "": Reaction.CLOSED}
        self._transcript.received(f"{line.word or 'ends'} {line.text}".strip(), line.token)
        outcome = kinds.get(line.word, Reaction.BROKEN)
        data = line.token or b"" if outcome is Reaction.CHALLENGE else line.token
        return Answer(outcome, data, line.text)

    def cancel(self) -> Answer:
        """Give the exchange up."""
        self.close()
        return Answer(Reaction.FAILURE, None, "cancelled")

    def send(self, octets: bytes) -> None:
        """Give octets to the server's layer; it answers with the text it got."""
        assert self._process is not None
        self._transcript.sent("octets", octets)
        if self._closed:
            return
        text = self._process.ask(f"unwrap {_encoded(octets)}")
        answer = self._process.ask(f"wrap {_encoded(text.token)}") if text.word == "data" and text.token else text
        if answer.word != "data":
            self._transcript.received(f"{answer.word or 'ends'} {answer.text}")
            self._closed = True
        elif answer.token:
            self._back.append(answer.token)

    def receive(self) -> bytes:
        """Return the octets that come next."""
        if not self._back:
            if not self._closed:
                raise TimeoutError("no whole buffer has come to the program")
            return b""
        octets = self._back.pop(0)
        self._transcript.received("octets", octets)
        return octets

    def answers(self, text: bytes, *, large: bool = False) -> bool:
        """Whether a text is the whole answer to the probe, or to the large one."""
        return text == (self.large_probe if large else self.probe)

    def close(self) -> None:
        """End the program."""
        self._closed = True
        if self._process is not None:
            self._process.close()


class ProgramClientTarget(_ProgramTarget):
    """A program that is a client."""

    def meet(self, mechanism: str, setting: Setting, transcript: Transcript) -> _ClientProgram:
        """Start it."""
        check_setting(setting)
        return _ClientProgram(self._start(mechanism), transcript)


class _ClientProgram:
    """One exchange with a client."""

    unasked = b""

    def __init__(self, process: _Process, transcript: Transcript) -> None:
        self._process = process
        self._transcript = transcript
        self._done = False

    def start(self) -> Answer:
        """Return what the client begins with."""
        return self._answer(self._process.read())

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge."""
        self._transcript.sent("challenge", data)
        if self._done:
            return Answer(Reaction.FAILURE, None, "the client takes the exchange for finished")
        return self._answer(self._process.ask(_encoded(data)))

    def _answer(self, line: _Line) -> Answer:
        self._transcript.received(f"{line.word or 'ends'} {line.text}".strip(), line.token)
        self._done = line.word == "done"
        if line.word in ("more", "done"):
            return Answer(Reaction.RESPONSE, line.token, line.text)
        return Answer(Reaction.FAILURE if line.word == "fail" else Reaction.CLOSED, None, line.text)

    def succeed(self, data: bytes | None = None, behind: bytes = b"") -> Answer:
        """Report success: the last data are one more token; without any, the end of its input is all that it sees."""
        self._transcript.sent("success", data)
        if data is not None and not self._done:
            answer = self._answer(self._process.ask(_encoded(data)))
            if not self._done:
                return answer._replace(outcome=Reaction.FAILURE)
        believes = self._done or self._process.ends_well()
        self._transcript.received("takes it for success" if believes else "takes it for no success")
        return Answer(Reaction.SUCCESS if believes else Reaction.FAILURE)

    def receive(self) -> bytes:
        """Return a request of the client, 10,000 octets long, under the layer where there is one."""
        line = self._process.ask(f"wrap {_encoded(_TEXT)}")
        if line.word != "data":
            raise NotApplicable(f"the program has no layer: {line.text}")
        self._transcript.received("octets", line.token)
        return line.token or b""

    def send(self, octets: bytes) -> Answer:
        """Give octets to the client's layer."""
        self._transcript.sent("octets", octets)
        line = self._process.ask(f"unwrap {_encoded(octets)}")
        if line.word != "data":
            self._transcript.received(f"{line.word or 'ends'} {line.text}")
            return Answer(Reaction.CLOSED, None, line.text)
        return Answer(Reaction.DELIVERED if line.token else Reaction.SILENCE, line.token)

    def close(self) -> None:
        """End the program."""
        self._process.close()
