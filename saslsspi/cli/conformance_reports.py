"""What `saslsspi conformance` shows while it runs, and the files that it leaves.

The files are there before the first case has run and say that the run has not come to its end: one that is killed
leaves no report that could be taken for a whole one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.output import say, show_progress

if TYPE_CHECKING:
    from saslsspi_conformance.runner.results import CaseResult, RunReport

__all__ = ["Progress", "ReportFiles"]

_BETWEEN: Final = 5.0  # seconds between two writings of what is there of a run


class ReportFiles:
    """The reports of one run.

    Args:
        document: Where JSON goes; "-" is standard output, which then has nothing else. None is nowhere.
        page: Where HTML goes.
        junit: Where pytest writes JUnit XML.
    """

    def __init__(self, document: Path | None, page: Path | None, junit: Path | None) -> None:
        self._document = document
        self._page = page
        self._junit = junit

    @property
    def alone(self) -> bool:
        """Whether standard output is the document's alone."""
        return str(self._document) == "-"

    def begin(self, target: str, planned: int) -> Callable[[CaseResult], None]:
        """Write reports of a run that has not ended; return what is to be told of each result, and brings them on."""
        from saslsspi_conformance.runner.results import RunReport
        from saslsspi_conformance.runner.run import tell_junit

        report = RunReport(target, planned=planned, broken_off="not come to its end")
        self._write(report, final=False)
        if self._junit is not None:
            self._junit.unlink(missing_ok=True)
            tell_junit(self._junit, report)
        last = time.monotonic()

        def keep(result: CaseResult) -> None:
            nonlocal last
            report.results.append(result)
            if time.monotonic() - last > _BETWEEN:
                self._write(report, final=False)
                last = time.monotonic()

        return keep

    def write(self, report: RunReport) -> None:
        """Write the reports of a run that has ended; raises WrongUsage where they cannot be written."""
        self._write(report, final=True)

    def discard(self) -> None:
        """Take away what begin has left: there is no run to report."""
        for file in (self._document, self._page, self._junit):
            if file is not None and str(file) != "-":
                file.unlink(missing_ok=True)

    def _write(self, report: RunReport, *, final: bool) -> None:
        from saslsspi_conformance.runner.report_html import as_page
        from saslsspi_conformance.runner.report_json import as_document

        try:
            if self._document is not None and (final or not self.alone):
                text = json.dumps(as_document(report), indent=1)
                if self.alone:
                    say(text)
                else:
                    self._document.write_text(text + "\n", encoding="utf-8")
            if self._page is not None:
                self._page.write_text(as_page(report), encoding="utf-8")
        except OSError as error:
            raise WrongUsage(f"cannot write the report: {error}") from error


class Progress:
    """Tells every result: on a terminal a running line, in a pipe a line each.

    Args:
        keep: Told of each result as well.
        quiet: Whether only failures are told.
        silent: Whether not even they are.
    """

    def __init__(self, keep: Callable[[CaseResult], None], *, quiet: bool, silent: bool) -> None:
        self._keep = keep
        self._quiet = quiet
        self._silent = silent
        self._terminal = sys.stdout.isatty() and not quiet
        self._count = 0

    def tell(self, result: CaseResult) -> None:
        """Tell a result."""
        self._keep(result)
        self._count += 1
        bad = result.verdict in {"fail", "warning", "unexpected pass", "could not test"}
        if bad and not self._silent:
            self._clear()
            say(result.explain())
        elif not self._quiet and self._terminal:
            self._clear()
            show_progress(f"{self._count} {result.case.name}", sys.stdout)
        elif not self._quiet:
            reason = f"  ({result.detail})" if result.detail and result.verdict != "pass" else ""
            say(f"{result.verdict:<16} {result.case.name}{reason}")

    def _clear(self) -> None:
        if self._terminal:
            show_progress("", sys.stdout)

    def end(self) -> None:
        """Clear the running line."""
        if not self._quiet:
            self._clear()
