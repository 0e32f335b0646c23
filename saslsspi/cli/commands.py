"""The commands of the program `saslsspi`, and their parsers: one alone, which loads one, or all as one program."""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType
from typing import Final

import saslsspi

__all__ = ["COMMANDS", "command", "front", "parser_of", "program"]

COMMANDS: Final = {
    "demo": "see it work: every mechanism and layer against embedded servers",
    "mechanisms": "the SASL mechanisms that are installed",
    "packages": "the security packages that are installed",
    "auth": "authenticate to a real server and do one harmless thing there",
    "serve": "run the embedded servers, for trying clients out",
    "accounts": "who may log on: add, change, list, and move accounts between stores",
    "authd": "the accounts and mechanisms as a service for Postfix, Exim and Dovecot",
    "gateway": "LDAP and mail for programs that can only send a password, sealed or with a token on the other side",
    "client": "the client's side of one exchange on standard input and output",
    "server": "the server's side of one exchange on standard input and output",
    "decode": "what a token says, and what is weak about it",
    "probe": "what a server offers, and what is weak about it",
    "conformance": "the specifications as a test run, for this library and for anybody's server",
    "completion": "what a shell needs to complete all this",
}
"""The commands, each the module of its name in saslsspi.cli, which brings configure(parser) and run(arguments)."""

_ROOMS: Final = {
    "authd": "services.authd",
    "gateway": "services.gateway",
    "client": "exchange.client",
    "server": "exchange.server",
}
_DESCRIPTION: Final = "SASL mechanisms on a security-context engine with SSPI semantics."


def command(name: str) -> ModuleType:
    """Load a command."""
    return importlib.import_module(f"saslsspi.cli.{_ROOMS.get(name, name)}")


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of one command, and load no other."""
    parser = argparse.ArgumentParser(prog=f"saslsspi {name}", allow_abbrev=False)
    command(name).configure(parser)
    return parser


def program() -> argparse.ArgumentParser:
    """Return the parser of the whole program, for what is written from it: completion and the manual page."""
    parser = argparse.ArgumentParser(prog="saslsspi", description=_DESCRIPTION, allow_abbrev=False)
    _add_version(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, meaning in COMMANDS.items():
        command(name).configure(commands.add_parser(name, help=meaning, allow_abbrev=False))
    return parser


def front() -> argparse.ArgumentParser:
    """Return the parser of what stands before a command; it loads none, and lists them."""
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="saslsspi",
        usage="saslsspi COMMAND [OPTION ...]",
        description=_DESCRIPTION,
        epilog="commands:\n"
        + "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
        + "\n\n`saslsspi COMMAND --help` tells what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_version(parser)
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    version = f"saslsspi {saslsspi.__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version and end")
