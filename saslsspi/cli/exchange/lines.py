"""The line protocol: one exchange on standard input and output, one line for each line read.

    more TOKEN          goes to the peer, whose next message is expected
    done TOKEN JSON     this side has finished
    fail TOKEN JSON     this side failed; the process ends
    data TOKEN          the answer to wrap and unwrap

A TOKEN is base64, `=` for an empty message, `-` for no message. Read are a TOKEN, `wrap BASE64`, `unwrap BASE64`,
`again` and `quit`.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

from saslsspi.cli.exchange.ends import End
from saslsspi.cli.exit_status import ExitStatus, exit_status
from saslsspi.errors import InvalidToken, SaslError

__all__ = ["converse"]

_LONGEST_LINE: Final = 1 << 25  # a buffer of 2**24 octets in base64, with its command
_TEXT: Final = json.JSONEncoder(separators=(",", ":")).encode


def converse(end: End, source: BinaryIO, sink: BinaryIO) -> ExitStatus:
    """Speak for one side until the input ends, `quit` is read or the exchange fails."""
    return _Dialogue(end, sink).run(source)


class _Dialogue:
    def __init__(self, end: End, sink: BinaryIO) -> None:
        self._end = end
        self._sink = sink

    def run(self, source: BinaryIO) -> ExitStatus:
        try:
            if self._end.speaks:
                self._exchange(None)
            while line := source.readline(_LONGEST_LINE):
                if line.strip() == b"quit":
                    return ExitStatus.OK
                self._answer(line)
        except SaslError as error:
            self._say("fail", error.token, _failure(error))
            return exit_status(error)
        return ExitStatus.OK if self._end.done else ExitStatus.PROTOCOL

    def _answer(self, line: bytes) -> None:
        if len(line) == _LONGEST_LINE:
            raise InvalidToken(f"a line is longer than {_LONGEST_LINE} octets")
        word, blank, argument = line.strip().partition(b" ")
        command = _COMMANDS.get(word)
        if command is not None:
            command(self, argument.strip())
        elif blank:
            raise InvalidToken("a line is neither a token nor wrap, unwrap, again or quit")
        else:
            self._exchange(_decode(word))

    def _exchange(self, token: bytes | None) -> None:
        reply = self._end.take(token)
        if self._end.done:
            self._say("done", reply, self._end.summary())
        else:
            self._say("more", reply)

    def _wrap(self, argument: bytes) -> None:
        self._say("data", self._end.wrap(_decode(argument or b"=") or b""))

    def _unwrap(self, argument: bytes) -> None:
        self._say("data", self._end.unwrap(_decode(argument or b"=") or b""))

    def _again(self, argument: bytes) -> None:
        if argument:
            raise InvalidToken("again takes no argument")
        self._end = self._end.again()
        if self._end.speaks:
            self._exchange(None)
        else:
            self._say("more", None)

    def _say(self, word: str, token: bytes | None, record: Mapping[str, object] | None = None) -> None:
        line = f"{word} {_encode(token)}" + (f" {_TEXT(record)}" if record is not None else "")
        self._sink.write(line.encode() + b"\n")
        self._sink.flush()


_COMMANDS: Final[Mapping[bytes, Callable[[_Dialogue, bytes], None]]] = {
    b"wrap": _Dialogue._wrap,
    b"unwrap": _Dialogue._unwrap,
    b"again": _Dialogue._again,
}


def _encode(token: bytes | None) -> str:
    if token is None:
        return "-"
    return b2a_base64(token, newline=False).decode() or "="


def _decode(text: bytes) -> bytes | None:
    if text == b"-":
        return None
    if text == b"=":
        return b""
    if not text:
        raise InvalidToken("an empty line is no token; write = for an empty message and - for none")
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error as error:
        raise InvalidToken(f"a token of {len(text)} characters is not base64") from error


def _failure(error: SaslError) -> dict[str, object]:
    return {
        "status": error.status.name,
        "number": int(error.status),
        "requirement": error.requirement,
        "text": error.text,
    }
