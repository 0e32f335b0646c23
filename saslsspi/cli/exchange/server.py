"""`saslsspi server`: the server's side of one exchange on standard input and output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from saslsspi.accounts import MemoryNonceStore
from saslsspi.cli.exchange.ends import End, PackageEnd, SaslServerEnd
from saslsspi.cli.exchange.lines import converse
from saslsspi.cli.exchange.options import add_exchange_options
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.options import add_account_options, authority_from, certified, names_of_service
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.context import Context
from saslsspi.engine.environment import Environment
from saslsspi.engine.identity import WinNTAuthIdentity
from saslsspi.errors import SaslError
from saslsspi.sasl.server import Server

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Speak for the server in one exchange, a line at a time (docs/cli.md)."
    add_exchange_options(parser)
    parser.add_argument("--realm", action="append", default=[], metavar="NAME", help="a realm to offer; repeatable")
    parser.add_argument("--no-success-data", action="store_true",
        help="send the last data as one more challenge, and finish on the client's empty response")  # fmt: skip
    parser.add_argument("--cert", type=Path, metavar="FILE",
        help="the certificate chain in PEM (CREDSSP); without it a self-signed one is made")  # fmt: skip
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key in PEM, where that is not in --cert too")
    add_account_options(parser)
    add_policy_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Speak until the exchange and its input have ended."""
    try:
        end = _end(arguments)
    except SaslError as error:
        raise WrongUsage(error.text) from error
    return converse(end, sys.stdin.buffer, sys.stdout.buffer)


def _end(arguments: argparse.Namespace) -> End:
    authority = authority_from(arguments)
    environment = Environment(
        authority=authority,
        nonce_store=MemoryNonceStore(),
        policy=policy_from(arguments, credssp=certified(arguments), allow_anonymous=arguments.allow_anonymous),
    )
    hosts = names_of_service(arguments)
    if arguments.package is not None:
        if arguments.no_success_data:
            raise WrongUsage("--no-success-data is about SASL; a bare package has no success to send data with")
        context = Context.accept(
            arguments.package,
            principal=" ".join(f"{arguments.service}/{host}" for host in hosts),
            credentials=WinNTAuthIdentity(domain=" ".join(arguments.realm)) if arguments.realm else None,
            environment=environment,
        )
        return PackageEnd(context, speaks=False)
    server = Server(
        arguments.mechanism,
        service=arguments.service,
        host=hosts,
        realm=arguments.realm,
        success_data=not arguments.no_success_data,
        environment=environment,
    )
    return SaslServerEnd(server)
