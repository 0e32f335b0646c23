"""The tables of mutants fit the code; that the mutants are caught is shown by `python tests/mutants/run.py`."""

from __future__ import annotations

import ast

import pytest

from mutants.table import Mutant, changed_source, names, occurrences, read, unbroken
from saslsspi_conformance import catalogue

MUTANTS = [
    pytest.param(mutant, id=f"{mutant.catalogue_file}-{number}")
    for name in names()
    for number, mutant in enumerate(read(name))
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_has_exactly_one_place_and_breaks_rules_of_its_file(mutant: Mutant) -> None:
    assert occurrences(mutant) == 1
    assert mutant.new != mutant.old
    assert ast.parse(changed_source(mutant))
    rules = {requirement.id for requirement in catalogue.files()[mutant.catalogue_file].requirements}
    assert mutant.requirements
    assert set(mutant.requirements) <= rules


def test_no_two_mutants_of_a_table_are_the_same() -> None:
    for name in names():
        changes = [(mutant.file, mutant.old, mutant.new) for mutant in read(name)]
        assert len(set(changes)) == len(changes)


def test_a_claim_without_a_mutant_has_a_reason_or_is_still_to_be_done() -> None:
    every = {requirement.id for file in catalogue.files().values() for requirement in file.requirements}
    listed = unbroken()
    assert listed.no_line.keys() | listed.later <= every
    assert not listed.no_line.keys() & listed.later
    assert all(reason.strip() for reason in listed.no_line.values())
