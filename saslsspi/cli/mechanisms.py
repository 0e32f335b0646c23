"""`saslsspi mechanisms`: the installed SASL mechanisms, and what failed to load."""

from __future__ import annotations

import argparse

from saslsspi.cli.output import add_json_option, print_json, print_table, say
from saslsspi.engine.entry_points import Plugin
from saslsspi.engine.registry import package_problem
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "List the SASL mechanisms that are installed, and what failed to load."
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    records = [_record(plugin) for plugin in MECHANISMS.plugins()]
    if arguments.json:
        print_json({"mechanisms": records})
        return 0
    usable = [record for record in records if not record["problem"]]
    print_table(
        ("mechanism", "package", "sides", "layers", "SSF", "properties", "from"),
        [
            [record[key] for key in ("name", "package", "sides", "layers", "max_ssf", "properties", "distribution")]
            for record in usable
        ],
    )
    for record in records:
        if record["problem"]:
            say(f"{record['name']} of {record['distribution']} cannot be used: {record['problem']}")
    return 0


def _record(plugin: Plugin[Mechanism]) -> dict[str, object]:
    mechanism, problem = plugin.value, plugin.problem
    if mechanism is not None and mechanism.package is not None:
        problem = package_problem(mechanism.package)
    described: dict[str, object] = {"name": plugin.name, "distribution": plugin.distribution, "problem": problem}
    if mechanism is not None:
        described |= {
            "package": mechanism.package,
            "sides": _sides(mechanism),
            "layers": _layers(mechanism),
            "max_ssf": mechanism.max_ssf,
            "properties": [(flag.name or "").lower().replace("_", "-") for flag in mechanism.properties],
        }
    return described


def _sides(mechanism: Mechanism) -> list[str]:
    if mechanism.package is not None:
        return ["client", "server"]
    return [side for side in ("client", "server") if getattr(mechanism, side) is not None]


def _layers(mechanism: Mechanism) -> list[str]:
    if not mechanism.max_ssf:
        return ["none"]
    return ["none", "integrity", *(["confidentiality"] if mechanism.max_ssf > 1 else [])]
