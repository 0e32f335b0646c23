"""The table of moved modules is true: what is new can be imported, and what is old is gone."""

import importlib.util
import re
from pathlib import Path

import pytest

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
MOVED = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)


def module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(("old", "new"), MOVED, ids=[old for old, _ in MOVED])
def test_a_module_that_moved_stands_at_its_new_path_only(old: str, new: str) -> None:
    assert module(new)
    assert not module(old)


def test_the_table_is_read() -> None:
    assert len(MOVED) > 100
