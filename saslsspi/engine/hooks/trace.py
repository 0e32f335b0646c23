"""What a hook learns of each step: names, states and sizes, and what was chosen; never contents.

Environment.trace is called after every step of a security context and of a SASL exchange, on both sides, contexts
inside others first. It runs in the step's own thread or task, and what it raises ends the step: let it keep, and think
later. log_steps is a hook that writes to loggers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from saslsspi.engine.exchange import Outcome, Side
from saslsspi.errors import SaslError
from saslsspi.status import SecurityStatus

__all__ = ["Trace", "TraceEvent", "chosen", "log_steps", "status_name"]

_PACKAGES: Final = logging.getLogger("saslsspi.trace.package")
_MECHANISMS: Final = logging.getLogger("saslsspi.trace.mechanism")


class TraceEvent(NamedTuple):
    """One step of one side.

    Attributes:
        floor: "package" for a security context, "mechanism" for a SASL exchange.
        name: Of the package or mechanism.
        side: Whose step it was.
        number: Counts the steps of the context or exchange from 1; an answer to a question is a step.
        state: Where it stands now: name of a State, or of a SessionState.
        event: What the step came to: CONTINUE, COMPLETE and the like, QUESTION, or the status of an error such as
            SEC_E_LOGON_DENIED.
        received: Octets of the peer's message; None for none.
        sent: Octets of ours; None for none.
        chosen: Of a complete one: what was agreed on, by name.
    """

    floor: str
    name: str
    side: Side
    number: int
    state: str
    event: str
    received: int | None
    sent: int | None
    chosen: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        words = f"{self.name} {self.side.value} step {self.number}: {self.event}, {self.state}"
        sizes = f"in {_size(self.received)}, out {_size(self.sent)}"
        return "; ".join([words, sizes, *(f"{name} {value}" for name, value in self.chosen)])


Trace: TypeAlias = Callable[[TraceEvent], object]


def chosen(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """Return what was agreed on, in words; who logged on is not among them."""
    pairs = (
        ("negotiated", outcome.negotiated),
        ("qop", str(outcome.qop)),
        ("cipher", outcome.cipher),
        ("ssf", str(outcome.ssf)),
        ("bindings", outcome.channel_binding),
        ("tolerances", ",".join(outcome.tolerances)),
    )
    return tuple((name, value) for name, value in pairs if value)


def status_name(error: Exception) -> str:
    """Return the name of an error's status; of a foreign error, the one that the engine makes of it."""
    return error.status.name if isinstance(error, SaslError) else SecurityStatus.SEC_E_INTERNAL_ERROR.name


def log_steps(event: TraceEvent) -> None:
    """Write a step to saslsspi.trace.package or saslsspi.trace.mechanism, at DEBUG."""
    logger = _PACKAGES if event.floor == "package" else _MECHANISMS
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s", event, extra={"step": event})


def _size(octets: int | None) -> str:
    return "nothing" if octets is None else str(octets)
