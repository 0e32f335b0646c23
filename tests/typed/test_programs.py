"""A small program at each door passes mypy --strict and pyright, as users run them: without the project's settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mypy.api
import pytest

from test_doors import DOORS, PLUGINS

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PATHS = [ROOT, ROOT / "mechanisms", ROOT / "conformance"]


def test_each_door_has_its_program() -> None:
    wanted = {f"use_{door.replace('.', '_')}.py": door for door in [*DOORS, *PLUGINS]}
    assert {file.name for file in PROGRAMS.glob("*.py")} == set(wanted)
    for name, door in wanted.items():
        text = (PROGRAMS / name).read_text(encoding="utf-8")
        room, _, last = door.rpartition(".")
        assert f"from {door}" in text or (room and f"from {room} import {last}" in text), name


def test_mypy_strict_has_no_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", ":".join(map(str, PATHS[1:])))
    monkeypatch.chdir(ROOT)
    said, complaints, status = mypy.api.run(
        ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path}", str(PROGRAMS)]
    )
    assert status == 0, said + complaints


def test_pyright_strict_has_no_complaint(tmp_path: Path) -> None:
    settings = {
        "include": [str(PROGRAMS)],
        "extraPaths": list(map(str, PATHS)),
        "typeCheckingMode": "strict",
        "pythonVersion": "{}.{}".format(*sys.version_info[:2]),
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors" in done.stdout
