"""How one case comes to its verdict: tried, tried again where it failed, and held against its twin where it passed.

Silence where an answer is due is no verdict: the case is tried again with more time, and after that it could not be
tested. A failure counts when it is there a second time, on a fresh connection. A refusal shows a rule only where the
case's twin, which is right in the one thing, succeeds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from saslsspi_conformance.case import Case, CaseError, NotApplicable, Observation, Plays, Reaction, all_cases
from saslsspi_conformance.case_run import CaseRun, ClientTarget, Pace, ServerTarget
from saslsspi_conformance.logons import FailedLogons
from saslsspi_conformance.outcome import Spared
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport, judge
from saslsspi_conformance.runner.selection import Targets
from saslsspi_conformance.twins import twin_of

__all__ = ["CasePerformer", "RunOptions"]

_MORE_TIME: Final = 6.0
"""How many times the usual time a silent target is given; Dovecot's penalty for an address is 17 s with its delay."""
_AFTER_NO_CONNECTION: Final = 2.0  # seconds before a target that was not there is tried again
_SETTLED: Final = {CaseVerdict.PASS, CaseVerdict.NOT_APPLICABLE, CaseVerdict.NOT_RUN}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run.

    Attributes:
        strict: Whether a SHOULD counts.
        timeout: How long one case may take, in seconds.
        failed_logons: How many failed logons a foreign account may suffer; not one more is risked.
        pause: How long to wait before a logon after a failed one, in seconds.
        pace: The least time between two connections, in seconds.
        destructive: Whether any number will do.
        known: Names of cases that are known to fail, and why.
        earlier: What a run has found that this one goes on with, by the names of the cases.
        spent: How many failed logons that one has cost.
    """

    strict: bool = False
    timeout: float = 20.0
    failed_logons: int = 3
    pause: float = 1.0
    pace: float = 0.0
    destructive: bool = False
    known: dict[str, str] = field(default_factory=dict)
    earlier: Mapping[str, CaseResult] = field(default_factory=dict)
    spent: int = 0


@dataclass(frozen=True, slots=True)
class _Try:
    """One try of a case.

    Attributes:
        silent: Whether an answer was missing.
        unreached: Whether the target could not be reached, or not be spoken with.
    """

    result: CaseResult
    silent: bool = False
    unreached: bool = False


class CasePerformer:
    """Brings cases to their verdicts.

    Args:
        targets: What is tested.
        options: How.
        logons: What the account suffers.
        report: Where a target that is slow is noted.
    """

    def __init__(self, targets: Targets, options: RunOptions, logons: FailedLogons, report: RunReport) -> None:
        self._targets = targets
        self._options = options
        self._logons = logons
        self._report = report
        self._pace = Pace(options.pace)
        self._offered: dict[tuple[Plays, str], frozenset[str]] = {}
        self._done: dict[tuple[str, int], CaseResult] = {}

    def perform(self, case: Case) -> CaseResult:
        """Bring one case to its verdict."""
        if case.name in self._options.earlier:
            return self._options.earlier[case.name]
        began = time.monotonic()
        result = self._against_twin(case, self._verdict(case))
        return self._expected(case, replace(result, seconds=time.monotonic() - began))

    def _verdict(self, case: Case) -> CaseResult:
        """Return what a case says, its twin apart; each case is asked once of each target."""
        reason = self._targets.absent.get((case.target, case.carrier))
        if reason is not None:
            return CaseResult(case, CaseVerdict.NOT_APPLICABLE, reason)
        key = case.name, id(self._target(case))
        if key not in self._done:
            self._done[key] = self._confirmed(case)
        return self._done[key]

    def _target(self, case: Case) -> ServerTarget | ClientTarget:
        targets = self._targets
        return targets.servers[case.carrier] if case.target is Plays.SERVER else targets.clients[case.carrier]

    def _confirmed(self, case: Case) -> CaseResult:
        """Try a case, and again on a fresh connection before anything but a pass counts."""
        target = self._target(case)
        if case.destructive and not target.local and not self._logons.left:
            bound = self._logons.bound
            return CaseResult(
                case, CaseVerdict.NOT_RUN, f"it would be failed logon {self._logons.spent + 1} of the account, and "
                f"{bound} may be spent; --failed-logons allows more, --destructive any number"
            )  # fmt: skip
        first = self._try(case, target)
        if first.result.verdict in _SETTLED or target.local or not target.repeats:
            return self._judged(case, first)
        if first.result.verdict is CaseVerdict.WARNING and not first.silent and self._logons.bound is not None:
            return first.result  # it fails no run, and its second try would cost the account another logon
        if first.unreached:
            time.sleep(_AFTER_NO_CONNECTION)
        usual = target.patience
        # Where a server is to close it waits for more octets when it does not: more time would show nothing.
        if first.silent and case.accept != {Reaction.CLOSED}:
            target.patience = max(usual, _MORE_TIME)
        second = self._try(case, target)
        if not first.silent or second.silent:
            target.patience = usual
        else:
            self._report.note(
                f"{target.name} is slow: an answer took more than its time, so each is given {_MORE_TIME:g} times "
                "as much. Servers delay an address after failed logons (Dovecot's penalty, Exim's and Postfix's delays)"
            )
        return self._of_two(case, first, second)

    def _of_two(self, case: Case, first: _Try, second: _Try) -> CaseResult:
        before = f"at a first try: {first.result.verdict}, {_told(first.result)}"
        result = second.result
        if result.verdict is CaseVerdict.NOT_RUN:
            text = f"it could not be tried again, to spare the account; {before}"
            return replace(first.result, verdict=CaseVerdict.ERROR, detail=text)
        if result.verdict in _SETTLED:
            return replace(result, detail=f"{result.detail}; {before}".removeprefix("; "))
        judged = self._judged(case, second)
        if first.silent and second.silent and judged.verdict is CaseVerdict.ERROR:
            return replace(judged, detail=f"{judged.detail}; {before}: silence is no verdict")
        return judged

    def _judged(self, case: Case, tried: _Try) -> CaseResult:
        """Take silence for what it is: where only an end of the connection is right it is an answer, else none."""
        result = tried.result
        due = case.accept != {Reaction.CLOSED} and not self._target(case).local  # our own is not slow: it says nothing
        if tried.silent and due and result.verdict not in _SETTLED:
            return replace(result, verdict=CaseVerdict.ERROR)
        return result

    def _against_twin(self, case: Case, result: CaseResult) -> CaseResult:
        name = twin_of(case)
        if result.verdict is not CaseVerdict.PASS or name is None:
            return result
        # A twin of any protocol is asked of the target that refused.
        twin = replace(all_cases()[name], carrier=case.carrier)
        target = self._target(twin)
        if not target.repeats and (name, id(target)) not in self._done:
            return result
        known = self._verdict(twin)
        if known.verdict is CaseVerdict.PASS:
            return result
        verdict = CaseVerdict.ERROR if known.verdict is CaseVerdict.ERROR else CaseVerdict.NOT_APPLICABLE
        text = f"refused, which shows nothing: {name}, right in the one thing, does not succeed here ({_told(known)})"
        return replace(result, verdict=verdict, detail=text)

    def _try(self, case: Case, target: ServerTarget | ClientTarget) -> _Try:
        began = time.monotonic()
        run = self._bench(case, target)
        if isinstance(run, _Try):
            return run
        done: list[_Try] = []
        timeout = self._options.timeout * target.patience
        # A thread, and not a signal: it works on every system, and a case that hangs is left behind.
        thread = threading.Thread(target=lambda: done.append(self._run(case, run)), daemon=True, name=case.name)
        thread.start()
        thread.join(timeout)
        seconds = time.monotonic() - began
        steps = tuple(run.transcript.steps)
        if not done:
            text = f"it took more than {timeout:g} s"
            return _Try(CaseResult(case, CaseVerdict.ERROR, text, None, steps, seconds), silent=True)
        return replace(done[0], result=replace(done[0].result, steps=steps, seconds=seconds))

    def _bench(self, case: Case, target: ServerTarget | ClientTarget) -> CaseRun | _Try:
        is_server = case.target is Plays.SERVER
        server = self._targets.servers[case.carrier] if is_server else None
        client = None if is_server else self._targets.clients[case.carrier]
        key = (case.target, case.carrier)
        if key not in self._offered:
            try:
                self._offered[key] = frozenset(target.mechanisms())
            except (OSError, CaseError, NotApplicable) as error:
                result = CaseResult(case, CaseVerdict.ERROR, f"the target cannot be tested: {error}")
                return _Try(result, silent=isinstance(error, TimeoutError), unreached=True)
        logons = None if target.local or not is_server else self._logons
        return CaseRun(server, client, self._offered[key], logons, self._pace)

    def _run(self, case: Case, run: CaseRun) -> _Try:
        try:
            seen = case.run(run)
        except NotApplicable as reason:
            return _Try(CaseResult(case, CaseVerdict.NOT_APPLICABLE, str(reason)))
        except Spared as reason:
            return _Try(CaseResult(case, CaseVerdict.NOT_RUN, str(reason)))
        except TimeoutError as error:
            seen = Observation(Reaction.SILENCE, str(error))
        except (CaseError, OSError) as error:
            text = str(error) if isinstance(error, CaseError) else f"{type(error).__name__}: {error}"
            return _Try(CaseResult(case, CaseVerdict.ERROR, text), unreached=True)
        except Exception as error:  # whatever a peer makes of a case must not end the run
            text = f"the case itself failed: {type(error).__name__}: {error}"
            return _Try(CaseResult(case, CaseVerdict.ERROR, text))
        finally:
            run.close()
        verdict = judge(case, seen, strict=self._options.strict, local=run.target.local)
        detail = run.transcript.without_echo(seen.detail.encode()).decode()
        seen = seen._replace(detail=detail)
        return _Try(CaseResult(case, verdict, detail, seen), silent=seen.outcome is Reaction.SILENCE)

    def _expected(self, case: Case, result: CaseResult) -> CaseResult:
        reason = self._options.known.get(case.name)
        if reason is None or result.verdict in {CaseVerdict.NOT_APPLICABLE, CaseVerdict.NOT_RUN}:
            return result
        verdict = CaseVerdict.UNEXPECTED_PASS if result.verdict is CaseVerdict.PASS else CaseVerdict.KNOWN
        return replace(result, verdict=verdict, detail=f"{result.detail} ({reason or 'expected'})")


def _told(result: CaseResult) -> str:
    if result.seen is None:
        return result.detail or str(result.verdict)
    return f"{result.seen.outcome}: {result.seen.detail}".removesuffix(": ")
