"""docs/security.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(
    set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text("utf-8")))
)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_exists(file: str, test: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not test or re.search(rf"def {test}\(", text)


def test_every_defence_names_its_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("## What has happened")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert len(rows) > 15
    assert [row for row in rows if "`tests/" not in row] == []
