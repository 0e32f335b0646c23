"""SecurityContext: the engine's one state machine, for every package and both sides.

The context owns what packages share: which call is allowed in which state, which attributes may be seen, that a
failed exchange stays dead, and that the old protection stays in force until a reauthentication has completed.
The SSPI functions and the SASL floor call its methods directly.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Self, TypeVar

from saslsspi.accounts.account import Account, AccountLookup, Question
from saslsspi.engine.attributes import SecPkgContext
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Credential, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq, SecurityPackageCapability
from saslsspi.engine.generic import generic_attribute
from saslsspi.engine.hooks.audit import Attempt
from saslsspi.engine.hooks.trace import Trace, TraceEvent, chosen, status_name
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.protection import Protection
from saslsspi.errors import (
    ContextMisuse,
    IncompleteMessage,
    InsufficientMemory,
    InternalError,
    NotProtected,
    SaslError,
    UnsupportedFunction,
)

__all__ = ["TRANSITIONS", "SecurityContext", "State", "next_state"]

Attribute = TypeVar("Attribute", bound=SecPkgContext)


class State(enum.Enum):
    """Where a security context stands."""

    NEW = enum.auto()
    NEGOTIATING = enum.auto()
    ANSWERING = enum.auto()  # a question about an account is open
    ASKING_CREDENTIALS = enum.auto()  # the peer wants a credential: the next call may bring another one
    INTERRUPTED = enum.auto()  # as CONTROLLED, before there is a context
    COMPLETING = enum.auto()
    ESTABLISHED = enum.auto()
    CONTROLLED = enum.auto()  # established, and the next call's token tells the peer what we were told, or refuse
    REAUTHENTICATING = enum.auto()
    REANSWERING = enum.auto()  # as ANSWERING, while the old keys are in force
    FAILED = enum.auto()
    DELETED = enum.auto()

    __hash__ = object.__hash__  # as for package.Side


_TOLD: Final = frozenset({State.CONTROLLED, State.INTERRUPTED})
_END: Final = {Event.REJECT: State.FAILED, Event.DELETE: State.DELETED}
_OPEN: Final = {
    Event.QUESTION: State.ANSWERING,
    Event.CONTINUE: State.NEGOTIATING,
    Event.ASK_COMPLETION: State.COMPLETING,
    Event.ASK_COMPLETION_AND_CONTINUE: State.COMPLETING,
    Event.ASK_CREDENTIALS: State.ASKING_CREDENTIALS,
    Event.COMPLETE: State.ESTABLISHED,
    **_END,
}

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.NEW: {Event.TOKEN: State.NEGOTIATING, **_END},
    State.NEGOTIATING: {Event.TOKEN: State.NEGOTIATING, Event.CONTROL: State.INTERRUPTED, **_OPEN},
    State.ANSWERING: {Event.ANSWER: State.NEGOTIATING, **_END},
    State.ASKING_CREDENTIALS: {Event.TOKEN: State.ASKING_CREDENTIALS, Event.CONTROL: State.INTERRUPTED, **_OPEN},
    State.INTERRUPTED: {Event.TOKEN: State.NEGOTIATING, Event.CONTROL: State.INTERRUPTED, **_END},
    State.COMPLETING: {Event.TOKEN: State.COMPLETING, **_OPEN},
    State.ESTABLISHED: {Event.TOKEN: State.REAUTHENTICATING, Event.CONTROL: State.CONTROLLED, **_END},
    State.CONTROLLED: {Event.TOKEN: State.ESTABLISHED, Event.CONTROL: State.CONTROLLED, **_END},
    State.REAUTHENTICATING: {
        **_OPEN,
        Event.TOKEN: State.REAUTHENTICATING,
        Event.QUESTION: State.REANSWERING,
        Event.CONTINUE: State.REAUTHENTICATING,
    },
    State.REANSWERING: {Event.ANSWER: State.REAUTHENTICATING, **_END},
    State.FAILED: {Event.DELETE: State.DELETED},
    State.DELETED: {},
}


_CONNECTION: Final = SecurityPackageCapability.SECPKG_FLAG_CONNECTION
_STREAM: Final = SecurityPackageCapability.SECPKG_FLAG_STREAM
_STYLES: Final[Mapping[Side, tuple[tuple[int, int], ...]]] = {
    Side.INITIATE: ((_CONNECTION, IscReq.ISC_REQ_CONNECTION), (_STREAM, IscReq.ISC_REQ_STREAM)),
    Side.ACCEPT: ((_CONNECTION, AscReq.ASC_REQ_CONNECTION), (_STREAM, AscReq.ASC_REQ_STREAM)),
}


def next_state(state: State, event: Event) -> State:
    """Return where event leads from state; raise ContextMisuse where it leads nowhere."""
    if (after := TRANSITIONS[state].get(event)) is None:
        raise ContextMisuse(f"{event.name} in state {state.name}")
    return after


class SecurityContext:
    """A security context, initiating or accepting.

    One thread at a time; once it is established, one may seal while another unseals.

    Attributes:
        state: Where it stands.
        outcome: What the exchange ended in; None before it has completed and after delete.
        attempt: Accepting: what becomes of this attempt to log on, for the audit log; None inside another context, and
            where the holder keeps the record.
    """

    __slots__ = (
        "_credential", "_environment", "_exchange", "_request", "_steps", "attempt", "outcome", "package", "side",
        "state",
    )  # fmt: skip

    def __init__(self, package: AnyPackage, credential: Credential, side: Side, environment: Environment) -> None:
        self.package = package
        self.side = side
        self.state = State.NEW
        self.outcome: Outcome | None = None
        self._credential: Credential | None = credential
        self._environment = environment
        self._request: Request | None = None  # all that the calls of this exchange have asked
        self._exchange: Exchange | None = None  # the first call's request says what it is to be
        self._steps = 0  # counted where there is a trace
        self.attempt: Attempt | None = None

    @classmethod
    def imported(cls, package: AnyPackage, side: Side, exchange: Exchange, requested: int) -> Self:
        """Return an established context whose exchange another process has completed."""
        context = cls.__new__(cls)
        context.package, context.side, context.state = package, side, State.ESTABLISHED
        context.outcome, context._exchange = exchange.outcome, exchange
        context._credential, context._environment = None, DEFAULT_ENVIRONMENT
        context._request = Request(requested=requested)
        context._steps, context.attempt = 0, None
        return context

    def again(self) -> SecurityContext:
        """Return a new context with the same credential."""
        if self._credential is None:
            raise UnsupportedFunction("an imported context has no credential for another one")
        return SecurityContext(self.package, self._credential, self.side, self._environment)

    def _made(self, request: Request) -> Exchange:
        if self._credential is None:
            raise UnsupportedFunction("an imported context is not authenticated anew")
        begin = self.package.initiate if self.side is Side.INITIATE else self.package.accept
        return begin(self._credential, self._environment, request)

    def prepare(self, request: Request) -> None:
        """Make the exchange before its first step, whose request this is, so that it can be asked early attributes."""
        if self.state is State.NEW and self._exchange is None:
            self._exchange = self._made(request)

    def advance(self, token: bytes, request: Request) -> StepResult:
        """Take the peer's token through one step, asking the environment's authority where the package has a question.

        Raises:
            SaslError: the exchange failed; the context is dead and only delete is left.
        """
        reply = self.begin(token, request)
        while isinstance(reply, Question):
            reply = self._answer(reply)
        return reply

    def begin(self, token: bytes, request: Request) -> StepResult | Question:
        """Like advance, but hand a question of the package to the caller, who answers it with resume."""
        before = self.state
        after = TRANSITIONS[before].get(Event.TOKEN)
        if after is None:
            raise ContextMisuse(f"a context in state {before.name} takes no token now")
        if before in _TOLD and self._exchange is not None:
            self.state, told = after, self._exchange.controlled()
            if told is not None:
                return StepResult(Event.COMPLETE, told)
            before, after = after, TRANSITIONS[after][Event.TOKEN]
        if before is State.ESTABLISHED:
            self.package.reauthenticate(self.side)
            self._exchange = self._made(request)
            self._request = request
            if self.attempt is not None:
                self.attempt = self.attempt.again()
        elif request is not self._request:
            request = self._request = request if self._request is None else self._request.joined(request)
        self.state = after
        exchange = self._exchange
        try:
            if exchange is None:
                exchange = self._exchange = self._made(request)
            reply = exchange.step(token, request)
        except Exception as error:
            self._end_over(error, token)
            raise
        return self._follow(reply, token)

    def resume(self, account: Account | None) -> StepResult | Question:
        """Go on with the answer to the question that begin or resume handed out."""
        exchange = self._exchange
        state = TRANSITIONS[self.state].get(Event.ANSWER)
        if state is None:
            raise ContextMisuse("no question is open")
        self.state = state
        assert exchange is not None, "who asks is an exchange"
        try:
            reply = exchange.resume(account)
        except Exception as error:
            self._end_over(error)
            raise
        return self._follow(reply)

    def _end_over(self, error: Exception, token: bytes | None = None) -> None:
        """End the exchange over an error; raise one of ours where the package raised another."""
        if isinstance(error, IncompleteMessage):
            return  # nothing was consumed: the same token comes again, longer
        self._reject()
        if self.attempt is not None:
            self.attempt.refused(error)
        if self._environment.trace is not None:
            self._tell(self._environment.trace, token, error)
        if isinstance(error, MemoryError):
            raise InsufficientMemory(f"{self.package.info.name} ran out of memory") from error
        if not isinstance(error, SaslError):
            raise InternalError(f"{self.package.info.name} failed with {type(error).__name__}") from error

    def _follow(self, reply: StepResult | Question, token: bytes | None = None) -> StepResult | Question:
        """Move to the state where a step leads."""
        if isinstance(reply, Question):
            self.state = TRANSITIONS[self.state][Event.QUESTION]
            if self.attempt is not None:
                self.attempt.asked(reply)
            if self._environment.trace is not None:
                self._tell(self._environment.trace, token, reply)
            return reply
        event = reply.event
        after = TRANSITIONS[self.state].get(event)
        self.state = next_state(self.state, event) if after is None else after
        if event is Event.COMPLETE:
            assert self._exchange is not None
            self.outcome = self._exchange.outcome
            assert self.outcome is not None, "a package completes with an outcome"
            if self.attempt is not None and not self.attempt.deferred:
                self.attempt.accepted(self.outcome)
        if self._environment.trace is not None:
            self._tell(self._environment.trace, token, reply)
        return reply

    def _tell(self, trace: Trace, token: bytes | None, reply: StepResult | Question | Exception) -> None:
        """Tell the hook of a step: names and sizes."""
        self._steps += 1
        sent = reply.token if isinstance(reply, StepResult) else getattr(reply, "token", None)
        if isinstance(reply, StepResult):
            event = reply.event.name
        else:
            event = Event.QUESTION.name if isinstance(reply, Question) else status_name(reply)
        trace(
            TraceEvent(
                "package", self.package.info.name, self.side, self._steps, self.state.name, event,
                None if token is None else len(token), None if sent is None else len(sent),
                () if self.outcome is None else chosen(self.outcome),
            )
        )  # fmt: skip

    def _answer(self, question: Question) -> StepResult | Question:
        try:
            account = self._environment.ask(question)
        except SaslError as error:
            assert self._exchange is not None, "who asks is an exchange"
            self._exchange.unanswered(error)
            self._end_over(error)
            raise
        return self.resume(account)

    def _reject(self) -> None:
        self.state = next_state(self.state, Event.REJECT)
        self._exchange = None
        self.outcome = None

    @property
    def authority(self) -> AccountLookup | None:
        """Who is asked about accounts; None where the caller answers."""
        return self._environment.authority

    @property
    def requested(self) -> int:
        """The flags that the calls of this exchange have asked for together."""
        return 0 if self._request is None else self._request.requested

    @property
    def flags(self) -> int:
        """The attributes of the context, in the bits of its side; 0 before the final success."""
        if self.outcome is None:
            return 0
        # How tokens and messages are carried is the caller's to say, where the package can serve it.
        capabilities = self.package.info.capabilities
        styles = sum(flag for capability, flag in _STYLES[self.side] if capabilities & capability)
        return self.outcome.flags | (self.requested & styles)

    def complete(self, token: bytes) -> bytes:
        """CompleteAuthToken: return the finished token after a step whose event was ASK_COMPLETION."""
        if self.state is not State.COMPLETING or self._exchange is None:
            raise ContextMisuse(f"a context in state {self.state.name} has no token to complete")
        try:
            step = self._exchange.complete(token)
        except Exception as error:
            self._end_over(error)
            raise
        self._follow(step)
        return step.token or b""

    def renew(self, credential: Credential) -> None:
        """Go on with another credential where the last step asked for one; anywhere else nothing happens."""
        if self.state is State.ASKING_CREDENTIALS and self._exchange is not None and credential is not self._credential:
            self._credential = credential
            self._exchange.renew_credential(credential)

    def control(self, token: bytes) -> None:
        """ApplyControlToken: tell a context something; the next step's token tells the peer."""
        state = TRANSITIONS[self.state].get(Event.CONTROL)
        if state is None or self._exchange is None:
            raise ContextMisuse(f"a context in state {self.state.name} takes no control token")
        self._exchange.control(token)
        self.state = state

    def owes_answer(self) -> None:
        """The peer of a stream has asked for something that the next step's token refuses."""
        self.state = next_state(self.state, Event.CONTROL)

    def protection(self) -> Protection:
        """Return what protects messages.

        Raises:
            ContextMisuse: the context is not established.
            NotProtected: it was established without signing and sealing.
        """
        if self.outcome is None:
            raise ContextMisuse(f"a context in state {self.state.name} protects no messages")
        if self.outcome.protection is None:
            raise NotProtected("neither integrity nor confidentiality was negotiated; ask for it with context_req")
        return self.outcome.protection

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Protection:
        """Return what protects messages under a layer agreed on after the exchange; see Exchange.layer."""
        if self.outcome is None or self._exchange is None:
            raise ContextMisuse(f"a context in state {self.state.name} protects no messages")
        return self._exchange.layer(encrypt=encrypt, max_send=max_send, max_receive=max_receive)

    def recorded(self, how: str = "", *, deferred: bool = False) -> None:
        """Leave a record of this attempt in the audit log, where this is a side that accepts.

        Args:
            how: What it is called there; "" is the package's name.
            deferred: Whether the holder calls accept, since there is more to check.
        """
        if self.side is Side.ACCEPT and self.outcome is None:
            self.attempt = Attempt(how or self.package.info.name, deferred=deferred, clock=self._environment.clock)

    def accept(self) -> None:
        """Say that the holder takes what the exchange has ended in."""
        if self.attempt is not None and self.outcome is not None:
            self.attempt.accepted(self.outcome)

    def fail(self, error: Exception | None = None) -> None:
        """End an established context: its stream can no longer be trusted, or its holder refuses it for an error."""
        if self.attempt is not None and error is not None:
            self.attempt.refused(error, self.outcome)
        self._reject()

    def delete(self) -> None:
        """Free everything; the context answers no further call."""
        self.state = next_state(self.state, Event.DELETE)
        self._exchange = None
        self.outcome = None

    def query(self, kind: type[Attribute]) -> Attribute:
        """Return an attribute.

        Raises:
            ContextMisuse: it can be asked for only after the final success.
            UnsupportedFunction: this package has no such attribute.
        """
        if self.state in (State.FAILED, State.DELETED):
            raise ContextMisuse(f"a context in state {self.state.name} has no attributes")
        outcome = self.outcome
        if outcome is None and not kind.early:
            raise ContextMisuse(f"{kind.__name__} is known only after the final success")
        value = self._exchange.attribute(kind) if self._exchange is not None else None
        if value is None:
            value = generic_attribute(kind, self.package.info, outcome, self.flags)
        if value is None:
            raise UnsupportedFunction(f"{self.package.info.name} does not offer {kind.__name__}")
        return value
