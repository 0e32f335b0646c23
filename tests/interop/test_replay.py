"""benchmarks/replay.py, a small one: four processes, one Redis, attacks, and a Redis that is killed in the middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interop.require import require_peer

pytestmark = pytest.mark.interop
PROGRAM = Path(__file__).parents[2] / "benchmarks" / "replay.py"


@pytest.mark.parametrize("options", [[], ["--restart"]])
def test_nothing_is_taken_twice_and_nobody_who_is_right_is_refused(options: list[str]) -> None:
    require_peer("redis")
    command = [sys.executable, str(PROGRAM), "--logons", "1500", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {line[:40].strip(): int(line[40:]) for line in done.stdout.splitlines()[:-1]}
    assert counts["logons"] >= 1500
    assert counts["taken twice"] == counts["attacks taken"] == counts["right logons refused"] == 0
    assert all(counts[kind] > 5 for kind in ("repeated", "stolen", "both at once", "ahead of its turn"))
