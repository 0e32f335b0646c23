"""Which cases run: by section, level, specification, requirement, and the words of pytest's -k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from saslsspi_conformance.case import Case, Plays, all_cases
from saslsspi_conformance.case_run import ClientTarget, ServerTarget

__all__ = ["Selection", "Targets", "read_expectations", "selected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is tested: a target for each protocol that cases are about; "" is for the cases of any protocol.

    Attributes:
        absent: Why there is none for a side and a protocol, where there should be one.
    """

    name: str
    servers: Mapping[str, ServerTarget] = field(default_factory=dict)
    clients: Mapping[str, ClientTarget] = field(default_factory=dict)
    absent: Mapping[tuple[Plays, str], str] = field(default_factory=dict)

    def has(self, case: Case) -> bool:
        """Whether there is a target for a case, or a reason why not."""
        there = case.carrier in (self.servers if case.target is Plays.SERVER else self.clients)
        return there or (case.target, case.carrier) in self.absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to run.

    Attributes:
        sections: Section numbers, "2.1.2" with all below it; any of them.
        specs: Specifications, "RFC 2831" or "rfc2831"; any of them.
        requirements: Ids; any of them.
        level: "must" leaves out cases that only a SHOULD or a MAY asks for; "should" leaves out the MAYs.
        side: "client" or "server"; "" is both.
    """

    sections: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    level: str = ""
    side: str = ""

    def takes(self, case: Case) -> bool:
        """Whether a case is to run."""
        rules = case.rules
        levels = {"must": {"MUST", "MUST NOT", "DEF"}, "should": {"MUST", "MUST NOT", "DEF", "SHOULD", "SHOULD NOT"}}
        return (
            (not self.sections or any(_below(rule.section, wanted) for rule in rules for wanted in self.sections))
            and (not self.specs or any(_plain(rule.spec) in map(_plain, self.specs) for rule in rules))
            and (not self.requirements or any(rule.id in self.requirements for rule in rules))
            and (not self.level or any(rule.level in levels[self.level] for rule in rules))
            and (not self.side or case.target == self.side)
        )


def _below(section: str, wanted: str) -> bool:
    number = section.split(" ")[0]
    return number == wanted or number.startswith(wanted + ".")


def _plain(text: str) -> str:
    return text.lower().replace(" ", "").replace("-", "")


def selected(selection: Selection, targets: Targets | None) -> list[Case]:
    """Return the cases to run, in order."""
    cases = [case for case in all_cases().values() if selection.takes(case)]
    return [case for case in cases if targets is None or targets.has(case)]


def read_expectations(*paths: Path) -> dict[str, str]:
    """Read files of known failures: a case's name and, behind #, the reason, a line each.

    Raises:
        ValueError: a name is no case.
    """
    known: dict[str, str] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, reason = (part.strip() for part in line.partition("#"))
            if name and name not in all_cases():
                raise ValueError(f"{path}: there is no case {name}")
            if name:
                known[name] = reason
    return known
