"""`saslsspi conformance`: the requirement catalogue as a test run, for this library and for anybody's server."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.conformance_reports import Progress, ReportFiles
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.options import password_from
from saslsspi.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from saslsspi_conformance.case_run import TargetAccount
    from saslsspi_conformance.runner.performer import RunOptions
    from saslsspi_conformance.runner.results import CaseResult, RunReport
    from saslsspi_conformance.runner.selection import Selection, Targets

__all__ = ["RUNS_A_PROGRAM", "configure", "run"]

_OPTIONS: Final = {"keyword": "-k", "plugins": "-p", "first": "-x"}
_USUAL: Final = {"timeout": 20.0, "answer_timeout": 5.0, "failed_logons": 3, "pause": 1.0, "service": "imap"}
RUNS_A_PROGRAM: Final = True
"""What stands behind -- is a program's, and no option of ours."""

_PROTOCOLS: Final = ("ldap", *LINE_PROTOCOLS)
_SCHEMES: Final = (
    "ldap",
    "ldaps",
    *(scheme for protocol in LINE_PROTOCOLS.values() for scheme, _, _ in protocol.schemes()),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.usage = (
        f"saslsspi conformance self | URL | listen {'|'.join(_PROTOCOLS)} | exec --side server|client  [OPTION ...]"
        "  [-- COMMAND]"
    )
    parser.description = "Run the specifications as tests, against this library, a server, or clients that connect."
    parser.epilog = (
        "COMMAND speaks the line protocol as `saslsspi server` and `client` do; {mechanism}, {service}, {host}, "
        "{realm} and {user} in it are replaced, and SASLSSPI_PASSWORD holds the password. "
        "exit status: 0 conformant, 1 not conformant, 2 wrong usage or nothing matched, 3 it could not be tested"
    )
    parser.add_argument("target", nargs="?", default="",
        help=f"self; HOST[:PORT] behind {' '.join(f'{scheme}://' for scheme in _SCHEMES)}; listen; or exec",
    )  # fmt: skip
    parser.add_argument("protocol", nargs="?", help="with listen: what to serve")
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
        help="how many failed logons the account may suffer (3); not one more is risked")  # fmt: skip
    how.add_argument("--pause", type=float, default=1.0, metavar="SECONDS", help="after each failed logon (1)")
    how.add_argument(
        "--pace", type=float, default=0.0, metavar="SECONDS", help="least time between two connections (0)"
    )
    how.add_argument("--answer-timeout", type=float, default=5.0, metavar="SECONDS",
        help="for each answer (5); where none comes, the case is tried again with six times as much")  # fmt: skip
    how.add_argument("--resume", type=Path, metavar="FILE",
        help="go on with the run whose --json FILE is: what it has found is not asked again")  # fmt: skip
    how.add_argument("--destructive", action="store_true", help="any number of failed logons will do")
    where = parser.add_argument_group("the target")
    where.add_argument("--user", metavar="NAME", help="who may log on there")
    where.add_argument("--password", help="the password; better: --password-file, SASLSSPI_PASSWORD or the prompt")
    where.add_argument("--password-file", type=Path, metavar="FILE", help="a file whose first line is the password")
    where.add_argument("--realm", default="", metavar="NAME", help="listen: the realm to offer; exec: the account's")
    where.add_argument("--service", default="imap", metavar="NAME", help="exec: the service of both sides (imap)")
    where.add_argument("--host", default="", metavar="NAME", help="the server's full name, when it is not the URL's")
    where.add_argument("--starttls", action="store_true", help="begin TLS before authenticating")
    where.add_argument("--ca", type=Path, metavar="FILE", help="the authorities to trust, in PEM; else the system's")
    where.add_argument("--port", type=int, default=0, metavar="N", help="listen: where (0 takes a free one)")
    where.add_argument("--mechanism", action="append", default=[], metavar="NAME",
        help="listen, exec: which the cases may be about (DIGEST-MD5); repeatable")  # fmt: skip
    where.add_argument("--client", default="", metavar="COMMAND",
        help="listen: run this for each case; {port} and {mechanism} in it are replaced")  # fmt: skip
    reports = parser.add_argument_group("reports")
    reports.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    reports.add_argument("--json", type=Path, metavar="FILE", help="write JSON; - is standard output, alone")
    reports.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    reports.add_argument("--compare", type=Path, metavar="FILE",
        help="tell which verdicts have changed since the run whose --json FILE is")  # fmt: skip
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
    if arguments.target == "exec":
        _check_program(arguments)
    elif (arguments.target == "listen") != (arguments.protocol in _PROTOCOLS) or arguments.program:
        raise WrongUsage("`listen` waits for clients of a protocol, such as ldap; nothing else takes one")
    with _targets(arguments) as targets:
        return _perform(arguments, selection, targets)


def _check_program(arguments: argparse.Namespace) -> None:
    if not arguments.program or not arguments.side:
        raise WrongUsage("`exec --side server -- COMMAND` or `exec --side client -- COMMAND`: which side is it?")


