"""Break our code on purpose, and see whether the runner finds it: `python tests/conformance/defects.py`.

Each entry of defects.toml changes one place in a temporary copy of the sources; `saslsspi conformance self` must then
fail with a case that names the requirement. The exit status is 1 when a defect is not found.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2] / place) for place in ("tests", "conformance", "mechanisms", "")]

from mutants.run import Copy, Mutant

HERE = Path(__file__).parent
_BAD = {"fail", "warning", "could not test"}


def defects() -> list[Mutant]:
    document = tomllib.loads((HERE / "defects.toml").read_text(encoding="utf-8"))
    return [Mutant(**entry) for entry in document["defect"]]


def finders(copy: Copy, defect: Mutant, root: Path) -> list[str]:
    """Return the cases that find a defect; each names its requirement."""
    path = root / defect.file
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(defect.old, defect.new), encoding="utf-8")
    try:
        return failing(copy, defect.requirement)
    finally:
        path.write_text(source, encoding="utf-8")


def failing(copy: Copy, requirement: str) -> list[str]:
    done = copy.python("-m", "saslsspi", "conformance", "self", "--requirement", requirement, "--json", "-")
    if not done.stdout.strip():
        return [f"the run itself: {done.stderr.strip().splitlines()[-1]}"] if done.stderr.strip() else []
    return [result["case"] for result in json.loads(done.stdout)["results"] if result["verdict"] in _BAD]


def run(chosen: Sequence[Mutant]) -> Iterator[tuple[Mutant, list[str]]]:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        copy = Copy(root)
        for defect in chosen:
            yield defect, finders(copy, defect, root)


def main() -> int:
    missed = 0
    listed = defects()
    for defect, found in run(listed):
        missed += not found
        print(f"{'found ' if found else 'MISSED'} {defect.requirement:<20} {', '.join(found[:3])}", flush=True)
    print(f"{len(listed) - missed} of {len(listed)} defects found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
