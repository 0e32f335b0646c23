"""Print one interpreter for each supported Python version that is here: those of pyenv, then those on the path."""

import os
import re
import shutil
import sys
from pathlib import Path

MINORS = range(11, 15)


def find_python(minor: int) -> Path | None:
    """Return an interpreter of Python 3.MINOR, the newest release that pyenv has, else the one on the path."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    # Releases only: no 3.13t and no virtual environments that pyenv keeps beside them.
    releases = [folder for folder in versions.glob(f"3.{minor}.*") if re.fullmatch(r"3\.\d+\.\d+", folder.name)]
    for folder in sorted(releases, key=lambda folder: int(folder.name.rpartition(".")[2]), reverse=True):
        if (python := folder / "bin" / "python3").exists():
            return python
    found = shutil.which(f"python3.{minor}")
    # A pyenv shim may stand for a version that is not selected; it was looked for above.
    return Path(found) if found and "shims" not in Path(found).parts else None


if __name__ == "__main__":
    for minor in MINORS:
        if python := find_python(minor):
            print(python)
        else:
            print(f"no Python 3.{minor} here: left out", file=sys.stderr)
