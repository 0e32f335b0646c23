"""What commands print: nothing that a peer makes up steers a terminal, or makes two lines of one."""

from __future__ import annotations

import ast
import socketserver
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import saslsspi
from saslsspi.__main__ import main
from saslsspi.cli.output import one_line, print_record, print_table, say, shown

CLI = Path(saslsspi.__file__).parent / "cli"
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202egnorw\u2028"


def prints(path: Path) -> list[int]:
    """The lines on which a file prints without the one room that makes it safe."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", [*sorted(CLI.rglob("*.py")), CLI.parent / "__main__.py"], ids=str)
def test_commands_print_through_one_room(path: Path) -> None:
    assert prints(path) == [] or path == CLI / "output.py"


@given(st.text())
def test_what_is_shown_steers_no_terminal_and_loses_nothing(text: str) -> None:
    steering = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    assert all(character == "\n" or unicodedata.category(character) not in steering for character in shown(text))
    assert "\n" not in one_line(text)
    if text.isascii() and text.isprintable():
        assert shown(text) == one_line(text) == text


def test_every_way_to_print_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(HOSTILE, error=True)
    print_record({"user": HOSTILE + "\nmechanism  PLAIN"})
    print_table(("user",), [(HOSTILE + "\nbob",)], title=HOSTILE)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 5
    assert not set(out + err) & set(HOSTILE) - set(map(chr, range(32, 127)))


@pytest.fixture
def hostile_server() -> Iterator[int]:
    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            name = HOSTILE.replace("\u2028", "").encode()
            self.wfile.write(b"220 " + name + b" ESMTP\r\n")
            for line in self.rfile:
                if line.upper().startswith(b"EHLO"):
                    self.wfile.write(b"250-" + name + b"\r\n250 AUTH PLAIN X-" + name + b"\r\n")
                elif line.upper().startswith(b"QUIT"):
                    return
                else:
                    self.wfile.write(b"535 5.7.8 " + name + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    "words",
    [
        ["probe"],
        ["auth", "--user", "alice", "--password", "x"],
        ["auth", "--user", "alice", "--password", "x", "--mechanism", "DIGEST-MD5"],
        ["conformance", "--user", "alice", "--password", "x", "--spec", "rfc4954", "--destructive", "--pause", "0"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_servers_names_and_texts_are_shown_and_not_obeyed(
    words: list[str], hostile_server: int, capsys: pytest.CaptureFixture[str]
) -> None:
    main([words[0], f"smtp://127.0.0.1:{hostile_server}", *words[1:]])
    out, err = capsys.readouterr()
    assert out + err
    assert not set(out + err) & set(HOSTILE) - set(map(chr, range(32, 127)))
