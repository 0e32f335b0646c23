"""`saslsspi gateway`: simple binds and plain logons come in, sealed connections and tokens go out."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from saslsspi.cli.exit_status import ExitStatus
from saslsspi.cli.output import say
from saslsspi.gateway.service import check, serve

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Let programs in that can log on with a password and nothing else (simple binds of LDAP, PLAIN and LOGIN of"
        " mail), and log on for them at servers that demand signing, sealing, SASL or OAuth. SIGHUP reads it again."
    )
    parser.add_argument("configuration", type=Path, metavar="FILE", help="TOML: listeners, authorities, policy, limits")
    parser.add_argument("--check", action="store_true", help="say whether the configuration can be used, and end")
    parser.add_argument("--verbose", action="store_true", help="log what happens to standard error")


def run(arguments: argparse.Namespace) -> int:
    """Serve, or check."""
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(name)s: %(message)s")
    if arguments.check:
        settings = check(arguments.configuration)
        for listener in settings.listeners:
            say(f"{listener.protocol} on {listener.shown}, for {listener.authority}")
        say("the configuration can be used")
    else:
        serve(arguments.configuration)
    return ExitStatus.OK
