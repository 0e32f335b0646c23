"""`saslsspi demo`: every installed mechanism at every layer, against the embedded servers, with a tap on the wire."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.demo.ldap import stage as ldap_stage
from saslsspi.cli.demo.mail import STAGES
from saslsspi.cli.demo.rows import Play, ProtectionLevel, Row, Stage
from saslsspi.cli.demo.story import print_opening, print_rows, print_wire
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.mail_clients import CLIENTS
from saslsspi.cli.output import add_json_option, print_json, show_progress
from saslsspi.engine.entry_points import Plugin
from saslsspi.engine.policy import DEFAULT_POLICY, NegotiatePolicy, Policy, Property
from saslsspi.engine.registry import find_package
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import Binding, Mechanism
from saslsspi.sasl.registry import MECHANISMS, find_mechanism

__all__ = ["configure", "run"]

_PROTOCOLS: Final = ("ldap", *CLIENTS)
_MORE: Final = " To see the octets: saslsspi demo --protocol imap --show-wire"
_SHOWN: Final = "DIGEST-MD5"  # on the wire, where no mechanism is named: it has every level

_UNSTAGED: Final = {"Kerberos": "it needs a Kerberos realm, and there is none on loopback"}
"""Packages that need more than the embedded servers are."""

_WITHOUT_REALM: Final = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
"""Negotiate would look for a realm first, and a name server that is silent would cost seconds."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Log on with every installed mechanism at every layer, work, and look at the wire."
    parser.add_argument("--protocol", action="append", choices=_PROTOCOLS, help="only this one; repeatable")
    parser.add_argument("--mechanism", action="append", metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--show-wire", action="store_true",
        help=f"show the wire, decoded, with no layer, integrity and confidentiality (of {_SHOWN})")  # fmt: skip
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run every row; succeed only when all do."""
    if arguments.json and arguments.show_wire:
        raise WrongUsage("--show-wire is for a person: it goes without --json")
    names = arguments.mechanism or ([_SHOWN] if arguments.show_wire else None)
    mechanisms, left_out = _mechanisms(names)
    if not arguments.json:
        print_opening()
    rows: list[Row] = []
    for name in arguments.protocol or _PROTOCOLS:
        levels = _one_of_each if arguments.show_wire else _levels
        try:
            with _stage(name)() as play:
                rows += _played(name, play, mechanisms, levels)
        except ModuleNotFoundError as error:
            left_out[_title(name)] = f"it needs {error.name}: pip install 'saslsspi[smtp]'"
    _show_progress("")
    succeeded = bool(rows) and all(not row.problem for row in rows)
    if arguments.json:
        print_json({"succeeded": succeeded, "rows": [row.record() for row in rows], "left_out": left_out})
    else:
        if arguments.show_wire:
            print_wire(rows)
        print_rows(rows, left_out, succeeded=succeeded, more="" if arguments.show_wire else _MORE)
    return ExitStatus.OK if succeeded else ExitStatus.REFUSED


def _stage(protocol: str) -> Stage:
    if protocol == "ldap":
        return ldap_stage
    return STAGES[protocol]


def _title(protocol: str) -> str:
    return LINE_PROTOCOLS[protocol].title if protocol in LINE_PROTOCOLS else protocol.upper()


def _played(
    protocol: str,
    play: Play,
    mechanisms: list[Mechanism],
    levels: Callable[[Mechanism], Iterator[ProtectionLevel]],
) -> Iterator[Row]:
    clear_after = LINE_PROTOCOLS[protocol].clear_after if protocol in LINE_PROTOCOLS else frozenset()
    if mechanisms:
        play(mechanisms[0], next(_levels(mechanisms[0])))  # loads code, and would distort the first time
    for mechanism in mechanisms:
        for level in levels(mechanism):
            if level.policy.min_ssf and mechanism.name in clear_after:
                continue  # the protocol goes on in clear behind it, whatever the mechanism could
            _show_progress(f"{_title(protocol)}: {mechanism.name} {level.name}")
            yield play(mechanism, level)


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


def _one_of_each(mechanism: Mechanism) -> Iterator[ProtectionLevel]:
    """Yield a level without a layer, one with integrity, and one with confidentiality."""
    seen = set()
    for level in _levels(mechanism):
        if level.policy.min_ssf not in seen:
            seen.add(level.policy.min_ssf)
            yield level


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        show_progress(text, sys.stderr)
