"""A report as one JSON document."""

from __future__ import annotations

from saslsspi_conformance.runner.results import CaseResult, RunReport, exit_status

__all__ = ["as_document"]


def as_document(report: RunReport) -> dict[str, object]:
    """Return what json.dumps takes: counts, exit status, and every result with its exchange."""
    return {
        "target": report.target,
        "seconds": round(report.seconds, 3),
        "partial": report.partial,
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
