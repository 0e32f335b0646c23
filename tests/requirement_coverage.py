"""Which requirements of the conformance catalogue are claimed by a test: `python tests/requirement_coverage.py`.

A test claims requirements with `@pytest.mark.requirement("RFC2831-2.1.1-01", ...)`, on a function, a class, a module
(`pytestmark`) or one parameter set. What no test claims stands in `tests/claims/<catalogue file>.json` with the reason,
as "later", "departs" (on purpose) or "not applicable"; an entry with a `reason` in the catalogue is not applicable of
itself, unless a test claims it all the same. Everything else is missing.

The exit status is 1 when a file declared complete has missing requirements, a claim names no requirement, a requirement
is both claimed and listed as not applicable, the tests cannot be collected, a claim has no mutant that its test must
notice and stands in no list of tests/mutants/unbroken.json, or a test that claims a requirement about a package never
touches that package (see requirement_subjects.py; `--collect-only` leaves these tests unrun).
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from mutants.table import names, read, unbroken
from requirement_subjects import ABOVE, SUBJECTS, strangers
from saslsspi_conformance import catalogue

COMPLETE: Final[tuple[str, ...]] = (
    "gssapi-plain-anonymous-prep",
    "http-digest",
    "ms-cssp",
    "ms-dpsp-rfc6331",
    "ms-nlmp",
    "profile-ldap",
    "profile-mail",
    "rfc2195",
    "rfc2831",
    "rfc4178-ms-spng",
    "rfc4422",
    "rfc5804",
    "rfc7628",
    "scram-channel-binding",
    "sspi-asc-general",
    "sspi-isc-credssp",
    "sspi-isc-digest",
)
"""The catalogue files in which every applicable requirement is claimed, or listed with a reason."""

TESTS: Final = Path(__file__).parent

Claims = Mapping[str, Sequence[str]]
"""Ids of requirements, and for each the node ids of the tests that claim it."""


class State(enum.StrEnum):
    """Why no test claims a requirement."""

    NOT_APPLICABLE = "not applicable"
    DEPARTS = "departs"  # on purpose; the reason names the page that says so
    LATER = "later"


class Listed(NamedTuple):
    """An entry of a claims file."""

    state: State
    reason: str


class ClaimCollector:
    """A pytest plugin that notes, while tests are collected, which requirements they claim."""

    def __init__(self) -> None:
        self.claims: dict[str, list[str]] = {}

    @pytest.hookimpl(tryfirst=True)  # before -k and -m take tests away
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for marker in item.iter_markers("requirement"):
                for identifier in marker.args or ("",):  # a marker without ids is a claim of no requirement: a problem
                    self.claims.setdefault(str(identifier), []).append(item.nodeid)


@dataclass(frozen=True, slots=True)
class Tally:
    """How one catalogue file stands; the five groups are disjoint and cover it."""

    name: str
    claimed: tuple[str, ...]
    not_applicable: tuple[str, ...]
    departs: tuple[str, ...]
    later: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def total(self) -> int:
        return len(self.claimed) + len(self.not_applicable) + len(self.departs) + len(self.later) + len(self.missing)

    @property
    def percent(self) -> int:
        """The claimed share of what is applicable, rounded down."""
        applicable = self.total - len(self.not_applicable) - len(self.departs)
        return 100 * len(self.claimed) // applicable if applicable else 100


def read_listed(directory: Path = TESTS / "claims") -> dict[str, dict[str, Listed]]:
    """Return the claims files: name of the catalogue file -> id -> entry.

    Raises:
        ValueError: a file or an entry does not have the documented form, or gives no reason.
    """
    listed: dict[str, dict[str, Listed]] = {}
    for path in sorted(directory.glob("*.json")):
        entries = listed[path.stem] = {}
        for identifier, entry in json.loads(path.read_text(encoding="utf-8")).items():
            if entry.keys() != {"state", "reason"} or not entry["reason"].strip():
                raise ValueError(f"{path.name}: {identifier} needs a state and a reason, and nothing else")
            entries[identifier] = Listed(State(entry["state"]), entry["reason"])
    return listed


def tally(file: catalogue.CatalogueFile, claims: Claims, listed: Mapping[str, Listed]) -> Tally:
    """Sort the requirements of one file; a claim goes before any listing."""
    claimed, not_applicable, departs, later, missing = [], [], [], [], []
    for requirement in file.requirements:
        entry = listed.get(requirement.id)
        if requirement.id in claims:
            claimed.append(requirement.id)
        elif requirement.reason is not None or (entry and entry.state is State.NOT_APPLICABLE):
            not_applicable.append(requirement.id)
        elif entry and entry.state is State.DEPARTS:
            departs.append(requirement.id)
        elif entry:
            later.append(requirement.id)
        else:
            missing.append(requirement.id)
    return Tally(file.name, *map(tuple, (claimed, not_applicable, departs, later, missing)))


def problems(
    files: Mapping[str, catalogue.CatalogueFile], claims: Claims, listed: Mapping[str, Mapping[str, Listed]]
) -> list[str]:
    """Return what is wrong with the claims and with the claims files, one line each."""
    known = {requirement.id for file in files.values() for requirement in file.requirements}
    found = [
        f"{tests[0]} claims {identifier!r}: no such id"
        for identifier, tests in claims.items()
        if identifier not in known
    ]
    for name, entries in listed.items():
        ids = {requirement.id for requirement in files[name].requirements} if name in files else set()
        found += [f"claims/{name}.json lists {identifier}: no such id in {name}" for identifier in entries.keys() - ids]
        found += [
            f"claims/{name}.json lists {identifier} as {entry.state}, yet {claims[identifier][0]} claims it"
            for identifier, entry in entries.items()
            if entry.state is not State.LATER and identifier in claims
        ]
    return sorted(found)


def collect() -> tuple[Claims, str]:
    """Collect the tests without running them; return their claims, and pytest's words if that failed or else ""."""
    collector, output = ClaimCollector(), io.StringIO()
    with contextlib.redirect_stdout(output):
        code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", str(TESTS)], plugins=[collector])
    return collector.claims, "" if code in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ) else output.getvalue()


