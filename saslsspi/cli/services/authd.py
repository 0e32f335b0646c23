"""`saslsspi authd`: the accounts and mechanisms of this library, for Postfix, Exim, Dovecot and Cyrus's programs."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from saslsspi.authd.service import check, serve
from saslsspi.cli.exit_status import ExitStatus
from saslsspi.cli.output import say

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Serve Dovecot's authentication protocol (Postfix: smtpd_sasl_type = dovecot, Exim: driver = dovecot) and"
        " saslauthd's, with the accounts of a configuration file. SIGHUP reads it again."
    )
    parser.add_argument("configuration", type=Path, metavar="FILE", help="TOML: listeners, accounts, policy, limits")
    parser.add_argument("--check", action="store_true", help="say whether the configuration can be used, and end")
    parser.add_argument("--verbose", action="store_true", help="log what happens to standard error")


def run(arguments: argparse.Namespace) -> int:
    """Serve, or check."""
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(name)s: %(message)s")
    if arguments.check:
        settings = check(arguments.configuration)
        for listener in settings.listeners:
            say(f"{listener.protocol} on {listener.shown}")
        say("the configuration can be used")
    else:
        serve(arguments.configuration)
    return ExitStatus.OK
