"""benchmarks/live.py, a small one: four workers of the line server, clients that stay, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
PROGRAM = Path(__file__).parents[2] / "benchmarks" / "live.py"


@pytest.mark.slow
def test_clients_stay_at_four_workers_and_leave_nothing_behind() -> None:
    command = [sys.executable, str(PROGRAM), "--connections", "120", "--workers", "4", "--seconds", "120"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "complete"
    assert [line.split()[-1] for line in lines if line.startswith("connected at the workers")] == ["120"]
    assert sum("errors 0" in line for line in lines) == 6
