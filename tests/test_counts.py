"""What an addition costs: counted in files, by the words that stand in them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [ROOT / "saslsspi", ROOT / "mechanisms", ROOT / "conformance"]


def files_with(word: str) -> list[str]:
    return sorted(
        str(path.relative_to(ROOT))
        for source in SOURCES
        for path in source.rglob("*.py")
        if word in path.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("option", ["server_name"])
def test_an_option_of_a_logon_is_written_in_five_files(option: str) -> None:
    found = files_with(option)
    assert 2 <= len(found) <= 5, found
