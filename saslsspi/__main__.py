"""The program `saslsspi`: finds the command and loads only that one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from saslsspi.cli.commands import COMMANDS, command, front, parser_of

__all__ = ["main"]

_INTERRUPTED: Final = 130  # what a shell reports of a program that Ctrl-C ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status (0 as asked, 1 refused, 2 wrong usage, 3 broken protocol)."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name not in COMMANDS:
        parser = front()
        if not words:
            parser.print_help(sys.stderr)
            return 2
        parser.parse_args(words[:1])
    room, parser = command(name), parser_of(name)
    end = words.index("--") if "--" in words and getattr(room, "RUNS_A_PROGRAM", False) else len(words)
    return _run(room, parser, parser.parse_args(words[1:end], argparse.Namespace(program=words[end + 1 :])))


def _run(room: ModuleType, parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from saslsspi.cli.exit_status import ExitStatus, WrongUsage, exit_status
    from saslsspi.cli.output import say
    from saslsspi.errors import SaslError

    try:
        return int(room.run(arguments))
    except WrongUsage as error:
        say(f"{parser.prog}: {error}\n`{parser.prog} --help` lists the options.", error=True)
        return ExitStatus.USAGE
    except SaslError as error:
        say(f"{parser.prog}: {error}", error=True)
        return exit_status(error)
    except BrokenPipeError:
        return ExitStatus.PROTOCOL
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
