"""Findings and their levels, and which is the worst."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Finding", "Level", "worst"]


class Level(enum.IntEnum):
    """How bad a finding is; the greater the worse."""

    GOOD = 0
    INFO = 1
    WARN = 2
    FAIL = 3


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        id: A name that policies refer to; it never changes.
        text: What it is, for a person.
    """

    level: Level
    id: str
    text: str

    def record(self) -> dict[str, str]:
        """The finding as JSON has it."""
        return {"level": self.level.name.lower(), "id": self.id, "text": self.text}


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; GOOD when nothing was found."""
    return max((finding.level for finding in findings), default=Level.GOOD)
