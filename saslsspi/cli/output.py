"""What commands print: lines and tables for a person, one JSON document for a program.

A terminal gets a framed table where rich is installed; a pipe gets plain aligned lines. NO_COLOR is obeyed. Whatever is
printed goes through here, since names and texts come from peers: what would steer a terminal is shown and not obeyed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["add_json_option", "one_line", "print_json", "print_record", "print_table", "say", "show_progress", "shown"]

_ORDINARY: Final = re.compile(r"[\n -~]*\Z")
# Control and format characters (escapes, and those that turn the order of text round), line and paragraph separators,
# and what is no character at all.
_STEERING: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def shown(text: str) -> str:
    """Return a text as a terminal may see it: all but its line ends is written out where it would steer one."""
    if _ORDINARY.match(text):
        return text
    return "".join(
        ascii(character)[1:-1] if character != "\n" and unicodedata.category(character) in _STEERING else character
        for character in text
    )


def say(text: str = "", *, error: bool = False) -> None:
    """Print a text on standard output, or on standard error, at once."""
    print(shown(text), file=sys.stderr if error else sys.stdout, flush=True)


def show_progress(text: str, stream: TextIO) -> None:
    """Put a text in the place of the last one on a terminal's line; "" clears it."""
    print(f"\r\x1b[K{shown(text)}", end="", file=stream, flush=True)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def print_json(document: object) -> None:
    """Print a document; nothing else goes to standard output in the same run."""
    print(json.dumps(document, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print rows under headings. Numbers are aligned to the right."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
        _print_framed(headings, rows, title)
    else:
        _print_plain(headings, rows, title)


def print_record(record: Mapping[str, object]) -> None:
    """Print a name and a value a line."""
    width = max(map(len, record), default=0)
    for name, value in record.items():
        say(f"{name:{width}}  {_text(value)}")


def _print_framed(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    table = _framed(headings, rows, title, 1)
    if console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
        table = _framed(headings, rows, title, 0)
    console.print(table)


def _framed(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str, gap: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    rights = _right_aligned(headings, rows)
    for at, heading in enumerate(headings):
        # Only what has words is broken into lines: a name in two pieces is no name.
        whole = not any(" " in _text(row[at], "") for row in rows)
        table.add_column(heading, justify="right" if rights[at] else "left", no_wrap=whole, overflow="fold")
    for row in rows:
        # Text and not markup: what a peer says may hold brackets.
        table.add_row(*(Text(_text(cell, "\n"), style=_STYLES.get(_text(cell), "")) for cell in row))
    return table


_STYLES = {"ok": "green", "failed": "bold red"}


def _print_plain(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    cells = [list(headings), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(headings))]
    rights = _right_aligned(headings, rows)
    if title:
        say(title)
    for line in cells:
        padded = (
            f"{cell:>{width}}" if right else f"{cell:<{width}}"
            for cell, width, right in zip(line, widths, rights, strict=True)
        )
        say("  ".join(padded).rstrip())


def _right_aligned(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    return [bool(rows) and all(isinstance(row[at], int | float) for row in rows) for at in range(len(headings))]


def _text(value: object, separator: str = ", ") -> str:
    if value is None or value == "" or value == () or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return separator.join(one_line(str(item)) for item in value)
    return one_line(str(value))


def one_line(text: str) -> str:
    """Return a text on one line: a line end in a peer's name would make another record of it."""
    return shown(text).replace("\n", "\\n")
