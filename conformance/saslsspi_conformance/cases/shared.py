"""Cases that several carriers share: one function, registered for each with the requirements that it shows there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from saslsspi_conformance.case import HOLDS, CaseFunction, Observation, Reaction, against_client, against_server
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.outcome import Plays

__all__ = ["SharedCase", "on_clients", "on_servers"]


@dataclass(frozen=True, slots=True)
class SharedCase:
    """A case, and how it is judged everywhere."""

    function: CaseFunction
    plays: Plays
    accept: frozenset[Reaction]
    options: dict[str, bool]

    def carried_by(self, carrier: str, requirements: str) -> None:
        """Register it for a carrier; the ids stand in one text."""
        function = self.function

        def case(run: CaseRun) -> Observation:
            return function(run)

        case.__module__ = function.__module__
        case.__name__ = f"{carrier}_{function.__name__}"
        case.__doc__ = f"{carrier.upper()}: {function.__doc__}"
        register = against_server if self.plays is Plays.SERVER else against_client
        register(*requirements.split(), accept=self.accept, carrier=carrier, **self.options)(case)


def on_servers(
    *, accept: frozenset[Reaction] = HOLDS, lenient: bool = False, destructive: bool = False, **ids: str
) -> Callable[[CaseFunction], SharedCase]:
    """Register a case for each carrier that has ids here; the module of another one's name registers it there."""
    return partial(_register, Plays.SERVER, accept, {"lenient": lenient, "destructive": destructive}, ids)


def on_clients(*, accept: frozenset[Reaction] = HOLDS, **ids: str) -> Callable[[CaseFunction], SharedCase]:
    """Register a case of clients likewise."""
    return partial(_register, Plays.CLIENT, accept, {}, ids)


def _register(
    plays: Plays,
    accept: frozenset[Reaction],
    options: dict[str, bool],
    ids: Mapping[str, str],
    function: CaseFunction,
) -> SharedCase:
    shared = SharedCase(function, plays, accept, options)
    for carrier, requirements in ids.items():
        shared.carried_by(carrier, requirements)
    return shared
