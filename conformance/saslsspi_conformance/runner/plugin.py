"""The pytest plugin under `saslsspi conformance`: every case is a pytest test.

pytest does what it is good at: collecting, -k, -x, JUnit XML, other plugins. Collecting a case module of this package
gives one item a case; running an item gives a Result, which the plugin keeps and tells its observer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from saslsspi_conformance.case import Case, CaseError, NotApplicable, Observation, Plays, Reaction
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport, judge
from saslsspi_conformance.runner.selection import Selection, Targets, selected

__all__ = ["CASES", "ConformancePlugin", "RunOptions"]

CASES: Final = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run.

    Attributes:
        strict: Whether a SHOULD counts.
        timeout: How long one case may take, in seconds.
        failed_logons: How many failed logons a foreign account may suffer.
        pause: How long to wait before each of them, in seconds.
        destructive: Whether any number will do.
        known: Names of cases that are known to fail, and why.
    """

    strict: bool = False
    timeout: float = 20.0
    failed_logons: int = 3
    pause: float = 1.0
    destructive: bool = False
    known: dict[str, str] = field(default_factory=dict)


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
        self._targets = targets
        self._options = options
        self._observe = observe
        self._selected = selected(selection, targets)
        self._offered: dict[tuple[Plays, str], frozenset[str]] = {}
        self._failed_logons = 0
        self.report = RunReport(targets.name, planned=len(self._selected))

    @property
    def planned(self) -> Sequence[Case]:
        """The selected cases that there is a target for."""
        return self._selected

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
        began = time.monotonic()
        result = self._absent(case) or self._spared(case) or self._timed(case, began)
        self.report.results.append(result)
        self._observe(result)
        return result

    def _absent(self, case: Case) -> CaseResult | None:
        reason = self._targets.absent.get((case.target, case.carrier))
        return None if reason is None else CaseResult(case, CaseVerdict.NOT_APPLICABLE, reason)

    def _spared(self, case: Case) -> CaseResult | None:
        options = self._options
        servers = self._targets.servers
        if not case.destructive or case.target is Plays.CLIENT or servers[case.carrier].local or options.destructive:
            return None
        if self._failed_logons >= options.failed_logons:
            text = f"it would be failed logon {self._failed_logons + 1} of the account; --destructive runs it"
            return CaseResult(case, CaseVerdict.NOT_RUN, text)
        self._failed_logons += 1
        time.sleep(options.pause)
        return None

    def _timed(self, case: Case, began: float) -> CaseResult:
        done: list[CaseResult] = []
        run = self._bench(case)
        if isinstance(run, CaseResult):
            return run
        # A thread, and not a signal: it works on every system, and a case that hangs is left behind.
        thread = threading.Thread(target=lambda: done.append(self._run(case, run)), daemon=True, name=case.name)
        thread.start()
        thread.join(self._options.timeout)
        seconds = time.monotonic() - began
        steps = tuple(run.transcript.steps)
        if not done:
            text = f"it took more than {self._options.timeout:g} s"
            return CaseResult(case, CaseVerdict.ERROR, text, None, steps, seconds)
        found = done[0]
        return CaseResult(case, found.verdict, found.detail, found.seen, steps, seconds)

    def _bench(self, case: Case) -> CaseRun | CaseResult:
        is_server = case.target is Plays.SERVER
        server = self._targets.servers[case.carrier] if is_server else None
        client = None if is_server else self._targets.clients[case.carrier]
        key = (case.target, case.carrier)
        if key not in self._offered:
            try:
                self._offered[key] = frozenset((server or client).mechanisms())  # type: ignore[union-attr]
            except (OSError, CaseError, NotApplicable) as error:
                return CaseResult(case, CaseVerdict.ERROR, f"the target cannot be tested: {error}")
        return CaseRun(server, client, self._offered[key])

    def _run(self, case: Case, run: CaseRun) -> CaseResult:
        try:
            seen = case.run(run)
        except NotApplicable as reason:
            return CaseResult(case, CaseVerdict.NOT_APPLICABLE, str(reason))
        except TimeoutError as error:
            seen = Observation(Reaction.SILENCE, str(error))
        except (CaseError, OSError) as error:
            text = str(error) if isinstance(error, CaseError) else f"{type(error).__name__}: {error}"
            return self._expected(case, CaseResult(case, CaseVerdict.ERROR, text))
        except Exception as error:  # whatever a peer makes of a case must not end the run
            return CaseResult(case, CaseVerdict.ERROR, f"the case itself failed: {type(error).__name__}: {error}")
        finally:
            run.close()
        return self._expected(case, CaseResult(case, judge(case, seen, strict=self._options.strict), seen.detail, seen))

    def _expected(self, case: Case, result: CaseResult) -> CaseResult:
        reason = self._options.known.get(case.name)
        if reason is None:
            return result
        verdict = CaseVerdict.UNEXPECTED_PASS if result.verdict is CaseVerdict.PASS else CaseVerdict.KNOWN
        return CaseResult(case, verdict, f"{result.detail} ({reason or 'expected'})", result.seen)


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
        self._case = case
        self._plugin = plugin
        self.extra_keyword_matches.update((case.name, *case.requirements))
        self.user_properties += [("requirement", identifier) for identifier in case.requirements]

    def runtest(self) -> None:
        result = self._plugin.perform(self._case)
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
        return self.path, None, self._case.name
