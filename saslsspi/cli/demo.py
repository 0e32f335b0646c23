"""`saslsspi demo`: every installed mechanism at every layer, against the embedded servers, with a tap on the wire."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from typing import Final, cast

from saslsspi.cli.demonstration import Level, Row, Stage
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.output import add_json_option, print_json, print_table
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import LayerChoice, Mechanism
from saslsspi.sasl.registry import MECHANISMS, find_mechanism
from saslsspi.sspi.policy import DEFAULT_POLICY, Policy

__all__ = ["configure", "run"]

_STAGES: Final = ("ldap",)
"""The protocols, each a module demo_NAME with a function `stage`; another one is a line here and a file."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Authenticate with every installed mechanism at every layer, and look at the wire."
    parser.add_argument("--mechanism", action="append", metavar="NAME", help="only this one; repeatable")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run every row; succeed only when all do."""
    mechanisms = _mechanisms(arguments.mechanism)
    rows: list[Row] = []
    for name in _STAGES:
        stage = cast(Stage, importlib.import_module(f"saslsspi.cli.demo_{name}").stage)
        with stage() as play:
            for mechanism in mechanisms:
                for level in _levels(mechanism):
                    _show_progress(f"{name}: {mechanism.name} {level.name}")
                    rows.append(play(mechanism, level))
    _show_progress("")
    succeeded = bool(rows) and all(not row.problem for row in rows)
    if arguments.json:
        print_json({"succeeded": succeeded, "rows": [row._asdict() | {"clear": row.clear} for row in rows]})
    else:
        _print(rows, succeeded)
    return ExitStatus.AUTHENTICATED if succeeded else ExitStatus.REFUSED


def _mechanisms(names: list[str] | None) -> list[Mechanism]:
    if names is None:
        return [plugin.value for plugin in MECHANISMS.plugins() if plugin.value is not None]
    try:
        return [find_mechanism(name) for name in names]
    except SaslError as error:
        raise WrongUsage(error.text) from error


def _levels(mechanism: Mechanism) -> Iterator[Level]:
    yield Level("auth", Policy(max_ssf=0))
    if mechanism.layer is LayerChoice.NONE:
        return
    if mechanism.max_ssf:
        yield Level("auth-int", Policy(min_ssf=1, max_ssf=1))
    if mechanism.max_ssf > 1:
        ciphers = DEFAULT_POLICY.ciphers if mechanism.package == "WDigest" else ()
        for cipher in ciphers:
            yield Level(f"auth-conf {cipher}", Policy(min_ssf=2, ciphers=(cipher,)))
        if not ciphers:
            yield Level("auth-conf", Policy(min_ssf=2))


def _print(rows: list[Row], succeeded: bool) -> None:
    print_table(
        ("client", "mechanism", "package", "qop", "cipher", "SSF", "user", "acts as", "trips", "ms", "on the wire", ""),
        [
            [
                row.client,
                row.mechanism,
                row.package,
                row.qop,
                row.cipher,
                row.ssf,
                row.authcid,
                row.identity,
                row.round_trips,
                row.milliseconds,
                "readable" if row.clear else "encrypted",
                "failed" if row.problem else "ok",
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row.problem:
            print(f"{row.client} {row.mechanism} {row.level}: {row.problem}")
    if not rows:
        print("no mechanism is installed; `saslsspi mechanisms` says what failed to load")
    if succeeded:
        print(
            f"All {len(rows)} succeeded: each logged on (trips and ms), asked who it is and searched under its layer,"
        )
        print("while a tap looked for the searched text on the wire.")


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
