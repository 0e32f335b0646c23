"""`saslsspi client`: the client's side of one exchange on standard input and output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from saslsspi.cli.exchange.ends import End, PackageClientEnd, SaslClientEnd
from saslsspi.cli.exchange.lines import converse
from saslsspi.cli.exchange.options import add_exchange_options, bare_package
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.options import add_identity_options, credentials_from, credssp_from
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.engine.environment import Environment
from saslsspi.errors import NoCredentials, SaslError
from saslsspi.sasl import contextual
from saslsspi.sasl.client import Client
from saslsspi.sasl.mechanism import ClientParameters

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
    parameters = ClientParameters(
        service=arguments.service,
        host=arguments.host,
        server_name=arguments.server_name,
        credentials=credentials_from(arguments),
        authzid=arguments.authzid,
        bindings=None,
        environment=Environment(policy=policy),
    )
    if arguments.package is not None:
        package = bare_package(arguments.package)
        return PackageClientEnd(package, policy, contextual.prepare_client(package, parameters))
    client = Client(
        arguments.mechanism,
        service=parameters.service,
        host=parameters.host,
        server_name=parameters.server_name,
        credentials=parameters.credentials,
        authzid=parameters.authzid,
        policy=policy,
    )
    return SaslClientEnd(client)
