"""What Windows was observed to do: rows of data, and the situations that put the same questions to us.

A row is in `facts/<area>.toml`:

    [[fact]]
    id = "schannel.first.no-output"                    # unique
    function = "InitializeSecurityContext"             # as SSPI calls it
    situation = "Schannel: first calls of a client"    # a function in situations/, found by this name
    look = "no output"                                 # which of its observations
    windows = "SEC_E_INVALID_TOKEN"                    # Windows' answer; a list where versions differ: any of them
    seen = "wine schannel.c: test_communication"       # repository and file: function

A situation runs once for all its rows and returns what it has observed: a status by its name, flags by theirs, a
number, a truth value. A row that we answer otherwise on purpose is a row of the first table of docs/sspi.md, with what
we answer and why; nothing here says so.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from enum import IntFlag
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pytest

from saslsspi.errors import SaslError
from saslsspi.sspi import SecurityStatus

__all__ = ["FACTS", "SITUATIONS", "Answer", "Fact", "Situation", "counts", "flag_names", "situation", "status_of"]

Answer: TypeAlias = str | int | bool
Situation: TypeAlias = Callable[[pytest.FixtureRequest], Mapping[str, Answer]]

_HERE: Final = Path(__file__).parent
SITUATIONS: Final[dict[str, Situation]] = {}


class Fact(NamedTuple):
    """One observation of Windows; see the head of this file."""

    id: str
    function: str
    situation: str
    look: str
    windows: tuple[Answer, ...]
    seen: str


def situation(name: str) -> Callable[[Situation], Situation]:
    """Give a situation the name that rows call it by."""

    def keep(function: Situation) -> Situation:
        assert name not in SITUATIONS, name
        SITUATIONS[name] = function
        return function

    return keep


def status_of(call: Callable[[], object]) -> str:
    """Return the name of the status that a call ends in, successes and failures alike."""
    try:
        result = call()
    except SaslError as error:
        return str(error.status.name)
    status = getattr(result, "status", result)
    return SecurityStatus(status).name if isinstance(status, int) and status else SecurityStatus.SEC_E_OK.name


def flag_names(flags: IntFlag, prefix: str) -> str:
    """Return flags as names without their prefix, in the order of the alphabet."""
    return " ".join(sorted((flag.name or hex(flag)).removeprefix(prefix) for flag in flags))


def _read() -> tuple[Fact, ...]:
    facts = []
    for path in sorted((_HERE / "facts").glob("*.toml")):
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["fact"]:
            answer = row.pop("windows")
            facts.append(Fact(windows=tuple(answer) if isinstance(answer, list) else (answer,), **row))
    return tuple(facts)


FACTS: Final = _read()


def counts() -> Counter[str]:
    """Return how many rows each file that was read has given."""
    return Counter(fact.seen.partition(":")[0] for fact in FACTS)
