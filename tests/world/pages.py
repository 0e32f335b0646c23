"""Pages of the documents as programs: the code that they show, and a driver behind it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["run"]

_DOCUMENTS: Final = Path(__file__).parents[2] / "docs" / "how-to"


def run(python: Path, page: str, driver: str, *arguments: object, blocks: int = 1) -> list[str]:
    """Run a page's first blocks of code, and a driver behind them; return what was printed."""
    text = (_DOCUMENTS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[:blocks]
    assert len(found) == blocks
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-W", "error::ResourceWarning", "-c", "\n".join((*found, driver)), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60, env=known,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
