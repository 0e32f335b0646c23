"""What a run found: one Result a case, and what they amount to."""

from __future__ import annotations

import datetime
import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from saslsspi_conformance.case import Case, Observation
from saslsspi_conformance.logons import FailedLogons
from saslsspi_conformance.outcome import SUCCESS, Plays, Reaction
from saslsspi_conformance.transcript import WireStep

__all__ = ["CaseResult", "CaseVerdict", "RunReport", "exit_status", "judge"]

_DELAY: Final = 1.0  # seconds: a refusal that takes longer is delayed on purpose
_NOBODY: Final = "Not one logon succeeded: are --user, the password and --realm those of an account there?"


class CaseVerdict(enum.StrEnum):
    """What a case says about its target."""

    PASS = "pass"
    FAIL = "fail"
    WARNING = "warning"
    """A SHOULD, or a rule that is not in the text itself, is not kept."""
    KNOWN = "known failure"
    """It fails, as the file of --expect says."""
    UNEXPECTED_PASS = "unexpected pass"
    """It passes, though the file of --expect says that it fails."""
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"
    """To spare the account."""
    ERROR = "could not test"


_BAD: Final = {CaseVerdict.FAIL, CaseVerdict.UNEXPECTED_PASS, CaseVerdict.ERROR}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case on one target.

    Attributes:
        detail: What was seen, or why there was nothing to see.
        steps: What crossed the wire, secrets masked.
        seconds: How long it took.
    """

    case: Case
    verdict: CaseVerdict
    detail: str
    seen: Observation | None = None
    steps: tuple[WireStep, ...] = ()
    seconds: float = 0.0

    def line(self) -> str:
        """The case, its rule, and what was seen, on one line."""
        rule = self.case.rules[0]
        seen = self.seen.outcome if self.seen else self.detail
        return f"{self.verdict}: {self.case.name} ({rule.id}, section {rule.section}): {seen}"

    def explain(self) -> str:
        """What a person needs to know of a case that did not pass."""
        rules = "\n".join(
            f"  {rule.id} ({rule.level}, section {rule.section})\n    {rule.text}" for rule in self.case.rules
        )
        right = " or ".join(sorted(self.case.accept))
        wire = "\n".join(f"    {'->' if step.sender == 'tester' else '<-'} {step.text}" for step in self.steps)
        seen = f"{self.seen.outcome}{': ' + self.seen.detail if self.seen.detail else ''}" if self.seen else self.detail
        return (
            f"{self.verdict.upper()} {self.case.name}\n  {self.case.title}\n{rules}\n  seen: {seen}\n  right: {right}"
            + (f"\n  exchange:\n{wire}" if wire else "")
        )


@dataclass(slots=True)
class RunReport:
    """All results of one run.

    Attributes:
        planned: How many cases were to run.
        broken_off: Why it ended before they had run, "" for a whole run.
        failed_logons: What the account has suffered.
        notes: What else there is to say of the run, as that the target is slow.
        date: When it began, in UTC (ISO 8601).
        made: How it was made: the words of the command, without a password.
    """

    target: str
    results: list[CaseResult] = field(default_factory=list)
    seconds: float = 0.0
    planned: int = 0
    broken_off: str = ""
    failed_logons: FailedLogons = field(default_factory=FailedLogons)
    notes: list[str] = field(default_factory=list)
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    made: tuple[str, ...] = ()

    @property
    def failures(self) -> list[CaseResult]:
        """What has failed, and what could not be tested: first what breaks a rule."""
        found = [result for result in self.results if result.verdict in _BAD]
        return sorted(found, key=lambda result: result.verdict is CaseVerdict.ERROR)

    def note(self, text: str) -> None:
        """Keep something to say, once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def suffered(self) -> str:
        """What the account has suffered, in words; "" where it is nobody's."""
        logons = self.failed_logons
        if not logons.user or (logons.bound is None and not logons.spent):
            return ""
        bound = "any number" if logons.bound is None else str(logons.bound)
        text = f"{logons.spent} failed logons of {logons.user}, of {bound} that may be spent"
        if logons.slowest >= _DELAY:
            text += (
                f"; the server took up to {logons.slowest:.1f} s to refuse: it delays refusals, and is given the time"
            )
        return text

    @property
    def partial(self) -> str:
        """How far a run came that did not come to its end, in words; "" for a whole one."""
        return f"{self.broken_off}: {len(self.results)} of {self.planned} cases have run" if self.broken_off else ""

    @property
    def counts(self) -> Mapping[CaseVerdict, int]:
        """How many results of each verdict."""
        return Counter(result.verdict for result in self.results)

    def summary(self) -> str:
        """The failures in a line each, the counts, and what else there is to say of the run."""
        counts = self.counts
        parts = [f"{counts[verdict]} {verdict}" for verdict in CaseVerdict if counts.get(verdict)]
        line = f"{len(self.results)} cases against {self.target} in {self.seconds:.1f} s: " + ", ".join(parts)
        notes = [self.partial] if self.broken_off else []
        notes += [note for note in (self.suffered, *self.notes) if note]
        notes += [_NOBODY] if self._nobody_logged_on() else []
        return "\n".join([*(result.line() for result in self.failures), line, *notes])

    def _nobody_logged_on(self) -> bool:
        logons = [
            result.seen.outcome
            for result in self.results
            if result.case.target is Plays.SERVER and result.case.accept == SUCCESS and result.seen is not None
        ]
        return bool(logons) and Reaction.SUCCESS not in logons


def judge(case: Case, seen: Observation, *, strict: bool, local: bool = True) -> CaseVerdict:
    """Compare an outcome with the accepted ones; what a configuration decides binds only where it is our own."""
    if seen.outcome in case.accept:
        return CaseVerdict.PASS
    if case.configured and not local:
        return CaseVerdict.WARNING
    return CaseVerdict.FAIL if case.binding or (strict and case.recommended) else CaseVerdict.WARNING


def exit_status(report: RunReport) -> int:
    """0 conformant, 1 not, 3 could not test; nothing at all, or a run that was broken off, is never 0."""
    verdicts = {result.verdict for result in report.results}
    if verdicts & {CaseVerdict.FAIL, CaseVerdict.UNEXPECTED_PASS}:
        return 1
    if report.broken_off or CaseVerdict.ERROR in verdicts:
        return 3
    return 0 if verdicts & {CaseVerdict.PASS, CaseVerdict.WARNING, CaseVerdict.KNOWN} else 3
