"""The tables of mutants fit the code; that the mutants are caught is shown by `python tests/mutants/run.py`."""

from __future__ import annotations

import pytest

from mutants.run import Mutant, names, occurrences, read
from saslsspi_conformance import catalogue

MUTANTS = [
    pytest.param(name, mutant, id=f"{name}-{number}")
    for name in names()
    for number, mutant in enumerate(read(name).mutants)
]


@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_each_mutant_has_exactly_one_place_and_breaks_a_rule_of_its_file(name: str, mutant: Mutant) -> None:
    assert occurrences(mutant) == 1
    assert mutant.new != mutant.old
    assert mutant.requirement in {requirement.id for requirement in catalogue.files()[name].requirements}


@pytest.mark.parametrize("name", names())
def test_each_table_has_ten_mutants_of_different_places(name: str) -> None:
    places = {(mutant.file, mutant.old, mutant.new) for mutant in read(name).mutants}
    assert len(places) == len(read(name).mutants) >= 10
