"""The program `saslsspi`: finds the command and loads only that one."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

import saslsspi

__all__ = ["main"]

COMMANDS: Final = {
    "demo": "see it work: every mechanism and layer against embedded servers",
    "mechanisms": "the SASL mechanisms that are installed",
    "packages": "the security packages that are installed",
    "auth": "authenticate to a real server and do one harmless thing there",
    "serve": "run the embedded servers, for trying clients out",
    "accounts": "who may log on: add, change, list, and move accounts between stores",
    "authd": "the accounts and mechanisms as a service for Postfix, Exim and Dovecot",
    "client": "the client's side of one exchange on standard input and output",
    "server": "the server's side of one exchange on standard input and output",
    "decode": "what a token says, and what is weak about it",
    "probe": "what a server offers, and what is weak about it",
    "conformance": "the specifications as a test run, for this library and for anybody's server",
}
"""The commands, each the module of its name in saslsspi.cli, which brings configure(parser) and run(arguments)."""

_ROOMS: Final = {"client": "exchange.client", "server": "exchange.server"}

_INTERRUPTED: Final = 130  # what a shell reports of a program that Ctrl-C ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status (0 as asked, 1 refused, 2 wrong usage, 3 broken protocol)."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name not in COMMANDS:
        parser = _top_parser()
        if not words:
            parser.print_help(sys.stderr)
            return 2
        parser.parse_args(words[:1])
    command = importlib.import_module(f"saslsspi.cli.{_ROOMS.get(name, name)}")
    parser = argparse.ArgumentParser(prog=f"saslsspi {name}", allow_abbrev=False)
    command.configure(parser)
    end = words.index("--") if "--" in words and getattr(command, "RUNS_A_PROGRAM", False) else len(words)
    return _run(command, parser, parser.parse_args(words[1:end], argparse.Namespace(program=words[end + 1 :])))


def _run(command: ModuleType, parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from saslsspi.cli.exit_status import ExitStatus, WrongUsage, exit_status
    from saslsspi.cli.output import say
    from saslsspi.errors import SaslError

    try:
        return int(command.run(arguments))
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


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="saslsspi",
        usage="saslsspi COMMAND [OPTION ...]",
        description="SASL mechanisms on a security-context engine with SSPI semantics.",
        epilog="commands:\n"
        + "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
        + "\n\n`saslsspi COMMAND --help` tells what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"saslsspi {saslsspi.__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
