"""Drives `saslsspi client` and `saslsspi server` as processes, by the line protocol and nothing else."""

import json
import os
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

_TREE: Final = Path(__file__).resolve().parents[2]
_PATIENCE: Final = 30.0  # seconds until a process that hangs is killed, so that its test fails instead

CLIENT: Final = ("client", "DIGEST-MD5", "--service", "ldap", "--host", "ldap.example.test", "--user", "alice")
SERVER: Final = ("server", "DIGEST-MD5", "--service", "ldap", "--host", "ldap.example.test", "--realm", "example.test",
    "--account", "alice:wonderland")  # fmt: skip


class Line(NamedTuple):
    """One line that a side printed; record is its JSON, empty without one."""

    word: str
    token: str
    record: dict[str, Any]


class Process:
    """One side. Leaving the block ends it; `end` tells its exit status."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "saslsspi", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_TREE,
            env=os.environ | {"SASLSSPI_PASSWORD": "wonderland"},
            text=True,
        )
        self._watchdog = threading.Timer(_PATIENCE, self._process.kill)
        self._watchdog.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()

    def read(self) -> Line:
        """Return the line that the process prints next."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text.endswith("\n"), f"the process printed {text!r} and ended"
        word, token, *rest = text[:-1].split(" ", 2)
        return Line(word, token, json.loads(rest[0]) if rest else {})

    def say(self, line: str) -> Line:
        """Write a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.read()

    def end(self, last: str = "") -> tuple[int, str, str]:
        """End the input after one last piece; return exit status, what else was printed, and standard error."""
        output, errors = self._process.communicate(last, timeout=_PATIENCE)
        return self._process.returncode, output, errors


def cross(client: Process, server: Process, first: Line) -> tuple[Line, Line]:
    """Carry tokens between two sides until both are done or one has failed; return the last line of each."""
    from_client, from_server = first, Line("more", "", {})
    while True:
        if from_server.word == "more":
            from_server = server.say(from_client.token)
        if from_server.token == "-" or from_server.word == "fail":
            return from_client, from_server
        if from_client.word == "more":
            from_client = client.say(from_server.token)
            if from_client.word == "done" and from_client.token == "-":
                # A carrier without success data wants an empty response here.
                from_client = from_client._replace(token="=")
        if from_client.word == "fail" or from_server.word == "done":
            return from_client, from_server


def encoded(data: bytes) -> str:
    """Return data as a TOKEN."""
    return b64encode(data).decode() or "="


def decoded(token: str) -> bytes:
    """Return the octets of a TOKEN that is a message."""
    assert token != "-"
    return b"" if token == "=" else b64decode(token, validate=True)


def with_password(arguments: Sequence[str], password: str) -> list[str]:
    """Return a command line with another password than the environment's."""
    return [*arguments, "--password", password]
