"""docs/sspi.md against the code: every function, flag and status has a row, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet, SaslOption, SecurityStatus
from sspi_program import Acceptor, inbound

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "sspi.md").read_text()
NAMES_ONLY = "names only: nothing here returns or raises them"


class Row(NamedTuple):
    names: tuple[str, ...]
    text: str
    test: str


ROWS = [
    Row(
        tuple(re.findall(r"`([A-Za-z_0-9]+)`", cells[0])) or (cells[0].strip(),), cells[1].strip(), cells[2].strip(" `")
    )
    for line in PAGE.partition("\n## The table\n")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| function,")
    for cells in [line.strip("|").split("|")]
]
WITH_ROW = Counter(name for row in ROWS for name in row.names)
FUNCTIONS = {
    name
    for name in sspi.__all__
    if callable(getattr(sspi, name)) and not isinstance(getattr(sspi, name), type) and name.islower()
}
FLAGS = {name for family in (IscReq, IscRet, AscReq, AscRet, SaslOption) for name in family.__members__}
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SaslError)]
RAISED = {kind.status.name for kind in CLASSES}


def test_every_function_flag_and_status_has_one_row_and_no_row_names_another() -> None:
    expected = FUNCTIONS | FLAGS | set(SecurityStatus.__members__) | RAISED
    named = {name for name in WITH_ROW if " " not in name and name != "expiry"}
    assert named == expected
    assert [name for name, count in WITH_ROW.items() if count > 1] == []


@cache
def defined(path: Path) -> set[str]:
    """Return the node ids of the tests of a file, without its path."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


READINGS = {
    line.strip("|").split("|")[-1].strip(" `")
    for line in PAGE.partition("## Sentences that can be read in two ways")[2].partition("\n## ")[0].splitlines()
    if line.endswith("` |")
}


def test_each_sentence_that_can_be_read_in_two_ways_is_decided() -> None:
    assert len(READINGS) >= 6


@pytest.mark.parametrize("test", sorted({row.test for row in ROWS} | READINGS))
def test_the_test_that_a_row_names_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in defined(ROOT / "tests" / path)
    assert name.rpartition("::")[2].startswith("test_")


def test_statuses_that_are_names_only_are_raised_by_nothing() -> None:
    (row,) = (row for row in ROWS if row.text == NAMES_ONLY)
    tables = {"status.py", "exit_status.py"}
    rooms = [ROOT / "saslsspi", ROOT / "mechanisms"]
    sources = [
        path.read_text()
        for room in rooms
        for path in room.rglob("*.py")
        if not {path.name, path.parent.name} & {*tables, "errors"}
    ]
    words = set(re.findall(r"\w+", "\n".join(sources)))
    used = {kind.status.name for kind in CLASSES if kind is not errors.SaslError and kind.__name__ in words}
    used |= set(SecurityStatus.__members__) & words
    assert set(SecurityStatus.__members__) - used == set(row.names)


def test_the_example_begins_an_exchange() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    server = Acceptor(inbound(principal="ldap/ldap.example.test"), int(AscReq.ASC_REQ_CONFIDENTIALITY))
    response, done = names["step"](server.step(None))
    assert b"maxbuf=32768" in response
    assert not done
    assert names["step"](server.step(response)) == (b"", True)
    assert server.done
