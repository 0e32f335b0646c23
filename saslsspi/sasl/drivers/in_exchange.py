"""The layer that is agreed on in the exchange: the tokens are SASL's messages, the outcome is the mechanism's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import flags_for
from saslsspi.sasl.mechanism import ClientExchange, Driver, First, ServerExchange

__all__ = ["IN_EXCHANGE", "ContextClient", "ContextServer", "Settlement"]

Settlement = Callable[[Outcome | None], Outcome | None]
"""Makes the mechanism's outcome of the context's."""


class ContextClient(ClientExchange):
    """The client's side: what a step of the context leaves of a message comes again, with what follows it."""

    __slots__ = ("_context", "_request", "_settle", "_untaken", "outcome")

    def __init__(self, context: SecurityContext, request: Request, settle: Settlement | None = None) -> None:
        self.outcome: Outcome | None = None
        self._untaken = b""
        self._context = context
        self._request = request
        self._settle = settle

    def step(self, challenge: bytes | None) -> bytes | None:
        """See ClientExchange.step."""
        token = self._untaken + (challenge or b"")
        step = self._context.advance(token, self._request)
        self._untaken = token[len(token) - step.extra :] if step.extra else b""
        if step.event is Event.COMPLETE:
            outcome = self._context.outcome
            self.outcome = outcome if self._settle is None else self._settle(outcome)
        return step.token


class ContextServer(ServerExchange):
    """The server's side."""

    __slots__ = ("_awaits_first", "_context", "_request", "_settle", "outcome")

    def __init__(
        self, context: SecurityContext, request: Request, first: First, settle: Settlement | None = None
    ) -> None:
        self.outcome: Outcome | None = None
        self._context = context
        self._request = request
        self._awaits_first = first is First.CLIENT
        self._settle = settle

    def step(self, response: bytes | None) -> bytes | Question | None:
        """See ServerExchange.step."""
        # RFC 4422 section 3: where the client goes first and has sent no initial response, "the server sends an empty
        # challenge".
        awaits_first, self._awaits_first = self._awaits_first, False
        if awaits_first and response is None:
            return b""
        return self._follow(self._context.begin(response or b"", self._request))

    def resume(self, account: Account | None) -> bytes | Question | None:
        """See ServerExchange.resume."""
        return self._follow(self._context.resume(account))

    def _follow(self, reply: StepResult | Question) -> bytes | Question | None:
        if isinstance(reply, Question):
            return reply
        if reply.event is Event.COMPLETE:
            outcome = self._context.outcome
            self.outcome = outcome if self._settle is None else self._settle(outcome)
        return reply.token


class _InExchange(Driver):
    __slots__ = ()
    names_replica = True

    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        return flags_for(policy, side, stream=package.takes_records)

    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        return ContextClient(context, request)

    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        return ContextServer(context, request, first)


IN_EXCHANGE: Final = _InExchange()
"""Qop, cipher and sizes travel in the package's own messages (RFC 2831 section 2.1)."""
