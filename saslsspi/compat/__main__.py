"""`python -m saslsspi.compat run --as FACE PROGRAM ...`: run a Python program with faces in place."""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from saslsspi.compat import FACES, install
from saslsspi.errors import InvalidParameter, SaslError

__all__ = ["main"]

_WRONG_USAGE: Final = 2
_LONGEST_FIRST_LINE: Final = 512


def main(argv: Sequence[str] | None = None) -> int:
    """Run one program; what it ends with, this ends with."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    names = [name for text in arguments.faces for name in text.replace(",", " ").split()]
    try:
        start = _module if arguments.module else _script(arguments.program)
        install(*names, **dict(map(_option, arguments.options)))
    except SaslError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return _WRONG_USAGE
    start(arguments.program, arguments.arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m saslsspi.compat",
        description="Run a Python program that was written for another library.",
        epilog=f"faces: {', '.join(FACES)}; docs/compat.md tells what each has, and its options",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="run")
    run = commands.add_parser("run", help="run a program with faces in place", allow_abbrev=False)
    run.add_argument(
        "--as", dest="faces", action="append", required=True, metavar="FACE[,FACE]", help="whose place to take"
    )
    run.add_argument(
        "--with",
        dest="options",
        action="append",
        default=[],
        metavar="OPTION[=VALUE]",
        help="an option of a face, as install takes it: --with clear",
    )
    run.add_argument("-m", dest="module", action="store_true", help="PROGRAM is a module, as with python -m")
    run.add_argument("program", metavar="PROGRAM", help="a file, a command of the search path, or with -m a module")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the program's own arguments")
    return parser


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    return name.strip(), value if equals else True


def _module(name: str, arguments: Sequence[str]) -> None:
    # As `python -m` has it: the working directory comes first. runpy puts the module's file into argv[0].
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _script(name: str) -> Any:
    """Return what runs a script, or a command that is one.

    Raises:
        InvalidParameter: there is no such program, or it is not one of Python's.
    """
    path = name if Path(name).exists() else shutil.which(name)
    if path is None:
        raise InvalidParameter(f"there is no file and no command {name}; with -m it is a module")
    if not (Path(path).is_dir() or zipfile.is_zipfile(path)) and not _is_python(Path(path)):
        raise InvalidParameter(f"{path} is not a Python program, so no face can be put into it")

    def start(_: str, arguments: Sequence[str]) -> None:
        sys.argv = [path, *arguments]
        # As `python FILE` has it; where a folder is run, runpy itself puts that first.
        sys.path[0] = os.path.dirname(os.path.realpath(path))
        runpy.run_path(path, run_name="__main__")

    return start


def _is_python(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(_LONGEST_FIRST_LINE)
        second = file.readline(_LONGEST_FIRST_LINE)
    if not first.startswith(b"#!"):
        return b"\0" not in first
    # An installer writes long paths of interpreters as a shell's line that a second one calls.
    return b"python" in first or (first.startswith(b"#!/bin/sh") and second.startswith(b"'''exec'"))


if __name__ == "__main__":
    sys.exit(main())
