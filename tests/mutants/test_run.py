"""The runner tells a mutant that is noticed from one that is not, and lets neither touch the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mutants.table import ROOT

PLACE = "saslsspi/sasl/layer.py"
TABLE = """
[[mutant]]
file = "saslsspi/sasl/layer.py"
old = 'if size > self._max_size:'
new = 'if False:'
requirement = "RFC4422-3.7-10"

[[mutant]]
file = "saslsspi/sasl/layer.py"
old = 'if size > self._max_size:'
new = 'if self._max_size < size:'
requirement = ["RFC4422-3.7-10", "RFC4422-3.7-09"]

[[mutant]]
file = "saslsspi/sasl/layer.py"
old = 'there is no such line'
new = ''
requirement = "RFC4422-3.7-10"

[[mutant]]
file = "saslsspi/sasl/layer.py"
old = 'if size > self._max_size:'
new = 'if False:'
requirement = "RFC0000-1-01"
"""


@pytest.mark.slow
def test_what_is_noticed_is_told_from_what_is_not(tmp_path: Path) -> None:
    before = (ROOT / PLACE).read_bytes()
    table = tmp_path / "mine.toml"
    table.write_text(TABLE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mutants.run", str(table)],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        check=False,
    )
    told = sorted(line.split()[:2] for line in done.stdout.splitlines()[:-1])
    assert told == [
        ["NOT", "TRIED"],
        ["NOT", "TRIED"],
        ["SURVIVED", "RFC4422-3.7-09"],
        ["SURVIVED", "RFC4422-3.7-10"],
        ["caught", "RFC4422-3.7-10"],
    ], done.stderr
    assert done.stdout.splitlines()[-1].startswith("4 mutants: 1 caught, 2 SURVIVED, 2 NOT TRIED")
    assert done.returncode == 1
    assert (ROOT / PLACE).read_bytes() == before
