"""Every fact that was observed on Windows holds here, or is a departure that docs/sspi.md gives a reason for."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from windows.observed import FACTS, SITUATIONS, Answer, Fact

_HERE = Path(__file__).parent
_PAGE = (_HERE.parents[1] / "docs" / "sspi.md").read_text(encoding="utf-8")
_HEADING = "## Where we answer otherwise than Windows"
_MOST = 15
_SEEN: dict[str, Mapping[str, Answer]] = {}

for _path in sorted((_HERE / "situations").glob("*.py")):
    importlib.import_module(f"windows.situations.{_path.stem}")


class Departure(NamedTuple):
    """A row of the document."""

    fact: str
    windows: str
    here: str
    why: str


def departures() -> dict[str, Departure]:
    table = _PAGE.partition(_HEADING)[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:3] == "| `"]
    found = [Departure(*(cell.strip("`") for cell in row)) for row in rows]
    assert len({row.fact for row in found}) == len(found)
    return {row.fact: row for row in found}


DEPARTURES = departures()


def said(answers: tuple[Answer, ...]) -> str:
    return " or ".join(map(str, answers))


@pytest.mark.parametrize("fact", FACTS, ids=[fact.id for fact in FACTS])
def test_windows(fact: Fact, request: pytest.FixtureRequest) -> None:
    if fact.situation not in _SEEN:
        _SEEN[fact.situation] = SITUATIONS[fact.situation](request)
    ours = _SEEN[fact.situation][fact.look]
    departure = DEPARTURES.get(fact.id)
    if departure is None:
        assert ours in fact.windows, fact
        assert type(ours) is type(fact.windows[0])
    else:
        assert str(ours) == departure.here, fact


def test_a_departure_is_one_of_a_fact_and_says_what_windows_does_and_why() -> None:
    facts = {fact.id: fact for fact in FACTS}
    assert set(DEPARTURES) <= set(facts)
    assert {row.fact: row.windows for row in DEPARTURES.values()} == {
        name: said(facts[name].windows) for name in DEPARTURES
    }
    assert all(row.here != row.windows and len(row.why) > 20 for row in DEPARTURES.values())
    assert len(DEPARTURES) <= _MOST


def test_rows_are_well_formed_and_every_situation_is_asked() -> None:
    assert [name for name, count in Counter(fact.id for fact in FACTS).items() if count > 1] == []
    looks = Counter((fact.situation, fact.look) for fact in FACTS)
    assert [look for look, count in looks.items() if count > 1] == []
    assert {fact.situation for fact in FACTS} == set(SITUATIONS)
    assert all(fact.seen.partition(":")[2] for fact in FACTS)


@pytest.mark.parametrize("name", sorted({fact.situation for fact in FACTS}))
def test_a_situation_observes_nothing_that_no_row_asks_about(name: str, request: pytest.FixtureRequest) -> None:
    if name not in _SEEN:
        _SEEN[name] = SITUATIONS[name](request)
    assert set(_SEEN[name]) == {fact.look for fact in FACTS if fact.situation == name}
