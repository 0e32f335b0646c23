"""Other people's programs, each in a virtual environment of its own with pinned versions.

They and this project do not agree on dependencies and warnings, so none of them is imported by a test: a test runs the
environment's Python. An environment lies in .cache/world, named after what it holds, and is made once.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

__all__ = ["python_with"]

_TREE: Final = Path(__file__).parents[2]
_ROOM: Final = _TREE / ".cache" / "world"
_MADE: Final = "made"


def python_with(*requirements: str, this: tuple[str, ...] | None = (), alone: tuple[str, ...] = ()) -> Path:
    """Return the Python of an environment that holds what is required, and this project beside it.

    Args:
        requirements: As pip takes them, with exact versions: "PyHive==0.7.0".
        this: The extras with which this project is installed there (editable); None leaves it out, for a peer that
            must not see it.
        alone: What is installed without what it requires: some of that is for Windows alone.
    """
    ours = [] if this is None else ["--editable", f"{_TREE}[{','.join(this)}]" if this else str(_TREE)]
    content = "\n".join([sys.version, *sorted(requirements), *ours, *alone])
    room = _ROOM / hashlib.sha256(content.encode()).hexdigest()[:16]
    room.mkdir(parents=True, exist_ok=True)
    with (room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = room / "bin" / "python"
        if not (room / _MADE).exists():
            venv.create(room, clear=False, with_pip=True)
            for wanted in ([*requirements, *ours], ["--no-deps", *alone] if alone else []):
                _install(python, wanted)
            (room / _MADE).write_text(content)
    return python


def _install(python: Path, wanted: list[str]) -> None:
    if not wanted:
        return
    command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip could not install {', '.join(wanted)}:\n{done.stderr}")