def without_mutant(files: Iterable[catalogue.CatalogueFile], claims: Claims) -> list[str]:
    """Return a line for each claim that no mutant breaks and no list excuses, and for each excuse without need."""
    excused = unbroken()
    broken = {identifier for name in names() for mutant in read(name) for identifier in mutant.requirements}
    claimed = {requirement.id for file in files for requirement in file.requirements} & claims.keys()
    listed = excused.no_line.keys() | excused.later
    found = [f"{each} is claimed, and has no mutant in tests/mutants" for each in claimed - broken - listed]
    found += [f"tests/mutants/unbroken.json lists {each}, which has a mutant" for each in listed & broken]
    return sorted(found)


def unproved(files: Mapping[str, catalogue.CatalogueFile], claims: Claims) -> list[str]:
    """Run the tests that claim requirements about a package; return a line for each that never touches it."""
    subjects = {
        requirement.id: room
        for name, room in SUBJECTS.items()
        if name in files
        for requirement in files[name].requirements
        if requirement.id not in ABOVE
    }
    where = {test.partition("::")[0] for identifier in subjects.keys() & claims.keys() for test in claims[identifier]}
    return [
        f"{test} claims {', '.join(ids)} and never touches saslsspi/packages/{subjects[ids[0]]}"
        for test, ids in strangers(subjects, where).items()
    ]


def _print_table(tallies: Iterable[Tally]) -> None:
    rows = list(tallies)
    print(f"{'file':<30}{'total':>7}{'claimed':>9}{'n/a':>6}{'departs':>9}{'later':>7}{'missing':>9}{'percent':>9}")
    for row in [*rows, Tally("all", *(sum(group, ()) for group in zip(*map(_groups, rows), strict=True)))]:
        counts = (
            f"{row.total:>7}{len(row.claimed):>9}{len(row.not_applicable):>6}{len(row.departs):>9}"
            f"{len(row.later):>7}{len(row.missing):>9}"
        )
        print(f"{row.name:<30}{counts}{row.percent:>8}%{'  complete' if row.name in COMPLETE else ''}")


def _groups(row: Tally) -> tuple[tuple[str, ...], ...]:
    return row.claimed, row.not_applicable, row.departs, row.later, row.missing


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Show which requirements of the catalogue are claimed by a test.")
    parser.add_argument("--missing", action="store_true", help="list what is missing: id, level, rule and test")
    parser.add_argument("--file", choices=sorted(catalogue.files()), metavar="NAME", help="one catalogue file: rfc2831")
    parser.add_argument("--collect-only", action="store_true", help="do not run the tests that claim something")
    options = parser.parse_args(arguments)

    files, requirements, listed = catalogue.files(), catalogue.load(), read_listed()
    claims, failure = collect()
    tallies = [
        tally(file, claims, listed.get(name, {})) for name, file in files.items() if options.file in (None, name)
    ]
    _print_table(tallies)
    if options.missing:
        for identifier in (identifier for row in tallies for identifier in row.missing):
            entry = requirements[identifier]
            print(f"\n{entry.id}  {entry.level}, {entry.binds}\n    {entry.text}\n    Test: {entry.test}")

    found = problems(files, claims, listed)
    found += [
        f"{row.name} is declared complete, yet misses {' '.join(row.missing)}"
        for row in tallies
        if row.missing and row.name in COMPLETE
    ]
    found += without_mutant(files.values(), claims)
    found += [f"the tests cannot be collected:\n{failure}"] if failure else []
    if not (failure or options.collect_only):
        found += unproved(files if options.file is None else {options.file: files[options.file]}, claims)
    for problem in found:
        print(problem, file=sys.stderr)
    for name, entries in listed.items():
        if done := [
            identifier for identifier, entry in entries.items() if entry.state is State.LATER and identifier in claims
        ]:
            print(f"note: claims/{name}.json still lists as later: {' '.join(done)}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
