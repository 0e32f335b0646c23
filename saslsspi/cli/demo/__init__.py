"""`saslsspi demo`: every installed mechanism at every layer, against the embedded servers, with a tap on the wire."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.demo.rows import ProtectionLevel, Row, Stage
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.output import add_json_option, print_json, print_table, say, show_progress
from saslsspi.engine.entry_points import Plugin
from saslsspi.engine.policy import DEFAULT_POLICY, NegotiatePolicy, Policy, Property
from saslsspi.engine.registry import find_package
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import Binding, Mechanism
from saslsspi.sasl.registry import MECHANISMS, find_mechanism

__all__ = ["configure", "run"]

_STAGES: Final = {
    "LDAP": ("ldap", "stage"),
    "SMTP": ("mail", "smtp"),
    "IMAP": ("mail", "imap"),
    "POP3": ("mail", "pop3"),
}
"""The protocols: the module and the Stage in it."""

_SMTP_MODULE = "aiosmtpd"  # an extra
_WIDE: Final = 98  # columns that the whole table needs

_UNSTAGED: Final = {"Kerberos": "it needs a Kerberos realm, and there is none on loopback"}
"""Packages that need more than the embedded servers are."""

_WITHOUT_REALM: Final = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
"""Negotiate would look for a realm first, and a name server that is silent would cost seconds."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Authenticate with every installed mechanism at every layer, and look at the wire."
    parser.add_argument("--mechanism", action="append", metavar="NAME", help="only this one; repeatable")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run every row; succeed only when all do."""
    mechanisms, left_out = _mechanisms(arguments.mechanism)
    rows: list[Row] = []
    for name, (module, attribute) in _STAGES.items():
        stage = cast(Stage, getattr(importlib.import_module(f"saslsspi.cli.demo.{module}"), attribute))
        if name == "SMTP" and importlib.util.find_spec(_SMTP_MODULE) is None:
            left_out[name] = "it needs aiosmtpd: pip install 'saslsspi[smtp]'"
            continue
        clear_after = LINE_PROTOCOLS[name.lower()].clear_after if name.lower() in LINE_PROTOCOLS else frozenset()
        with stage() as play:
            if mechanisms:
                play(mechanisms[0], next(_levels(mechanisms[0])))  # loads code, and would distort the first time
            for mechanism in mechanisms:
                for level in _levels(mechanism):
                    if level.policy.min_ssf and mechanism.name in clear_after:
                        continue  # the protocol goes on in clear behind it, whatever the mechanism could
                    _show_progress(f"{name}: {mechanism.name} {level.name}")
                    rows.append(play(mechanism, level))
    _show_progress("")
    succeeded = bool(rows) and all(not row.problem for row in rows)
    if arguments.json:
        print_json({"succeeded": succeeded, "rows": [row._asdict() for row in rows], "left_out": left_out})
    else:
        _print(rows, left_out, succeeded)
    return ExitStatus.OK if succeeded else ExitStatus.REFUSED


def _mechanisms(names: list[str] | None) -> tuple[list[Mechanism], dict[str, str]]:
    """Return the mechanisms to show, and why others cannot be."""
    try:
        found = [find_mechanism(name) for name in names or [plugin.name for plugin in _usable()]]
        reasons = {mechanism.name: _reason(mechanism) for mechanism in found}
    except SaslError as error:
        raise WrongUsage(error.text) from error
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    return [mechanism for mechanism in found if mechanism.name not in left_out], left_out


def _usable() -> list[Plugin[Mechanism]]:
    return [plugin for plugin in MECHANISMS.plugins() if plugin.value is not None]


def _reason(mechanism: Mechanism) -> str | None:
    if mechanism.weak:
        return f"{mechanism.weak}; it is off unless a policy names it"
    if mechanism.package is None:
        return None
    return _UNSTAGED.get(mechanism.package) or find_package(mechanism.package).problem()


def _levels(mechanism: Mechanism) -> Iterator[ProtectionLevel]:
    needs_tls = (
        mechanism.binding is Binding.REQUIRED
        or not mechanism.properties & Property.NO_PLAINTEXT
        or mechanism.credentials == (None,)  # the channel has authenticated the client
    )
    yield ProtectionLevel("auth in TLS" if needs_tls else "auth", replace(_WITHOUT_REALM, max_ssf=0), needs_tls)
    if mechanism.max_ssf:
        yield ProtectionLevel("auth-int", replace(_WITHOUT_REALM, min_ssf=1, max_ssf=1))
    if mechanism.max_ssf > 1:
        ciphers = DEFAULT_POLICY.ciphers if mechanism.package == "WDigest" else ()
        for cipher in ciphers:
            yield ProtectionLevel(f"auth-conf {cipher}", replace(_WITHOUT_REALM, min_ssf=2, ciphers=(cipher,)))
        if not ciphers:
            yield ProtectionLevel("auth-conf", replace(_WITHOUT_REALM, min_ssf=2))


def _print(rows: list[Row], left_out: dict[str, str], succeeded: bool) -> None:
    headings = ["mechanism", "package", "qop", "cipher", "SSF", "identities", "trips", "ms", "wire", ""]
    # A narrow terminal goes without the package: cut names would be worse.
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE
    hidden = headings.index("package") if narrow else len(headings)
    for number, client in enumerate(dict.fromkeys(row.client for row in rows)):
        if number:
            say()
        cells = [_cells(row) for row in rows if row.client == client]
        shown = headings[:hidden] + headings[hidden + 1 :]
        print_table(shown, [line[:hidden] + line[hidden + 1 :] for line in cells], title=client)
    for row in rows:
        if row.problem:
            say(f"{row.client} {row.mechanism} {row.level}: {row.problem}")
    for name, reason in left_out.items():
        say(f"{name} is not shown: {reason}")
    if not rows:
        say("no mechanism is installed; `saslsspi mechanisms` says what failed to load")
    if succeeded:
        say(f"All {len(rows)} succeeded: each logged on (round trips, ms), then searched LDAP or moved a message,")
        say("while a tap looked for that text on the wire: in the clear, sealed by the layer, or inside TLS.")


def _cells(row: Row) -> list[object]:
    wire = "TLS" if row.tls else "clear" if row.clear else "sealed"
    identities = [row.authcid] if row.identity in (row.authcid, f"u:{row.authcid}") else [row.authcid, row.identity]
    return [
        row.mechanism,
        row.package,
        row.qop,
        row.cipher.removeprefix("TLS_").partition("_SHA")[0],  # of CREDSSP; the whole name is in --json
        row.ssf,
        " as ".join(filter(None, identities)),
        row.round_trips,
        row.milliseconds,
        "-" if row.problem else wire,
        "failed" if row.problem else "ok",
    ]


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        show_progress(text, sys.stderr)
