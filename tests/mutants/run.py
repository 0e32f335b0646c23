"""Break our code on purpose, and see whether the tests notice: `python -m mutants.run [FILE ...]`, in tests.

FILE is a catalogue file with a table here, `rfc2831`, or the path of a table of yours, `./mine.toml`; without one all
tables are taken. Each entry of a table changes
one place, and for each requirement that it breaks the tests that claim it must then fail. A place is a text that
occurs exactly once in its file (test_tables.py watches over that).

`--since REVISION` takes those whose code or claiming test has changed since, `--sample N` at most N of these by lot
and N of the others.

The exit status is 1 when a mutant survives, or when it could not be tried.
"""

from __future__ import annotations

import argparse
import enum
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from mutants.table import ROOT, Mutant, changed_source, names, occurrences, read
from mutants.workers import HUNG, Job, preload, results

_PEERS: Final = ("tests/interop/", "tests/world/")
_OPTIONS: Final = ("-p", "no:cacheprovider", "--assert=plain")  # rewritten asserts tell more, to nobody here
_SHARD: Final = 40
"""Tests in one process when all that claim are run without a mutant."""

Claims = Mapping[str, Sequence[str]]
"""Requirement -> the tests that claim it, without parameters."""


class Fate(enum.Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    NOT_TRIED = "NOT TRIED"


def _pytest(*arguments: str) -> int:
    import pytest

    try:
        return int(pytest.main(["-x", "-q", *_OPTIONS, *arguments]))
    except pytest.PytestUnraisableExceptionWarning:
        return 1  # what the tests left open, which pytest says as its last word: the suite would fail, too


def claims() -> Claims:
    """Collect the tests, and return those that claim a requirement; those with a real peer where there is no other.

    Raises:
        SystemExit: the tests cannot be collected.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as file:

        def collect() -> int:
            import pytest

            from requirement_coverage import ClaimCollector

            collector = ClaimCollector()
            code = pytest.main(["--collect-only", "-qq", *_OPTIONS, "tests"], plugins=[collector])
            Path(file.name).write_text(json.dumps(collector.claims), encoding="utf-8")
            return int(code)

        [(_, status)] = results([("", Job(collect))], 1)
        if status:
            raise SystemExit("the tests cannot be collected; run `python -m pytest --collect-only`")
        found: dict[str, list[str]] = json.loads(Path(file.name).read_bytes())
    return {identifier: _quickest(nodes) for identifier, nodes in found.items()}


def _quickest(nodes: Iterable[str]) -> list[str]:
    tests = sorted({node.partition("[")[0] for node in nodes})
    return [test for test in tests if not test.startswith(_PEERS)] or tests


def fates(mutants: Iterable[Mutant], claimed: Claims, at_once: int) -> Iterator[tuple[Mutant, str, Fate]]:
    """Try mutants, and tell for each and each requirement that it breaks what became of it."""
    jobs = []
    for mutant in mutants:
        for requirement in mutant.requirements:
            tests = claimed.get(requirement, ())
            if occurrences(mutant) != 1 or not tests:
                yield mutant, requirement, Fate.NOT_TRIED
                continue
            jobs.append(
                ((mutant, requirement), Job(lambda tests=tests: _pytest(*tests), mutant.file, changed_source(mutant)))
            )
    for (mutant, requirement), status in results(jobs, at_once):
        if status == HUNG:
            print(f"hung, which its tests would tell: {mutant.file}: {mutant.place}", flush=True)
        yield mutant, requirement, {0: Fate.SURVIVED, 1: Fate.CAUGHT, HUNG: Fate.CAUGHT}.get(status, Fate.NOT_TRIED)


def broken_without(mutants: Iterable[Mutant], claimed: Claims, at_once: int) -> list[str]:
    """Run the tests of these mutants with nothing broken; return those, by shards, that fail all the same."""
    tests = sorted({test for mutant in mutants for each in mutant.requirements for test in claimed.get(each, ())})
    shards = [tests[start : start + _SHARD] for start in range(0, len(tests), _SHARD)]
    jobs = [(shard, Job(lambda shard=shard: _pytest(*shard))) for shard in shards]
    return [f"{shard[0]} and the next {len(shard) - 1}" for shard, status in results(jobs, at_once) if status]


def touched(mutants: Sequence[Mutant], claimed: Claims, revision: str) -> list[Mutant]:
    """Those whose file, or the file of a test that claims their rule, is not what it was at a revision."""
    done = subprocess.run(
        ["git", "diff", "--name-only", revision], cwd=ROOT, capture_output=True, text=True, check=True
    )
    changed = set(done.stdout.splitlines())
    return [
        mutant
        for mutant in mutants
        if mutant.file in changed
        or any(test.partition("::")[0] in changed for each in mutant.requirements for test in claimed.get(each, ()))
    ]


def _chosen(options: argparse.Namespace, claimed: Claims) -> list[Mutant]:
    everything = [mutant for name in options.files or names() for mutant in read(name)]
    if options.since is None and options.sample is None:
        return everything
    lot = random.Random(options.seed)
    chosen = touched(everything, claimed, options.since) if options.since else []
    if options.sample is not None:
        chosen = lot.sample(chosen, min(len(chosen), options.sample))
        rest = [mutant for mutant in everything if mutant not in set(chosen)]
        chosen += lot.sample(rest, min(len(rest), options.sample))
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Show that the tests which claim requirements notice their breach.")
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(names())}; all without one")
    parser.add_argument("--since", metavar="REVISION", help="what has changed since, at most as many as --sample says")
    parser.add_argument("--sample", type=int, metavar="N", help="so many by lot")
    parser.add_argument("--seed", default=None, help="of the lot; without it each run draws anew")
    parser.add_argument("-j", "--at-once", type=int, default=os.cpu_count() or 1, metavar="N")
    options = parser.parse_args(arguments)
    if unknown := {name for name in options.files if not name.endswith(".toml")} - set(names()):
        parser.error(f"there is no table for {', '.join(sorted(unknown))}")
    started = time.monotonic()
    preload()
    claimed = claims()
    mutants = _chosen(options, claimed)
    if failing := broken_without(mutants, claimed, options.at_once):
        raise SystemExit("tests fail without a mutant: " + "; ".join(failing))
    counts = dict.fromkeys(Fate, 0)
    for mutant, requirement, fate in fates(mutants, claimed, options.at_once):
        counts[fate] += 1
        print(f"{fate.value:<10} {requirement:<24} {mutant.file}: {mutant.place}", flush=True)
    told = ", ".join(f"{count} {fate.value}" for fate, count in counts.items())
    print(f"{len(mutants)} mutants: {told}; {time.monotonic() - started:.0f} s")
    return 0 if counts[Fate.CAUGHT] == sum(counts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
