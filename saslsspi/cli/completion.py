"""`saslsspi completion`: what bash, zsh or fish reads to complete commands, options and files."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saslsspi.cli.commands import program
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.output import say

__all__ = ["SHELLS", "completion", "configure", "run"]

SHELLS: Final = ("bash", "zsh", "fish")
_FILES: Final = {"FILE", "STORE"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.description = (
        'Print what a shell reads to complete this program\'s commands and options: eval "$(saslsspi completion bash)",'
        " a file _saslsspi in zsh's fpath, or ~/.config/fish/completions/saslsspi.fish."
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    if importlib.util.find_spec("shtab") is None:
        raise WrongUsage("it is written by shtab: pip install 'saslsspi[cli]'")
    say(completion(arguments.shell).rstrip())
    return ExitStatus.OK


def completion(shell: str) -> str:
    """Return what a shell is to read."""
    import shtab

    parser = program()
    for action in _actions(parser):
        if action.metavar in _FILES or action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield every action of a parser and of those below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
