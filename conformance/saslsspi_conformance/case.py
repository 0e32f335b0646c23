"""Cases: each names the requirements it shows, plays the peer against a target, and says which outcomes are right.

    @against_server("RFC2831-2.1.2-04", accept=REFUSAL)
    def response_without_username(run: CaseRun) -> Observation:
        "A response without username does not authenticate."
        return ScriptedDigestClient(run).log_on(without="username")

A case is a function of a CaseRun, on which it opens as many connections as it needs. It returns what it has seen; the
outcome is right when it is in the accepted set. A case that has nothing to test raises NotApplicable with the reason.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from saslsspi_conformance import catalogue
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.catalogue import Basis, Requirement, RequirementLevel
from saslsspi_conformance.outcome import (
    DELIVERED,
    HOLDS,
    REFUSAL,
    SUCCESS,
    CaseError,
    NotApplicable,
    Observation,
    Plays,
    Reaction,
    holds,
)

__all__ = [
    "DELIVERED",
    "HOLDS",
    "REFUSAL",
    "SUCCESS",
    "Case",
    "CaseError",
    "NotApplicable",
    "Observation",
    "Plays",
    "Reaction",
    "against_client",
    "against_server",
    "all_cases",
    "holds",
]


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: Module and function: `rfc2831.response.without_username`.
        requirements: The ids, the one that gives it its section first.
        target: Which side is tested.
        accept: The outcomes that are right.
        run: The function.
        title: What is right, in a sentence.
        destructive: Whether the target counts it as a failed logon.
        carrier: The protocol that it is about, "ldap" for one; "" is any.
        lenient: Whether its failure is a warning: the target takes more than it has to.
        configured: Whether the target's configuration decides, so that somebody else's fails with a warning.
    """

    name: str
    requirements: tuple[str, ...]
    target: Plays
    accept: frozenset[Reaction]
    run: Callable[[CaseRun], Observation]
    title: str
    destructive: bool
    carrier: str
    lenient: bool
    configured: bool = False

    @property
    def rules(self) -> tuple[Requirement, ...]:
        """The requirements, as records."""
        return tuple(catalogue.load()[identifier] for identifier in self.requirements)

    @property
    def section(self) -> str:
        """The section of the first requirement, such as "2.1.2 Step Two (digest-response)"."""
        return self.rules[0].section

    @property
    def binding(self) -> bool:
        """Whether a requirement binds like MUST and stands in the text; the failure of another is a warning."""
        return not self.lenient and any(rule.level in MUST_LEVELS and rule.basis is Basis.TEXT for rule in self.rules)

    @property
    def recommended(self) -> bool:
        """Whether a requirement stands in the text and is a SHOULD: --strict makes its failure count."""
        return any(rule.level in SHOULD_LEVELS and rule.basis is Basis.TEXT for rule in self.rules)


MUST_LEVELS: Final = frozenset({RequirementLevel.MUST, RequirementLevel.MUST_NOT, RequirementLevel.DEF})
SHOULD_LEVELS: Final = frozenset({RequirementLevel.SHOULD, RequirementLevel.SHOULD_NOT})

CaseFunction = Callable[[CaseRun], Observation]
_CASES: Final[dict[str, Case]] = {}


def _register(
    target: Plays,
    requirements: tuple[str, ...],
    accept: frozenset[Reaction],
    destructive: bool | None,
    carrier: str,
    lenient: bool = False,
    configured: bool = False,
) -> Callable[[CaseFunction], CaseFunction]:
    def add(function: CaseFunction) -> CaseFunction:
        name = f"{function.__module__.partition('.cases.')[2]}.{function.__name__}"
        assert name not in _CASES, f"two cases are named {name}"
        unknown = [identifier for identifier in requirements if identifier not in catalogue.load()]
        assert requirements, f"{name} names no requirement"
        assert not unknown, f"{name} names {unknown}"
        title = " ".join((function.__doc__ or "").split())
        assert title, f"{name} says nothing about itself"
        costs = target is Plays.SERVER and accept == REFUSAL if destructive is None else destructive
        _CASES[name] = Case(name, requirements, target, accept, function, title, costs, carrier, lenient, configured)
        return function

    return add


def against_server(
    *requirements: str,
    accept: frozenset[Reaction] = HOLDS,
    destructive: bool | None = None,
    carrier: str = "",
    lenient: bool = False,
    configured: bool = False,
) -> Callable[[CaseFunction], CaseFunction]:
    """Register a case that plays the client.

    Args:
        requirements: The ids of what it shows.
        accept: The outcomes that are right.
        destructive: Whether it costs a failed logon; None: where only a refusal is right.
        carrier: The protocol that it is about; "" is any.
        lenient: Whether its failure is a warning.
        configured: Whether it is one where the target is somebody else's, whose configuration decides.
    """
    return _register(Plays.SERVER, requirements, accept, destructive, carrier, lenient, configured)


def against_client(
    *requirements: str,
    accept: frozenset[Reaction] = HOLDS,
    carrier: str = "",
    lenient: bool = False,
    configured: bool = False,
) -> Callable[[CaseFunction], CaseFunction]:
    """Register a case that plays the server; the arguments are those of against_server."""
    return _register(Plays.CLIENT, requirements, accept, False, carrier, lenient, configured)


def all_cases() -> Mapping[str, Case]:
    """Return every case by its name, in the order of the modules and of their text."""
    cases = importlib.import_module("saslsspi_conformance.cases")  # above this room: not known before it is asked for
    for module in sorted(pkgutil.walk_packages(cases.__path__, f"{cases.__name__}."), key=lambda module: module.name):
        importlib.import_module(module.name)
    return dict(sorted(_CASES.items(), key=lambda item: item[0].rpartition(".")[0]))
