"""`saslsspi conformance`: the requirement catalogue as a test run, for this library and for anybody's server."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.options import password_from
from saslsspi.cli.output import print_json, print_table, say, show_progress

if TYPE_CHECKING:
    from saslsspi_conformance.case_run import TargetAccount
    from saslsspi_conformance.runner.results import CaseResult, RunReport
    from saslsspi_conformance.runner.selection import Selection, Targets

__all__ = ["configure", "run"]

_PROTOCOLS: Final = ("ldap", *LINE_PROTOCOLS)
_SCHEMES: Final = (
    "ldap",
    "ldaps",
    *(scheme for protocol in LINE_PROTOCOLS.values() for scheme, _, _ in protocol.schemes()),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = f"saslsspi conformance self | URL | listen {'|'.join(_PROTOCOLS)}  [OPTION ...]"
    parser.description = "Run the specifications as tests, against this library, a server, or clients that connect."
    parser.epilog = (
        "exit status: 0 conformant, 1 not conformant, 2 wrong usage or nothing matched, 3 it could not be tested"
    )
    parser.add_argument("target", nargs="?", default="",
        help=f"self; HOST[:PORT] behind {' '.join(f'{scheme}://' for scheme in _SCHEMES)}; or listen",
    )  # fmt: skip
    parser.add_argument("protocol", nargs="?", choices=_PROTOCOLS, help="with listen: what to serve")
    which = parser.add_argument_group("which cases")
    which.add_argument("--list", action="store_true", help="list the cases and end")
    which.add_argument("--dry-run", action="store_true", help="tell what would run, and touch nothing")
    which.add_argument("--section", action="append", default=[], metavar="NUMBER",
        help="only this section and those below it, such as 2.1.2; repeatable")  # fmt: skip
    which.add_argument("--spec", action="append", default=[], metavar="NAME",
        help="only this specification, such as rfc2831; repeatable")  # fmt: skip
    which.add_argument("--requirement", action="append", default=[], metavar="ID", help="only this one; repeatable")
    which.add_argument("--level", choices=("must", "should"), help="leave out what binds less")
    which.add_argument("--side", choices=("client", "server"), help="only cases that test this side")
    which.add_argument("-k", dest="keyword", default="", metavar="WORDS", help="pytest's -k: names and requirement ids")
    which.add_argument("-p", dest="plugins", action="append", default=[], metavar="NAME",
        help="pytest's -p: load a plugin; repeatable")  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument("-x", dest="first", action="store_true", help="end at the first failure")
    how.add_argument("--strict", action="store_true", help="a SHOULD counts like a MUST")
    how.add_argument("--expect", type=Path, action="append", default=[], metavar="FILE",
        help="known failures, a case's name and # reason a line; one that passes is reported; repeatable")  # fmt: skip
    how.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="for each case (20)")
    how.add_argument("--failed-logons", type=int, default=3, metavar="N",
        help="how many failed logons the account may suffer (3)")  # fmt: skip
    how.add_argument("--pause", type=float, default=1.0, metavar="SECONDS", help="before each failed logon (1)")
    how.add_argument("--destructive", action="store_true", help="any number of failed logons will do")
    where = parser.add_argument_group("the target")
    where.add_argument("--user", metavar="NAME", help="who may log on there")
    where.add_argument("--password", help="the password; better: --password-file, SASLSSPI_PASSWORD or the prompt")
    where.add_argument("--password-file", type=Path, metavar="FILE", help="a file whose first line is the password")
    where.add_argument("--realm", default="", metavar="NAME", help="listen: the realm to offer")
    where.add_argument("--host", default="", metavar="NAME", help="the server's full name, when it is not the URL's")
    where.add_argument("--starttls", action="store_true", help="begin TLS before authenticating")
    where.add_argument("--ca", type=Path, metavar="FILE", help="the authorities to trust, in PEM; else the system's")
    where.add_argument("--port", type=int, default=0, metavar="N", help="listen: where (0 takes a free one)")
    where.add_argument("--mechanism", action="append", default=[], metavar="NAME",
        help="listen: which the client is asked for (DIGEST-MD5); repeatable")  # fmt: skip
    where.add_argument("--client", default="", metavar="COMMAND",
        help="listen: run this for each case; {port} and {mechanism} in it are replaced")  # fmt: skip
    reports = parser.add_argument_group("reports")
    reports.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    reports.add_argument("--json", type=Path, metavar="FILE", help="write JSON; - is standard output, alone")
    reports.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    reports.add_argument("--quiet", action="store_true", help="no progress, only failures and the summary")


def run(arguments: argparse.Namespace) -> int:
    """List, or run and report."""
    if importlib.util.find_spec("pytest") is None:
        raise WrongUsage('the runner is built on pytest: pip install "saslsspi[conformance]"')
    from saslsspi_conformance.runner.selection import Selection

    selection = Selection(
        sections=tuple(arguments.section),
        specs=tuple(arguments.spec),
        requirements=tuple(arguments.requirement),
        level=arguments.level or "",
        side=arguments.side or "",
    )
    if arguments.list or arguments.dry_run:
        return _list(arguments, selection)
    if not arguments.target:
        raise WrongUsage("what is to be tested? self, or a URL")
    if (arguments.target == "listen") != (arguments.protocol is not None):
        raise WrongUsage("`listen` waits for clients of a protocol, such as ldap; nothing else takes one")
    with _targets(arguments) as targets:
        return _perform(arguments, selection, targets)


def _list(arguments: argparse.Namespace, selection: Selection) -> int:
    from saslsspi_conformance.runner.selection import selected

    cases = selected(selection, None)
    target = arguments.target
    if target and target != "self":
        scheme = target.partition(":")[0]
        protocol = arguments.protocol if target == "listen" else scheme if scheme in _PROTOCOLS else scheme[:-1]
        side = "client" if target == "listen" else "server"
        cases = [case for case in cases if case.target == side and case.carrier in ("", protocol)]
    if arguments.json:
        print_json([{"case": case.name, "requirements": case.requirements, "title": case.title} for case in cases])
    else:
        print_table(
            ("case", "tests", "requirement", "level", "what is right"),
            [(case.name, case.target, case.requirements[0], case.rules[0].level, case.title) for case in cases],
        )
        if arguments.dry_run:
            costs = sum(case.destructive for case in cases)
            say(f"\n{len(cases)} cases would run; {costs} of them cost a server's account a failed logon")
    if not cases:
        raise WrongUsage("nothing matches")
    return ExitStatus.OK


@contextlib.contextmanager
def _targets(arguments: argparse.Namespace) -> Iterator[Targets]:
    from saslsspi_conformance.case_run import TargetAccount
    from saslsspi_conformance.runner.selection import Targets
    from saslsspi_conformance.targets.embedded import itself
    from saslsspi_conformance.targets.ldap import LdapServerTarget
    from saslsspi_conformance.targets.mail import MailServerTarget
    from saslsspi_conformance.targets.wire import Address

    if arguments.target == "self":
        with itself() as targets:
            yield targets
        return
    if arguments.user is None:
        raise WrongUsage("--user NAME: an account of the target, which the cases log on with")
    account = TargetAccount(arguments.user, password_from(arguments), arguments.realm)
    if arguments.target == "listen":
        with _listening(arguments, account) as targets:
            yield targets
        return
    try:
        address = Address.from_url(
            arguments.target,
            account,
            name=arguments.host,
            starttls=arguments.starttls,
            ca=arguments.ca,
            timeout=min(5.0, arguments.timeout / 2),
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    target = LdapServerTarget(address) if address.protocol == "ldap" else MailServerTarget(address)
    yield Targets(name=target.name, servers={"": target, address.protocol: target})


def _listening(arguments: argparse.Namespace, account: TargetAccount) -> contextlib.AbstractContextManager[Targets]:
    from saslsspi_conformance.targets.listen import Listener, listening

    meeting = Listener(
        account=account,
        host=arguments.host or "localhost",
        timeout=arguments.timeout,
        mechanisms=tuple(name.upper() for name in arguments.mechanism) or ("DIGEST-MD5",),
    )
    return listening(arguments.protocol, meeting, port=arguments.port, command=arguments.client)


def _perform(arguments: argparse.Namespace, selection: Selection, targets: Targets) -> int:
    from saslsspi_conformance.runner.plugin import RunOptions
    from saslsspi_conformance.runner.results import exit_status
    from saslsspi_conformance.runner.run import run as run_cases
    from saslsspi_conformance.runner.selection import read_expectations

    try:
        known = read_expectations(*arguments.expect)
    except (OSError, ValueError) as error:
        raise WrongUsage(str(error)) from error
    options = RunOptions(
        strict=arguments.strict,
        timeout=arguments.timeout,
        failed_logons=arguments.failed_logons,
        pause=arguments.pause,
        destructive=arguments.destructive,
        known=known,
    )
    alone = str(arguments.json) == "-"
    if problem := _unreachable(targets):
        if alone:
            print_json({"target": targets.name, "error": problem})
        else:
            say(f"saslsspi conformance: {problem}", error=True)
        return ExitStatus.PROTOCOL
    progress = _Progress(quiet=arguments.quiet or alone, silent=alone)
    report = run_cases(
        targets,
        selection,
        options,
        observe=progress.tell,
        keyword=arguments.keyword,
        first_failure=arguments.first,
        junit=arguments.junit,
        pytest_options=[word for name in arguments.plugins for word in ("-p", name)],
    )
    progress.end()
    if not report.planned:
        raise WrongUsage("nothing matches")
    _write(arguments, report)
    if not alone:
        say(report.summary())
    return exit_status(report)


def _unreachable(targets: Targets) -> str:
    """Return why not one case can be run, or ""."""
    from saslsspi_conformance.outcome import CaseError, NotApplicable

    for server in set(targets.servers.values()):
        try:
            server.local or server.mechanisms()
        except (OSError, CaseError, NotApplicable) as error:
            return f"{targets.name} cannot be tested: {error}"
    return ""


class _Progress:
    """Tells every result: on a terminal a running line, in a pipe a line each."""

    def __init__(self, *, quiet: bool, silent: bool) -> None:
        self._quiet = quiet
        self._silent = silent
        self._terminal = sys.stdout.isatty() and not quiet
        self._count = 0

    def tell(self, result: CaseResult) -> None:
        self._count += 1
        bad = result.verdict in {"fail", "warning", "unexpected pass", "could not test"}
        if bad and not self._silent:
            self._clear()
            say(result.explain())
        elif not self._quiet and self._terminal:
            self._clear()
            show_progress(f"{self._count} {result.case.name}", sys.stdout)
        elif not self._quiet:
            say(f"{result.verdict:<16} {result.case.name}" + (f"  ({result.detail})" if _reasoned(result) else ""))

    def _clear(self) -> None:
        if self._terminal:
            show_progress("", sys.stdout)

    def end(self) -> None:
        if not self._quiet:
            self._clear()


def _reasoned(result: CaseResult) -> bool:
    return bool(result.detail) and result.verdict not in {"pass"}


def _write(arguments: argparse.Namespace, report: RunReport) -> None:
    from saslsspi_conformance.runner.report_html import as_page
    from saslsspi_conformance.runner.report_json import as_document

    try:
        if arguments.json is not None:
            text = json.dumps(as_document(report), indent=1)
            if str(arguments.json) == "-":
                say(text)
            else:
                arguments.json.write_text(text + "\n", encoding="utf-8")
        if arguments.html is not None:
            arguments.html.write_text(as_page(report), encoding="utf-8")
            if str(arguments.json) != "-":
                say(f"the report is in {arguments.html}")
    except OSError as error:
        raise WrongUsage(f"cannot write the report: {error}") from error
