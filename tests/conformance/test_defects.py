"""Deliberate defects of our own client and server, each found by a case that names the requirement.

The list is defects.toml; `python tests/conformance/defects.py` tries it alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from conformance.defects import Defect, defects
from saslsspi_conformance import catalogue

_DEFECTS: Final = defects()
_HALVES: Final = 2
_TIMEOUT: Final = 120


@pytest.fixture(scope="module")
def found() -> Mapping[tuple[str, str, str], list[str]]:
    """The cases that failed for each defect; two processes share the work."""
    script = Path(__file__).with_name("defects.py")
    halves = [
        subprocess.Popen(
            [sys.executable, script, "--json", str(number), str(_HALVES)], stdout=subprocess.PIPE, text=True
        )
        for number in range(_HALVES)
    ]
    lines = "".join(half.communicate(timeout=_TIMEOUT)[0] for half in halves).splitlines()
    return {(file, old, requirement): cases for file, old, requirement, cases in map(json.loads, lines)}


@pytest.mark.parametrize("defect", _DEFECTS, ids=[defect.requirement for defect in _DEFECTS])
def test_a_case_of_the_requirement_finds_the_defect(
    defect: Defect, found: Mapping[tuple[str, str, str], list[str]]
) -> None:
    assert found[defect.file, defect.old, defect.requirement]


@pytest.mark.parametrize("defect", _DEFECTS, ids=[defect.requirement for defect in _DEFECTS])
def test_each_defect_has_exactly_one_place_and_breaks_a_rule(defect: Defect) -> None:
    assert defect.path.read_text(encoding="utf-8").count(defect.old) == 1
    assert defect.new != defect.old
    assert defect.requirement in catalogue.load()


def test_there_are_forty_defects_of_different_places() -> None:
    assert len({(defect.file, defect.old, defect.new) for defect in _DEFECTS}) == len(_DEFECTS) >= 40
