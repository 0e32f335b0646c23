"""Which requirements that a peer can see have a case, and why the others have none.

The reasons stand in without_case.json, by id. A requirement of the specifications below has a case or a reason;
never neither, and never both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Final, NamedTuple

from saslsspi_conformance import catalogue
from saslsspi_conformance.case import all_cases
from saslsspi_conformance.catalogue import Observable, Requirement

__all__ = ["FILES", "Covered", "coverage", "reasons"]

FILES: Final = ("rfc2831", "rfc4422", "profile-ldap", "profile-mail", "scram-channel-binding",
                "gssapi-plain-anonymous-prep", "ms-cssp", "rfc5804")  # fmt: skip
"""The files of the catalogue that the runner is about."""


class Covered(NamedTuple):
    """One requirement that a peer can see.

    Attributes:
        cases: The names of the cases that show it.
        reason: Why there is none; "" where there is one.
    """

    requirement: Requirement
    cases: tuple[str, ...]
    reason: str


def reasons() -> Mapping[str, str]:
    """Return the reasons by id."""
    text = resources.files("saslsspi_conformance").joinpath("without_case.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def coverage() -> Iterator[Covered]:
    """Go through all of them, in the order of the files."""
    by_id: dict[str, list[str]] = {}
    for case in all_cases().values():
        for identifier in case.requirements:
            by_id.setdefault(identifier, []).append(case.name)
    why = reasons()
    for name in FILES:
        for requirement in catalogue.files()[name].requirements:
            if requirement.observable is Observable.WIRE:
                yield Covered(requirement, tuple(by_id.get(requirement.id, ())), why.get(requirement.id, ""))
