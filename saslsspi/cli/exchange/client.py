"""`saslsspi client`: the client's side of one exchange on standard input and output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from saslsspi.cli.exchange.ends import End, PackageEnd, SaslClientEnd
from saslsspi.cli.exchange.lines import converse
from saslsspi.cli.exchange.options import add_exchange_options
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.options import add_identity_options, credssp_from, logon_from
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.context import Context
from saslsspi.errors import NoCredentials, SaslError
from saslsspi.sasl.registry import find_mechanism

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Speak for the client in one exchange, a line at a time (docs/cli.md)."
    add_exchange_options(parser)
    add_identity_options(parser)
    add_policy_options(parser)
    parser.add_argument("--ca", type=Path, metavar="FILE",
        help="the authorities in PEM whose servers count as proved (CREDSSP)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Speak until the exchange and its input have ended."""
    try:
        end = _end(arguments)
    except NoCredentials as error:
        who = f"who authenticates? give --user NAME, and the password ({error.text})"
        raise WrongUsage(who if arguments.user is None else error.text) from error
    except SaslError as error:
        raise WrongUsage(error.text) from error
    return converse(end, sys.stdin.buffer, sys.stdout.buffer)


def _end(arguments: argparse.Namespace) -> End:
    policy = policy_from(arguments, credssp=credssp_from(arguments, ca=arguments.ca))
    logon = logon_from(arguments, arguments.mechanism, policy, arguments.service)
    if arguments.package is not None:
        context = Context.initiate(
            arguments.package,
            target=logon.target,
            credentials=logon.credentials,
            authzid=logon.authzid,
            policy=policy,
        )
        return PackageEnd(context, speaks=True)
    return SaslClientEnd(logon.client(find_mechanism(arguments.mechanism)))
