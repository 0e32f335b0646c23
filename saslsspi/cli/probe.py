"""`saslsspi probe URL`: what a server offers, and what is weak about it; nobody logs on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.output import add_json_option, print_json, print_record, print_table, say
from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import TargetAccount
from saslsspi_conformance.outcome import CaseError, NotApplicable
from saslsspi_conformance.probe.findings import Finding, Severity, worst
from saslsspi_conformance.probe.policy import ProbePolicy
from saslsspi_conformance.probe.survey import Survey, survey
from saslsspi_conformance.targets.wire import PORTS, Address

__all__ = ["configure", "run"]

_WARNED: Final = 4
_STATUS: Final = {Severity.GOOD: 0, Severity.INFO: 0, Severity.WARN: _WARNED, Severity.FAIL: int(ExitStatus.REFUSED)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Tell what a server offers before and after TLS, and what is weak about it. Needs no account and makes no "
        "logon. Exit status: 0 good, 4 warnings, 1 failures, 2 wrong usage, 3 could not be asked."
    )
    parser.add_argument("url", metavar="URL", help=f"SCHEME://HOST[:PORT]; the schemes: {', '.join(PORTS)}")
    parser.add_argument("--host", metavar="NAME", default="", help="the server's name, when not that of the URL")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="the authorities to trust, in PEM; else the system's")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="what is required and forbidden, in TOML")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="for each answer (5)")
    parser.add_argument("--name-a-user", action="store_true",
        help="begin SCRAM as the user `probe` where only that shows whether an initial response is taken; the server "
        "may note a failed logon")  # fmt: skip
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the server once."""
    if arguments.ca is not None and not arguments.ca.is_file():
        raise WrongUsage(f"there is no file {arguments.ca}")
    if not 0 < arguments.timeout < float("inf"):
        raise WrongUsage("--timeout is a number of seconds above 0")
    policy = _policy(arguments.policy)
    try:
        address = Address.from_url(
            arguments.url, TargetAccount("", ""), ca=arguments.ca, name=arguments.host, timeout=arguments.timeout
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    try:
        found = survey(address, may_name_user=arguments.name_a_user)
    except (OSError, CaseError, NotApplicable, SaslError) as error:
        text = f"{address.host}:{address.port} cannot be probed: {error}"
        if arguments.json:
            print_json({"url": arguments.url, "error": text})
        else:
            say(f"saslsspi probe: {text}", error=True)
        return ExitStatus.PROTOCOL
    findings = policy.apply(found.findings) + policy.violations(found.clear, found.inside)
    findings.sort(key=lambda finding: -finding.level)
    level = worst(findings)
    if arguments.json:
        print_json(_document(arguments.url, found, findings, level))
    else:
        _print(found, findings)
    return _STATUS[level]


def _policy(file: Path | None) -> ProbePolicy:
    if file is None:
        return ProbePolicy()
    try:
        return ProbePolicy.from_toml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongUsage(f"the policy {file} cannot be used: {error}") from error


def _document(url: str, found: Survey, findings: list[Finding], level: Severity) -> dict[str, object]:
    return {
        "url": url,
        "level": level.name.lower(),
        "mechanisms": {"without_tls": found.clear, "with_tls": found.inside},
        "digest_md5": found.digest or None,
        "findings": [finding.record() for finding in findings],
    }


def _print(found: Survey, findings: list[Finding]) -> None:
    record: dict[str, object] = {}
    if found.clear is not None:
        record["mechanisms without TLS"] = found.clear
    record["mechanisms with TLS"] = "no TLS" if found.inside is None else found.inside
    record |= {f"DIGEST-MD5 {name}": value for name, value in found.digest.items()}
    print_record(record)
    say()
    rows = [(finding.level.name.lower(), finding.id, finding.text) for finding in findings]
    print_table(("level", "finding", "what"), rows)
