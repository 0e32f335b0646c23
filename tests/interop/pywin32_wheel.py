"""pywin32's wheel for Windows, unpacked: its `sspi` module, its tests of it, and its examples, which are Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from interop.require import give_up

__all__ = ["DEMOS", "SSPI", "TESTS", "unpacked"]

_CACHE: Final = Path(__file__).parents[2] / ".cache" / "pywin32"
DEMOS: Final = "win32/Demos/security/sspi"
SSPI: Final = "win32/lib/sspi.py"
TESTS: Final = "win32/test/test_sspi.py"


def unpacked() -> Path:
    """Return the folder of the unpacked wheel, which is fetched once."""
    folder = _CACHE / "unpacked"
    if (folder / SSPI).exists():
        return folder
    if not list(_CACHE.glob("*.whl")):
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--platform", "win_amd64", "--only-binary=:all:", "--no-deps", "--dest", str(_CACHE), "pywin32",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            give_up(f"pywin32's wheel could not be fetched: {done.stderr.strip()[-300:]}")
    with zipfile.ZipFile(sorted(_CACHE.glob("*.whl"))[-1]) as archive:
        wanted = [name for name in archive.namelist() if name in (SSPI, TESTS) or name.startswith(DEMOS)]
        archive.extractall(folder, wanted)
    return folder
