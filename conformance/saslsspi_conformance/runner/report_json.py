"""A report as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import saslsspi
from saslsspi_conformance.case import all_cases
from saslsspi_conformance.outcome import Observation, Reaction
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport, exit_status
from saslsspi_conformance.transcript import WireStep

__all__ = ["as_document", "compared", "read_results"]

_FINAL: Final = frozenset(CaseVerdict) - {CaseVerdict.ERROR, CaseVerdict.NOT_RUN}


def as_document(report: RunReport) -> dict[str, object]:
    """Return what json.dumps takes: counts, exit status, and every result with its exchange."""
    return {
        "target": report.target,
        "date": report.date,
        "version": saslsspi.__version__,
        "command": list(report.made),
        "seconds": round(report.seconds, 3),
        "partial": report.partial,
        "failed_logons": {"spent": report.failed_logons.spent, "bound": report.failed_logons.bound},
        "notes": [note for note in (report.suffered, *report.notes) if note],
        "exit_status": exit_status(report),
        "counts": {str(verdict): count for verdict, count in report.counts.items()},
        "results": [_result(result) for result in report.results],
    }


def _result(result: CaseResult) -> dict[str, object]:
    case = result.case
    return {
        "case": case.name,
        "title": case.title,
        "target": str(case.target),
        "requirements": list(case.requirements),
        "section": case.section,
        "verdict": str(result.verdict),
        "seen": None if result.seen is None else str(result.seen.outcome),
        "accepted": sorted(map(str, case.accept)),
        "detail": result.detail,
        "seconds": round(result.seconds, 4),
        "exchange": [{"from": step.sender, "what": step.text} for step in result.steps],
    }


def read_results(document: Mapping[str, Any], target: str) -> tuple[dict[str, CaseResult], int]:
    """Read what an earlier run found: its results by case, those that need no second look, and its failed logons.

    Args:
        document: What as_document has made.
        target: The name of the target that is tested now.

    Raises:
        ValueError: it is no such document, or one of another target.
    """
    if document.get("target") != target:
        raise ValueError(f"the report is about {document.get('target')}, and not about {target}")
    try:
        results = [_read(entry) for entry in document["results"] if entry["case"] in all_cases()]
        spent = int(document["failed_logons"]["spent"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the report cannot be gone on with: {error}") from error
    return {result.case.name: result for result in results if result.verdict in _FINAL}, spent


def _read(entry: Mapping[str, Any]) -> CaseResult:
    detail = str(entry["detail"])
    return CaseResult(
        all_cases()[entry["case"]],
        CaseVerdict(entry["verdict"]),
        detail,
        None if entry["seen"] is None else Observation(Reaction(entry["seen"]), detail),
        tuple(WireStep(step["from"], step["what"]) for step in entry["exchange"]),
        float(entry["seconds"]),
    )


def compared(before: Mapping[str, Any], report: RunReport) -> list[str]:
    """Say what is new and what is gone since an earlier run: a line for each case with another verdict.

    Raises:
        ValueError: what came before is no report.
    """
    try:
        old = {str(entry["case"]): str(entry["verdict"]) for entry in before["results"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"the report cannot be compared with: it has no {error}") from error
    now = {result.case.name: str(result.verdict) for result in report.results}
    names = [name for name in sorted(old.keys() | now.keys()) if old.get(name) != now.get(name)]
    return [f"{name}: {old.get(name, 'not there')} before, {now.get(name, 'not there')} now" for name in names]
