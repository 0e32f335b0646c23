"""A report as one HTML file without outside resources: by specification and section, with every exchange."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Final

from saslsspi_conformance.case import Case
from saslsspi_conformance.results import Report, Result, Verdict, exit_status

__all__ = ["as_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f5f6f8; --dim: #5c6675; --text: #1b2330; --page: #fff;
  --pass: #187a3c; --fail: #b3261e; --warning: #8a5a00; --not: #5c6675; }
@media (prefers-color-scheme: dark) { :root { --line: #343b47; --soft: #1d222b; --dim: #9aa5b5; --text: #e6eaf0;
  --page: #14181f; --pass: #5fcf87; --fail: #ff8a80; --warning: #f0b64c; --not: #9aa5b5; } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 5rem;
  background: var(--page); color: var(--text) }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem }
h3 { font-size: .95rem; margin: 1.4rem 0 .3rem; color: var(--dim); font-weight: 600 }
.lead { margin: 0 0 1.25rem; color: var(--dim) } .verdict { font-weight: 600 }
.bar { display: flex; height: .75rem; border-radius: .375rem; overflow: hidden; background: var(--line); margin: .75rem 0 }
.bar i { display: block } .counts { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; margin: 0 0 1rem; padding: 0;
  list-style: none } .counts b { font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line) } th { color: var(--dim); font-weight: 600 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; padding-right: 1rem }
details { border-bottom: 1px solid var(--line) } summary { display: grid; grid-template-columns: 8rem 1fr auto;
  gap: .75rem; padding: .4rem .25rem; cursor: pointer; list-style: none; align-items: baseline }
summary::-webkit-details-marker { display: none } summary:hover { background: var(--soft) }
summary code { color: var(--dim); font-size: .8rem } .body { padding: .25rem .25rem 1rem 8.75rem }
.tag { font-size: .8rem; font-weight: 600 } .pass { color: var(--pass) } .fail { color: var(--fail) }
.warning { color: var(--warning) } .not { color: var(--not) }
.bg-pass { background: var(--pass) } .bg-fail { background: var(--fail) } .bg-warning { background: var(--warning) }
.bg-not { background: var(--not) } p { margin: .3rem 0 }
ul.rules { margin: .3rem 0; padding-left: 1.1rem } ul.rules code { font-size: .82rem }
ol.wire { margin: .5rem 0 0; padding: .6rem .8rem; background: var(--soft); border-radius: .4rem; list-style: none;
  font: 12.5px/1.55 ui-monospace, monospace; overflow-x: auto } ol.wire li { white-space: pre-wrap; overflow-wrap: anywhere;
  padding-left: 1.6rem; text-indent: -1.6rem } ol.wire .us::before { content: "→ " } ol.wire .it::before { content: "← " }
ol.wire .us { color: var(--dim) }
@media (max-width: 40rem) { summary { grid-template-columns: 6rem 1fr } summary code { display: none }
  .body { padding-left: .25rem } }
"""

_LOOKS: Final = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.UNEXPECTED_PASS: "fail",
    Verdict.ERROR: "fail",
    Verdict.WARNING: "warning",
    Verdict.KNOWN: "warning",
    Verdict.NOT_APPLICABLE: "not",
    Verdict.NOT_RUN: "not",
}
_ENDINGS: Final = {0: ("pass", "Conformant"), 1: ("fail", "Not conformant"), 3: ("fail", "Could not be tested")}


def as_page(report: Report) -> str:
    """Return the page."""
    look, word = _ENDINGS[exit_status(report.results)]
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
        f'</title>\n<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>'
        f'<h1>SASL conformance of {escape(report.target)}</h1>\n<p class="lead"><span class="verdict {look}">{word}</span>'
        f" · {total} cases in {report.seconds:.1f} s</p>\n"
        f'<div class="bar">{bar}</div><ul class="counts">{counts}</ul>\n{_table(specs)}'
        + "".join(_specification(name, results) for name, results in specs)
        + "</body></html>\n"
    )


def _ordered(report: Report) -> list[tuple[Verdict, int]]:
    return [(verdict, report.counts[verdict]) for verdict in Verdict if report.counts.get(verdict)]


def _order(case: Case) -> tuple[object, ...]:
    number = case.section.split(" ")[0]
    return (case.rules[0].spec, [int(part) for part in re.findall(r"\d+", number)], case.section, case.target)


def _by_spec(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    ordered = sorted(results, key=lambda result: _order(result.case))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda result: result.case.rules[0].spec)]


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower())


def _table(specs: list[tuple[str, list[Result]]]) -> str:
    rows = []
    for name, results in specs:
        looks = [_LOOKS[result.verdict] for result in results]
        cells = "".join(f'<td class="n">{looks.count(look) or "–"}</td>' for look in ("pass", "fail", "warning", "not"))
        rows.append(f'<tr><td><a href="#{_anchor(name)}">{escape(name)}</a></td>{cells}</tr>')
    heads = "".join(f'<th class="n">{word}</th>' for word in ("pass", "fail", "warning", "not applicable"))
    return f"<table><thead><tr><th>Specification</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>\n"


def _specification(name: str, results: list[Result]) -> str:
    parts = [f'<h2 id="{_anchor(name)}">{escape(name)}</h2>']
    for (section, side), group in groupby(results, key=lambda result: (result.case.section, result.case.target)):
        parts.append(f"<h3>{escape(section)} — {side}</h3>")
        parts.extend(_case(result) for result in group)
    return "\n".join(parts)


def _case(result: Result) -> str:
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
