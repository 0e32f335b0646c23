"""Every command line that a document shows is one that the program takes."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from saslsspi.cli.commands import COMMANDS, command, parser_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in path.parts)]
FENCE = re.compile(r" *```(\w*)")
SHELLS = {"", "sh", "console", "text", "yaml"}
LINE = re.compile(rf"(?:^|[ \"'(-]\s*)(?:\.venv/bin/)?saslsspi ((?:{'|'.join(COMMANDS)})(?: [^\n]*)?)$", re.MULTILINE)


def blocks(page: Path) -> Iterator[str]:
    inside = None
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = FENCE.match(line)
        if fence is not None:
            inside = fence[1] if inside is None else None
        elif inside in SHELLS:
            yield line


def lines(page: Path) -> list[str]:
    text = "\n".join(blocks(page)).replace("\\\n", " ")
    text = re.sub(r"\n +--", " --", text)  # YAML's folded lines
    return [line.partition(" #")[0].strip() for line in LINE.findall(text)]


SHOWN = [(page, line) for page in PAGES for line in lines(page) if "[--" not in line]  # which is no line to type


def test_there_are_such_lines() -> None:
    assert len(SHOWN) > 60
    assert {line.split()[0] for _, line in SHOWN} >= {
        "demo",
        "auth",
        "serve",
        "accounts",
        "conformance",
        "probe",
        "decode",
    }


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[f"{page.stem}: {line}" for page, line in SHOWN])
def test_the_program_takes_it(page: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = re.split(r" [<>|]|[;)]| && |  +", line)[0].replace("BASE64...", "AAAA").replace("HEX...", "00")
    line = line.replace(" ...", "")
    words = shlex.split(line if line.count('"') % 2 == 0 else line.rstrip('"'))
    name, *rest = words
    end = rest.index("--") if "--" in rest and getattr(command(name), "RUNS_A_PROGRAM", False) else len(rest)
    with contextlib.suppress(SystemExit):
        parser_of(name).parse_args(rest[:end])
    assert "error:" not in capsys.readouterr().err
