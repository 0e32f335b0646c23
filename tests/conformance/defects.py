"""Break our code on purpose, and see whether the runner finds it: `python tests/conformance/defects.py`.

Each entry of defects.toml changes one place of a source while it is imported; `conformance self` must then fail with a
case that names the requirement. Nothing is written: the library is imported anew for each defect, in one process.
The exit status is 1 when a defect is not found. With `--json FIRST STEP` every STEP-th one is tried, a line each.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("saslsspi", "saslsspi_mechanisms", "saslsspi_conformance")

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / place) for place in ("conformance", "mechanisms", "")]


class Defect(NamedTuple):
    """One mistake: a text of a file, which occurs there once, what stands in its place, and the rule that it breaks."""

    file: str
    old: str
    new: str
    requirement: str

    @property
    def path(self) -> Path:
        return ROOT / self.file


class _Broken(SourceFileLoader):
    """Loads a module with a defect in it."""

    defect: Defect

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        assert source.count(self.defect.old) == 1, f"{self.defect.old!r} does not occur once in {self.defect.file}"
        return compile(source.replace(self.defect.old, self.defect.new), self.path, "exec", dont_inherit=True)


class _Breaker(MetaPathFinder):
    """Finds what the other finders find, and has the one module loaded broken."""

    def __init__(self, defect: Defect) -> None:
        self._defect = defect

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOMS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == self._defect.path:
                loader = _Broken(fullname, spec.origin)
                loader.defect = self._defect
                spec.loader = loader
                return spec
        return None


def defects() -> list[Defect]:
    document = tomllib.loads(Path(__file__).with_name("defects.toml").read_text(encoding="utf-8"))
    return [Defect(**entry) for entry in document["defect"]]


def finders(defect: Defect) -> list[str]:
    """Return the cases that find a defect; each names its requirement."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOMS]:
        del sys.modules[name]
    breaker = _Breaker(defect)
    sys.meta_path.insert(0, breaker)
    try:
        return failing(defect.requirement)
    finally:
        sys.meta_path.remove(breaker)


def failing(requirement: str) -> list[str]:
    from saslsspi_conformance.runner.performer import RunOptions
    from saslsspi_conformance.runner.run import run
    from saslsspi_conformance.runner.selection import Selection, selected
    from saslsspi_conformance.targets.embedded import itself

    selection = Selection(requirements=(requirement,))
    with itself({case.carrier for case in selected(selection, None)}) as targets:
        report = run(targets, selection, RunOptions(timeout=10))
    return [result.case.name for result in report.results if result.verdict in {"fail", "warning"}]


def tried(chosen: Sequence[Defect]) -> Iterator[tuple[Defect, list[str]]]:
    for defect in chosen:
        # One whose place has moved is one that is not found; the others are tried all the same.
        there = defect.path.read_text(encoding="utf-8").count(defect.old) == 1
        yield defect, finders(defect) if there else []


def main(words: Sequence[str]) -> int:
    if words[:1] == ["--json"]:
        for defect, found in tried(defects()[int(words[1]) :: int(words[2])]):
            print(json.dumps([defect.file, defect.old, defect.requirement, found]), flush=True)
        return 0
    missed = 0
    for defect, found in tried(defects()):
        missed += not found
        print(f"{'found ' if found else 'MISSED'} {defect.requirement:<20} {', '.join(found[:3])}", flush=True)
    print(f"{len(defects()) - missed} of {len(defects())} defects found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
