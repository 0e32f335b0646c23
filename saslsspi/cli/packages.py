"""`saslsspi packages`: the installed security packages, and what failed to load."""

from __future__ import annotations

import argparse

from saslsspi.cli.output import add_json_option, print_json, print_table, say
from saslsspi.engine.entry_points import Plugin
from saslsspi.engine.flags import SecurityPackageCapability
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.registry import PACKAGES

__all__ = ["configure", "run"]

_PREFIX = "SECPKG_FLAG_"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "List the security packages that are installed, and what failed to load."
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    records = [_record(plugin) for plugin in PACKAGES.plugins()]
    if arguments.json:
        print_json({"packages": records})
        return 0
    usable = [record for record in records if not record["problem"]]
    shown = ("name", "aliases", "sides", "layers", "capabilities", "distribution")
    print_table(
        ("package", "also", "sides", "layers", "properties", "from"),
        [[record[key] for key in shown] for record in usable],
    )
    for record in records:
        if record["problem"]:
            say(f"{record['name']} of {record['distribution']} cannot be used: {record['problem']}")
    return 0


def _record(plugin: Plugin[AnyPackage]) -> dict[str, object]:
    package = plugin.value
    problem = plugin.problem if package is None else package.problem()
    described: dict[str, object] = {"name": plugin.name, "distribution": plugin.distribution, "problem": problem}
    if package is not None:
        info = package.info
        described |= {
            "aliases": list(package.aliases),
            "comment": info.comment,
            "sides": _sides(info.capabilities),
            "layers": _layers(info.capabilities),
            "version": info.version,
            "rpcid": info.rpcid,
            "max_token": info.max_token,
            "capabilities": [_spelled(flag) for flag in info.capabilities],
        }
    return described


def _sides(capabilities: SecurityPackageCapability) -> list[str]:
    client_only = capabilities & SecurityPackageCapability.SECPKG_FLAG_CLIENT_ONLY
    return ["client"] if client_only else ["client", "server"]


def _layers(capabilities: SecurityPackageCapability) -> list[str]:
    layers = ["none"]
    if capabilities & SecurityPackageCapability.SECPKG_FLAG_INTEGRITY:
        layers.append("integrity")
    if capabilities & SecurityPackageCapability.SECPKG_FLAG_PRIVACY:
        layers.append("confidentiality")
    return layers


def _spelled(flag: SecurityPackageCapability) -> str:
    return (flag.name or "").removeprefix(_PREFIX).lower().replace("_", "-")
