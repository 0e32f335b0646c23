"""Break our code on purpose, and see whether the tests notice: `python tests/mutants/run.py [FILE ...]`.

FILE is a catalogue file with a table here, `rfc2831`; without one all tables are taken. Each entry of a table changes
one place in a temporary copy of the sources, and the tests that claim its requirement must then fail. A place is a
text that occurs exactly once in its file (test_tables.py watches over that).

The exit status is 1 when a mutant survives, or when it could not be tried.
"""

from __future__ import annotations

import argparse
import enum
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
_COPIED: Final = ("saslsspi", "mechanisms", "conformance", "tests", "docs", "pyproject.toml", "setup.cfg")
_COLLECT: Final = """
import json, sys
import pytest
from requirement_coverage import ClaimCollector
collector = ClaimCollector()
code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[collector])
print("\\n" + json.dumps(collector.claims))
sys.exit(code)
"""


class Mutant(NamedTuple):
    """One mistake.

    Attributes:
        file: Below the root of the tree.
        requirement: The id of the rule that it breaks.
    """

    file: str
    old: str
    new: str
    requirement: str


class Table(NamedTuple):
    """The mutants of one catalogue file.

    Attributes:
        tests: Directories and files whose tests may claim its requirements.
    """

    name: str
    tests: tuple[str, ...]
    mutants: tuple[Mutant, ...]


class Fate(enum.Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    NOT_TRIED = "NOT TRIED"


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.toml"))


def read(name: str) -> Table:
    document = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))
    return Table(name, tuple(document["tests"]), tuple(Mutant(**entry) for entry in document["mutant"]))


def occurrences(mutant: Mutant, root: Path = ROOT) -> int:
    return (root / mutant.file).read_text(encoding="utf-8").count(mutant.old)


class Copy:
    """A copy of the tree in which code may be broken."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, root / name)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        roots = [self._root, self._root / "mechanisms", self._root / "conformance", self._root / "tests"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots)), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self._root, env=environment, capture_output=True, text=True, check=False
        )

    def claims(self, table: Table) -> dict[str, list[str]]:
        """Return the tests of a table's directories by the requirement that they claim."""
        import json

        found = self.python("-c", "import saslsspi; print(saslsspi.__file__)").stdout
        if not found.startswith(str(self._root)):
            raise SystemExit(f"the copy is not what is imported, but {found}")
        done = self.python("-c", _COLLECT, *table.tests)
        if done.returncode:
            raise SystemExit(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
        claims: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
        return {identifier: sorted({node.partition("[")[0] for node in nodes}) for identifier, nodes in claims.items()}

    def passes(self, tests: Sequence[str]) -> bool | None:
        """Run tests until one fails; None when they could not be run."""
        code = self.python("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests).returncode
        return {0: True, 1: False}.get(code)

    def fate(self, mutant: Mutant, tests: Sequence[str]) -> Fate:
        """Break one place, run the tests, and mend it."""
        path = self._root / mutant.file
        source = path.read_text(encoding="utf-8")
        if source.count(mutant.old) != 1 or not tests:
            return Fate.NOT_TRIED
        path.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            passed = self.passes(tests)
        finally:
            path.write_text(source, encoding="utf-8")
        return Fate.NOT_TRIED if passed is None else Fate.SURVIVED if passed else Fate.CAUGHT


def run(table: Table) -> Iterator[tuple[Mutant, Fate]]:
    with tempfile.TemporaryDirectory() as directory:
        copy = Copy(Path(directory).resolve())
        claims = copy.claims(table)
        claiming = sorted({test for mutant in table.mutants for test in claims.get(mutant.requirement, [])})
        if not copy.passes(claiming):
            raise SystemExit("the tests fail without a mutant")
        for mutant in table.mutants:
            yield mutant, copy.fate(mutant, claims.get(mutant.requirement, []))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Show that the tests which claim requirements notice their breach.")
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(names())}; all without one")
    options = parser.parse_args(arguments)
    if unknown := set(options.files) - set(names()):
        parser.error(f"there is no table for {', '.join(sorted(unknown))}")
    bad = 0
    for name in options.files or names():
        table, caught = read(name), 0
        for mutant, fate in run(table):
            caught += fate is Fate.CAUGHT
            first = mutant.old.strip().splitlines()[0]
            print(f"{fate.value:<10} {mutant.requirement:<20} {mutant.file}: {first}", flush=True)
        print(f"{name}: {caught} of {len(table.mutants)} mutants caught")
        bad += len(table.mutants) - caught
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
