"""One run: pytest with the plugin, and without what a reader of this command did not ask for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from saslsspi_conformance.runner.performer import RunOptions
from saslsspi_conformance.runner.plugin import CASES, ConformancePlugin
from saslsspi_conformance.runner.results import CaseResult, RunReport
from saslsspi_conformance.runner.selection import Selection, Targets
from saslsspi_conformance.runner.trial import refusal

__all__ = ["run", "tell_junit"]


def run(
    targets: Targets,
    selection: Selection,
    options: RunOptions,
    *,
    observe: Callable[[CaseResult], None] = lambda result: None,
    keyword: str = "",
    first_failure: bool = False,
    junit: Path | None = None,
    pytest_options: Sequence[str] = (),
) -> RunReport:
    """Run cases under pytest and return what they found.

    One trial logon comes first; where the server refuses it, nothing else is tried (unless any number of failed logons
    will do). Ctrl-C and SIGTERM end the run after the case that is running, and the report says how far it came.

    Args:
        targets: What is tested.
        selection: Which cases.
        options: How.
        observe: Told of every result as it comes.
        keyword: pytest's -k.
        first_failure: pytest's -x.
        junit: Where to write JUnit XML.
        pytest_options: More options for pytest.
    """
    plugin = ConformancePlugin(targets, selection, options, observe)
    words = [str(CASES), "-c", os.devnull, "--rootdir", str(CASES), "-p", "no:terminal", "-p", "no:cacheprovider", "-s"]
    words += ["-k", keyword] if keyword else []
    words += ["-x"] if first_failure else []
    words += [f"--junitxml={junit}", "-o", "junit_suite_name=saslsspi-conformance"] if junit else []
    began = time.monotonic()
    report = plugin.report
    report.broken_off = "" if options.destructive else _trial(targets, plugin)
    if junit and report.broken_off:
        junit.unlink(missing_ok=True)
    if not report.broken_off:
        with _terminable():
            ended = pytest.main([*words, *pytest_options], plugins=[plugin])
        report.broken_off = _ENDINGS.get(int(ended), "")
    if not report.broken_off and len(report.results) < report.planned:
        report.broken_off = "ended at the first failure"
    report.seconds = time.monotonic() - began
    if junit and report.broken_off:
        tell_junit(junit, report)
    return report


_ENDINGS: Final = {int(pytest.ExitCode.INTERRUPTED): "interrupted", int(pytest.ExitCode.INTERNAL_ERROR): "crashed"}


def _trial(targets: Targets, plugin: ConformancePlugin) -> str:
    """Return why no case is to run: a server that is not ours refuses the account."""
    server = next((server for server in targets.servers.values() if not server.local), None)
    refused = refusal(server, plugin.planned, plugin.logons) if server is not None else ""
    return f"the server refuses the trial logon as {server.account.user} by {refused}" if server and refused else ""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_junit(file: Path, report: RunReport) -> None:
    """Add an error to the XML of a partial run: who reads that alone must not take it for a whole one."""
    if file.exists():
        suites = ElementTree.parse(file).getroot()  # noqa: S314  # written by pytest a moment ago
    else:
        suites = ElementTree.Element("testsuites")
        ElementTree.SubElement(suites, "testsuite", name="saslsspi-conformance", tests="0", errors="0", failures="0")
    suite = suites if suites.tag == "testsuite" else suites[0]
    for count in ("tests", "errors"):
        suite.set(count, str(int(suite.get(count, "0")) + 1))
    case = ElementTree.SubElement(suite, "testcase", classname="conformance", name="the run is whole")
    ElementTree.SubElement(case, "error", message=report.partial)
    ElementTree.ElementTree(suites).write(file, encoding="utf-8", xml_declaration=True)
