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


def test_a_protocol_of_lines_is_complete_in_six_files() -> None:
    """ManageSieve: its description, client, door, server, `auth` and `serve`, conformance cases.

    What its specification asks for is data and not code: catalogue/rfc5804.json.
    """
    found = [name for name in files_with("") if "sieve" in (ROOT / name).read_text(encoding="utf-8").lower()]
    assert 4 <= len(found) <= 6, found
    assert max(len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in found) <= 300
