"""What both sides of a SASL exchange have in common (RFC 4422): where it stands, its outcome, and its layer.

Where a session stands is one SessionState, and SESSION_TRANSITIONS is all that can happen to it. Whether it is done
follows from that; whether the mechanism is, from its exchange's outcome.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic, NoReturn, Self, TypeVar

from saslsspi.engine.exchange import Event, Outcome, Side
from saslsspi.engine.hooks.trace import Trace, TraceEvent, chosen, status_name
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import Security, check_outcome, security_of
from saslsspi.errors import ContextMisuse, InternalError, InvalidToken, SaslError
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import ClientExchange, Mechanism, ServerExchange

__all__ = ["SESSION_TRANSITIONS", "Session", "SessionEvent", "SessionState"]


class SessionState(enum.Enum):
    """Where a session stands."""

    NEW = enum.auto()
    RUNNING = enum.auto()
    ANSWERING = enum.auto()  # a question about an account is open
    LAST_EMPTY = enum.auto()  # a server has sent its last data as a challenge, and an empty response is due
    DONE = enum.auto()
    ENDED = enum.auto()  # failed, aborted, or spoken to after it was done

    __hash__ = object.__hash__  # as for Side


class SessionEvent(enum.Enum):
    """What happens to a session."""

    MESSAGE = enum.auto()  # the peer's message, or none where the session begins
    QUESTION = enum.auto()
    ANSWER = enum.auto()
    LAST_DATA = enum.auto()
    SUCCESS = enum.auto()
    END = enum.auto()

    __hash__ = object.__hash__  # as for Side


SESSION_TRANSITIONS: Final[Mapping[SessionState, Mapping[SessionEvent, SessionState]]] = {
    SessionState.NEW: {
        SessionEvent.MESSAGE: SessionState.RUNNING,
        SessionEvent.END: SessionState.ENDED,
    },
    SessionState.RUNNING: {
        SessionEvent.MESSAGE: SessionState.RUNNING,
        SessionEvent.QUESTION: SessionState.ANSWERING,
        SessionEvent.LAST_DATA: SessionState.LAST_EMPTY,
        SessionEvent.SUCCESS: SessionState.DONE,
        SessionEvent.END: SessionState.ENDED,
    },
    SessionState.ANSWERING: {
        SessionEvent.ANSWER: SessionState.RUNNING,
        SessionEvent.END: SessionState.ENDED,
    },
    SessionState.LAST_EMPTY: {
        SessionEvent.MESSAGE: SessionState.RUNNING,
        SessionEvent.END: SessionState.ENDED,
    },
    SessionState.DONE: {SessionEvent.END: SessionState.ENDED},
    SessionState.ENDED: {SessionEvent.END: SessionState.ENDED},
}


_EVENTS: Final = {SessionState.DONE: Event.COMPLETE.name, SessionState.ANSWERING: Event.QUESTION.name}

_Ex = TypeVar("_Ex", ClientExchange, ServerExchange)


class Session(Generic[_Ex]):
    """What both sides have in common: state, outcome and its check, and that a failed exchange is dead.

    Attributes:
        mechanism: The description of what is spoken.
        state: Where the session stands.
        layer: The security layer, once done; None where none was negotiated.
    """

    __slots__ = (
        "_exchange", "_external_ssf", "_fresh", "_outcome", "_policy", "_steps", "_trace",
        "layer", "mechanism", "state",
    )  # fmt: skip

    _side: ClassVar[Side]

    def __init__(
        self,
        mechanism: Mechanism,
        policy: Policy,
        external_ssf: int,
        fresh: Callable[[], _Ex],
        *,
        trace: Trace | None = None,
    ) -> None:
        self.mechanism = mechanism
        self._fresh: Callable[[], _Ex] = fresh
        self._policy = policy
        self._external_ssf = external_ssf
        self._trace = trace
        self._renew()

    def _renew(self) -> None:
        self.state = SessionState.NEW
        self._steps = 0  # counted where there is a trace
        self.layer: Layer | None = None
        self._outcome: Outcome | None = None
        self._exchange: _Ex = self._fresh()

    def again(self) -> Self:
        """Return a session for another exchange with the same credentials and parameters.

        Credentials are not acquired anew. What a subclass has added to itself is copied as it is, and __init__ does
        not run again. Any thread may call this at any time: the sessions share nothing that a step changes but what
        the credential remembers, and that is guarded.
        """
        # What copy.copy does with an object that has slots, without its three calls.
        kind = type(self)
        other = kind.__new__(kind)
        state: Any = object.__reduce_ex__(self, 2)[2]
        fields, slots = state
        if fields:
            other.__dict__.update(fields)
        for name, value in slots.items():
            setattr(other, name, value)
        other._renew()
        return other

    @property
    def done(self) -> bool:
        """Whether the exchange has succeeded on this side."""
        return self.state is SessionState.DONE

    @property
    def security(self) -> Security:
        """What was negotiated; raises ContextMisuse before the exchange is done."""
        if self._outcome is None:
            raise ContextMisuse("the exchange has not succeeded, so nothing was negotiated")
        return security_of(
            self._outcome,
            mechanism=self.mechanism.name,
            package=self.mechanism.package or "",
            external_ssf=self._external_ssf,
        )

    def abort(self) -> None:
        """End the exchange; no further message is taken."""
        self._end()

    def _end(self) -> None:
        self.state = SESSION_TRANSITIONS[self.state][SessionEvent.END]
        self._outcome = None
        self.layer = None

    def _finish(self, outcome: Outcome) -> None:
        try:
            check_outcome(self.mechanism.name, outcome, self._policy)
        except SaslError:
            self._end()
            raise
        self._outcome = outcome
        self.state = SESSION_TRANSITIONS[self.state][SessionEvent.SUCCESS]
        if outcome.protection is not None and outcome.ssf:
            self.layer = Layer(outcome.protection)

    def _tell(self, trace: Trace, received: bytes | None, sent: bytes | None, error: Exception | None = None) -> None:
        """Tell the hook of a step: names and sizes."""
        self._steps += 1
        outcome = self._outcome
        trace(
            TraceEvent(
                floor="mechanism",
                name=self.mechanism.name,
                side=self._side,
                number=self._steps,
                state=self.state.name,
                event=_EVENTS.get(self.state, Event.CONTINUE.name) if error is None else status_name(error),
                received=None if received is None else len(received),
                sent=None if sent is None else len(sent),
                chosen=() if outcome is None else chosen(outcome),
            )
        )

    def _end_over(self, error: Exception, received: bytes | None = None) -> None:
        """End the exchange over an error; raise one of ours where a mechanism or an authority raised another."""
        self._end()
        if self._trace is not None:
            self._tell(self._trace, received, getattr(error, "token", None), error)
        if not isinstance(error, SaslError):
            raise InternalError(f"{self.mechanism.name} failed with {type(error).__name__}") from error

    def _refuse_message(self) -> NoReturn:
        """Say why no message is due."""
        if self.state is SessionState.DONE:
            # RFC 4422 section 3.4: a message after completion is the peer's error, and ends what was reached.
            self._end()
            raise InvalidToken(f"{self.mechanism.name} is complete: no message is due", requirement="RFC4422-3.4-03")
        if self.state is SessionState.ANSWERING:
            raise ContextMisuse("the answer to a question is due, and no message: call resume")
        raise ContextMisuse("the exchange has ended and takes no further message")
