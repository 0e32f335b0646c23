"""A report as one HTML file without outside resources: by specification and section, with every exchange."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from html import escape
from importlib import resources
from itertools import groupby
from typing import Final

import saslsspi
from saslsspi_conformance.case import Case
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport, exit_status

__all__ = ["as_page"]

_LOOKS: Final = {
    CaseVerdict.PASS: "pass",
    CaseVerdict.FAIL: "fail",
    CaseVerdict.UNEXPECTED_PASS: "fail",
    CaseVerdict.ERROR: "fail",
    CaseVerdict.WARNING: "warning",
    CaseVerdict.KNOWN: "warning",
    CaseVerdict.NOT_APPLICABLE: "not",
    CaseVerdict.NOT_RUN: "not",
}
_ENDINGS: Final = {0: ("pass", "Conformant"), 1: ("fail", "Not conformant"), 3: ("fail", "Could not be tested")}


def as_page(report: RunReport) -> str:
    """Return the page."""
    look, word = _ENDINGS[exit_status(report)]
    total = len(report.results)
    bar = "".join(
        f'<i class="bg-{_LOOKS[verdict]}" style="width:{100 * count / max(total, 1):.2f}%"></i>'
        for verdict, count in _ordered(report)
    )
    counts = "".join(
        f'<li><b class="{_LOOKS[verdict]}">{count}</b> {escape(verdict)}</li>' for verdict, count in _ordered(report)
    )
    specs = _by_spec(report.results)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Conformance of {escape(report.target)}'
        f'</title>\n<meta name="viewport" content="width=device-width"><style>{_style()}</style></head>\n<body>'
        f"<h1>SASL conformance of {escape(report.target)}</h1>\n"
        f'<p class="lead"><span class="verdict {look}">{word}</span> · {total} cases in {report.seconds:.1f} s · '
        f"{escape(report.date)} · saslsspi {escape(saslsspi.__version__)}</p>\n"
        + (f"<p><code>{escape(shlex.join(report.made))}</code></p>\n" if report.made else "")
        + (f'<p class="fail">{escape(report.partial)}</p>\n' if report.broken_off else "")
        + "".join(f"<p>{escape(note)}</p>\n" for note in (report.suffered, *report.notes) if note)
        + f'<div class="bar">{bar}</div><ul class="counts">{counts}</ul>\n'
        + _failures(report)
        + _table(specs)
        + "".join(_specification(name, results) for name, results in specs)
        + "</body></html>\n"
    )


def _failures(report: RunReport) -> str:
    if not report.failures:
        return ""
    return "<h2>What fails</h2>\n" + "\n".join(map(_case, report.failures)) + "\n"


def _style() -> str:
    return resources.files(__package__).joinpath("report.css").read_text("utf-8")


def _ordered(report: RunReport) -> list[tuple[CaseVerdict, int]]:
    return [(verdict, report.counts[verdict]) for verdict in CaseVerdict if report.counts.get(verdict)]


def _order(case: Case) -> tuple[object, ...]:
    number = case.section.split(" ")[0]
    return (case.rules[0].spec, [int(part) for part in re.findall(r"\d+", number)], case.section, case.target)


def _by_spec(results: Iterable[CaseResult]) -> list[tuple[str, list[CaseResult]]]:
    ordered = sorted(results, key=lambda result: _order(result.case))
    found = [(name, list(group)) for name, group in groupby(ordered, key=lambda result: result.case.rules[0].spec)]
    # What the target has nothing of stands last.
    return sorted(found, key=lambda part: all(result.verdict is CaseVerdict.NOT_APPLICABLE for result in part[1]))


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower())


def _table(specs: list[tuple[str, list[CaseResult]]]) -> str:
    rows = []
    for name, results in specs:
        looks = [_LOOKS[result.verdict] for result in results]
        cells = "".join(f'<td class="n">{looks.count(look) or "-"}</td>' for look in ("pass", "fail", "warning", "not"))
        rows.append(f'<tr><td><a href="#{_anchor(name)}">{escape(name)}</a></td>{cells}</tr>')
    heads = "".join(f'<th class="n">{word}</th>' for word in ("pass", "fail", "warning", "not applicable"))
    return f"<table><thead><tr><th>Specification</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>\n"


def _specification(name: str, results: list[CaseResult]) -> str:
    parts = [f'<h2 id="{_anchor(name)}">{escape(name)}</h2>']
    for (section, side), group in groupby(results, key=lambda result: (result.case.section, result.case.target)):
        parts.append(f"<h3>{escape(section)} — {side}</h3>")
        parts.extend(_case(result) for result in group)
    return "\n".join(parts)


def _case(result: CaseResult) -> str:
    case, look = result.case, _LOOKS[result.verdict]
    rules = "".join(f"<li><code>{rule.id}</code> {escape(rule.level)}: {escape(rule.text)}</li>" for rule in case.rules)
    seen = f"{result.seen.outcome}" if result.seen else str(result.verdict)
    detail = f" ({escape(result.detail)})" if result.detail else ""
    wire = "".join(
        f'<li class="{"us" if step.sender == "tester" else "it"}">{escape(step.text)}</li>' for step in result.steps
    )
    opened = " open" if look == "fail" else ""
    return (
        f'<details{opened}><summary><span class="tag {look}">{escape(result.verdict)}</span>'
        f"<span>{escape(case.title)}</span><code>{case.requirements[0]}</code></summary>"
        f'<div class="body"><ul class="rules">{rules}</ul>'
        f"<p>Seen: {escape(seen)}{detail}. Right: {escape(' or '.join(sorted(case.accept)))}.</p>"
        f"<p><code>{escape(case.name)}</code></p>"
        + (f'<ol class="wire">{wire}</ol>' if wire else "")
        + "</div></details>"
    )
