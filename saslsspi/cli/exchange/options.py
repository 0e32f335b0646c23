"""What `client` and `server` have in common: which exchange, and between whom."""

from __future__ import annotations

import argparse

from saslsspi.cli.options import add_name_option

__all__ = ["add_exchange_options"]


def add_exchange_options(parser: argparse.ArgumentParser) -> None:
    """Add the mechanism or package, and the service that the exchange is for."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("mechanism", nargs="?", metavar="MECH", help="a SASL mechanism; `saslsspi mechanisms` lists them")
    what.add_argument("--package", metavar="NAME",
        help="a bare security package instead; `saslsspi packages` lists them")  # fmt: skip
    parser.add_argument("--service", default="ldap", metavar="NAME", help="ldap (the default), imap, smtp, pop, ...")
    parser.add_argument("--host", default="localhost", metavar="NAME", help="the server's full name")
    add_name_option(parser)
