"""The pytest plugin under `saslsspi conformance`: every case is a pytest test.

pytest does what it is good at: collecting, -k, -x, JUnit XML, other plugins. Collecting a case module of this package
gives one item a case; running an item gives a Result, which the plugin keeps and tells its observer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from saslsspi_conformance.case import Case
from saslsspi_conformance.logons import FailedLogons
from saslsspi_conformance.runner.costs import cost
from saslsspi_conformance.runner.performer import CasePerformer, RunOptions
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport
from saslsspi_conformance.runner.selection import Selection, Targets, selected

__all__ = ["CASES", "ConformancePlugin"]

CASES: Final = Path(__file__).parents[1] / "cases"


class _CaseFailed(Exception):  # the name that JUnit shows
    """A result that pytest counts as a failure; the text explains it."""


class ConformancePlugin:
    """Runs cases against targets.

    Args:
        targets: What is tested.
        selection: Which cases.
        options: How.
        observe: Told of every result.

    Attributes:
        report: The results so far.
    """

    def __init__(
        self, targets: Targets, selection: Selection, options: RunOptions, observe: Callable[[CaseResult], None]
    ) -> None:
        self._observe = observe
        self._selected = selected(selection, targets)
        self.logons = FailedLogons(
            user=next((server.account.user for server in targets.servers.values() if not server.local), ""),
            bound=None if options.destructive else options.failed_logons,
            pause=options.pause,
            spent=options.spent,
        )
        self.report = RunReport(targets.name, planned=len(self._selected), failed_logons=self.logons)
        self._performer = CasePerformer(targets, options, self.logons, self.report)

    @property
    def planned(self) -> Sequence[Case]:
        """The selected cases that there is a target for."""
        return self._selected

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the cases that may cost a failed logon behind the others, so that what may be spent is spent on them."""
        items.sort(key=lambda item: cost(item.case) if isinstance(item, _Item) else 0)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is left after -k."""
        self.report.planned = len(session.items)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take the case modules."""
        if not file_path.is_relative_to(CASES) or file_path.suffix != ".py":
            return None
        return _Module.from_parent(parent, path=file_path, plugin=self)

    def cases(self, module: str) -> Iterable[Case]:
        """The selected cases of one module."""
        return [case for case in self._selected if case.name.rpartition(".")[0] == module]

    def perform(self, case: Case) -> CaseResult:
        """Run one case and keep its result."""
        result = self._performer.perform(case)
        self.report.results.append(result)
        self._observe(result)
        return result


class _Module(pytest.File):
    """A module of cases."""

    plugin: ConformancePlugin

    def __init__(self, *, plugin: ConformancePlugin, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.plugin = plugin

    def collect(self) -> Iterable[pytest.Item]:
        for case in self.plugin.cases(".".join(self.path.relative_to(CASES).with_suffix("").parts)):
            name = case.name.rpartition(".")[2]
            yield _Item.from_parent(self, name=name, case=case, plugin=self.plugin)


class _Item(pytest.Item):
    """One case."""

    def __init__(self, *, case: Case, plugin: ConformancePlugin, **given: object) -> None:
        super().__init__(**given)  # type: ignore[arg-type]
        self.case = case
        self._plugin = plugin
        self.extra_keyword_matches.update((case.name, *case.requirements))
        self.user_properties += [("requirement", identifier) for identifier in case.requirements]

    def runtest(self) -> None:
        result = self._plugin.perform(self.case)
        verdict = result.verdict
        self.user_properties.append(("verdict", str(verdict)))
        if verdict in {CaseVerdict.FAIL, CaseVerdict.UNEXPECTED_PASS, CaseVerdict.ERROR}:
            raise _CaseFailed(result.explain())
        if verdict in {CaseVerdict.NOT_APPLICABLE, CaseVerdict.NOT_RUN}:
            pytest.skip(f"{verdict}: {result.detail}")
        if verdict in {CaseVerdict.WARNING, CaseVerdict.KNOWN}:
            pytest.xfail(f"{verdict}: {result.detail}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.case.name
