"""Every requirement that a peer can see is shown by a case, or has a reason why not."""

from __future__ import annotations

from saslsspi_conformance import catalogue
from saslsspi_conformance.case import all_cases
from saslsspi_conformance.coverage import FILES, coverage, reasons


def test_every_wire_observable_requirement_has_a_case_or_a_reason() -> None:
    assert not [each.requirement.id for each in coverage() if not each.cases and not each.reason]


def test_no_requirement_has_both() -> None:
    assert not [each.requirement.id for each in coverage() if each.cases and each.reason]


def test_every_reason_is_about_a_requirement_of_these_files() -> None:
    known = {requirement.id for name in FILES for requirement in catalogue.files()[name].requirements}
    assert reasons().keys() <= known


def test_nine_of_ten_have_a_case() -> None:
    found = list(coverage())
    assert sum(bool(each.cases) for each in found) >= 0.9 * len(found)


def test_every_case_says_what_is_right_and_can_be_told_from_the_others() -> None:
    titles = [(case.target, case.name.partition(".")[0], case.title) for case in all_cases().values()]
    assert len(set(titles)) == len(titles)
    assert all(case.accept for case in all_cases().values())