def _list(arguments: argparse.Namespace, selection: Selection) -> int:
    from saslsspi_conformance.runner.selection import selected

    cases = selected(selection, None)
    target = arguments.target
    if target and target != "self":
        scheme = target.partition(":")[0]
        protocol = arguments.protocol if target == "listen" else scheme if scheme in _PROTOCOLS else scheme[:-1]
        side = "client" if target == "listen" or (target == "exec" and arguments.side == "client") else "server"
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
    if arguments.target == "exec":
        yield _program(arguments, account)
        return
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
            timeout=min(arguments.answer_timeout, arguments.timeout / 2),
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    target = LdapServerTarget(address) if address.protocol == "ldap" else MailServerTarget(address)
    yield Targets(name=target.name, servers={"": target, address.protocol: target})


def _program(arguments: argparse.Namespace, account: TargetAccount) -> Targets:
    from saslsspi_conformance.runner.selection import Targets
    from saslsspi_conformance.targets.programs import ProgramClientTarget, ProgramServerTarget, TestedProgram

    program = TestedProgram(
        command=tuple(arguments.program),
        account=account,
        mechanisms=tuple(name.upper() for name in arguments.mechanism) or ("DIGEST-MD5",),
        service=arguments.service,
        host=arguments.host or "localhost",
        timeout=min(arguments.answer_timeout, arguments.timeout / 4),
    )
    name = f"exec {' '.join(program.command)}"
    if arguments.side == "client":
        return Targets(name=name, clients={"": ProgramClientTarget(program)})
    return Targets(name=name, servers={"": ProgramServerTarget(program)})


def _listening(arguments: argparse.Namespace, account: TargetAccount) -> contextlib.AbstractContextManager[Targets]:
    from saslsspi_conformance.targets.listen import Listener, listening

    meeting = Listener(
        account=account,
        host=arguments.host or "localhost",
        timeout=arguments.timeout,
        mechanisms=tuple(name.upper() for name in arguments.mechanism) or ("DIGEST-MD5",),
        answer_timeout=min(arguments.answer_timeout, arguments.timeout / 4),
    )
    return listening(arguments.protocol, meeting, port=arguments.port, command=arguments.client)


def _perform(arguments: argparse.Namespace, selection: Selection, targets: Targets) -> int:
    from saslsspi_conformance.runner.results import exit_status
    from saslsspi_conformance.runner.run import run as run_cases
    from saslsspi_conformance.runner.selection import selected

    options = _options(arguments, targets)
    files = ReportFiles(arguments.json, arguments.html, arguments.junit)
    if problem := _unreachable(targets):
        if files.alone:
            print_json({"target": targets.name, "error": problem})
        else:
            say(f"saslsspi conformance: {problem}", error=True)
        return ExitStatus.PROTOCOL
    running = files.begin(targets.name, len(selected(selection, targets)))
    progress = Progress(running, quiet=arguments.quiet or files.alone, silent=files.alone)
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
    report.made = _made(arguments)
    if not report.planned:
        files.discard()
        raise WrongUsage("nothing matches")
    files.write(report)
    if not files.alone:
        if arguments.html is not None:
            say(f"the report is in {arguments.html}")
        say(report.summary())
    if arguments.compare is not None:
        changes = _compared(arguments.compare, report)
        if not files.alone:
            say("\n".join([f"{len(changes)} verdicts have changed since {arguments.compare}", *changes]))
    return exit_status(report)


def _made(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The command as it can be given again: target and options that were given, but no password."""
    given = {name: value for name, value in vars(arguments).items() if value and value != _USUAL.get(name)}
    words = [given.pop(name) for name in ("target", "protocol") if name in given]
    program = given.pop("program", [])
    given.pop("password", None)
    for name, value in given.items():
        option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        values = value if isinstance(value, list) else [value]
        words += [option] if value is True else [word for each in values for word in (option, str(each))]
    return ("saslsspi", "conformance", *words, *(["--", *program] if program else []))


def _compared(file: Path, report: RunReport) -> list[str]:
    from saslsspi_conformance.runner.report_json import compared

    try:
        return compared(json.loads(file.read_text(encoding="utf-8")), report)
    except (OSError, ValueError) as error:
        raise WrongUsage(str(error)) from error


def _options(arguments: argparse.Namespace, targets: Targets) -> RunOptions:
    from saslsspi_conformance.runner.performer import RunOptions
    from saslsspi_conformance.runner.report_json import read_results
    from saslsspi_conformance.runner.selection import read_expectations

    try:
        known = read_expectations(*arguments.expect)
        earlier: dict[str, CaseResult] = {}
        spent = 0
        if arguments.resume is not None:
            document = json.loads(arguments.resume.read_text(encoding="utf-8"))
            earlier, spent = read_results(document, targets.name)
    except (OSError, ValueError) as error:
        raise WrongUsage(str(error)) from error
    return RunOptions(
        strict=arguments.strict,
        timeout=arguments.timeout,
        failed_logons=arguments.failed_logons,
        pause=arguments.pause,
        pace=arguments.pace,
        destructive=arguments.destructive or arguments.target == "exec",  # nobody's account
        known=known,
        earlier=earlier,
        spent=spent,
    )


def _unreachable(targets: Targets) -> str:
    """Return why not one case can be run, or ""."""
    from saslsspi_conformance.outcome import CaseError, NotApplicable

    for server in set(targets.servers.values()):
        try:
            server.local or server.mechanisms()
        except (OSError, CaseError, NotApplicable) as error:
            return f"{targets.name} cannot be tested: {error}"
    return ""
