"""Server: the server's side of one SASL exchange (RFC 4422).

"None" and "empty" differ everywhere: None is no message. "Finished" and "has a message to send" differ as well: bytes
that are returned in the step that finishes go with success.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from saslsspi.accounts.account import Account, AccountLookup, Pending, Question
from saslsspi.accounts.nonces import NonceStore
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Outcome, Side
from saslsspi.engine.hooks.audit import Attempt
from saslsspi.engine.policy import Policy
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, SaslError, UnsupportedFunction
from saslsspi.kinds import check_kind, texts
from saslsspi.sasl import contextual
from saslsspi.sasl.acceptance import check_permitted
from saslsspi.sasl.mechanism import Mechanism, ServerExchange, ServerParameters
from saslsspi.sasl.registry import find_mechanism
from saslsspi.sasl.session import SESSION_TRANSITIONS, Session, SessionEvent, SessionState

__all__ = ["ABANDONED", "Server"]

ABANDONED: Final = "the client gave up before the end"


class Server(Session[ServerExchange]):
    """The server's side of one SASL exchange.

    One thread or task at a time uses it; begin and resume may run in different ones. `again` may be called by any at
    any time, and gives each its own: a server makes one Server for each mechanism and one `again` for each logon.

    Args:
        mechanism: Name of an installed mechanism, or a Mechanism.
        service: The GSSAPI service name of the protocol.
        host: The name or names under which clients know this server; others are refused. A replicated service has a
            second one with serv-name behind it (RFC 2831 section 2.1.2): ("h.example", "h.example/service.example").
        authority: Who may log on; overrides the environment's.
        realm: The realm or realms to offer; None offers none, and the authority says whether a client's is served.
        policy: What to offer and accept; overrides the environment's.
        nonce_store: Where sessions are remembered for subsequent authentication; None offers none.
        bindings: Channel bindings of the TLS channel around the exchange; several where it has several types.
            They say that the mechanisms with -PLUS are offered.
        external_ssf: Security strength factor of that channel; a password is taken in clear only above 1.
        external_identity: Whom that channel has authenticated, by a certificate for one; None: nobody.
        success_data: Whether the carrier can send data with success. Where it cannot, the last data go as one
            more challenge and an empty response finishes.
        max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.

    Attributes:
        layer: The security layer, once done; None where none was negotiated.
    """

    _side = Side.ACCEPT

    __slots__ = ("_attempt", "_environment", "_success_data")

    def __init__(
        self,
        mechanism: str | Mechanism,
        *,
        service: str,
        host: str | Sequence[str],
        authority: AccountLookup | None = None,
        realm: str | Sequence[str] | None = None,
        policy: Policy | None = None,
        nonce_store: NonceStore | None = None,
        bindings: ChannelBindings | Sequence[ChannelBindings] | None = None,
        external_ssf: int = 0,
        external_identity: str | None = None,
        success_data: bool = True,
        max_message: int = 0,
        environment: Environment | None = None,
    ) -> None:
        found = find_mechanism(mechanism)
        if environment is not None:
            check_kind("environment", environment, Environment)
        surroundings = (environment or DEFAULT_ENVIRONMENT).overridden(
            policy=policy, authority=authority, nonce_store=nonce_store
        )
        if bindings is not None:
            check_kind("bindings", bindings, ChannelBindings, list, tuple)
        bound = (bindings,) if isinstance(bindings, ChannelBindings) else tuple(bindings or ())
        parameters = ServerParameters(
            service=service,
            hosts=texts("host", host),
            realms=texts("realm", realm),
            bindings=bound[0] if bound else None,
            environment=surroundings,
            alternate_bindings=bound[1:],
            external_ssf=external_ssf,
            external_identity=external_identity,
            max_message=max_message,
        )
        check_permitted(found, surroundings.policy, external_ssf=external_ssf)
        self._environment = surroundings
        self._success_data = success_data
        super().__init__(
            found, surroundings.policy, external_ssf, _beginner(found, parameters), trace=surroundings.trace
        )

    def _renew(self) -> None:
        super()._renew()
        self._attempt = Attempt(self.mechanism.name, deferred=True, clock=self._environment.clock)

    def step(self, response: bytes | None) -> bytes | None:
        """Take the client's message (None: it sent no initial response) and return the next one, or None.

        Bytes together with done are data that go with success. Questions go to the authority, which may block.

        Raises:
            SaslError: the exchange failed and is dead; the error's token, if any, still goes to the client.
        """
        reply = self.begin(response)
        while isinstance(reply, Pending):
            try:
                account = self._environment.ask(reply.question)
            except Exception as error:
                self._end_over(error)
                raise
            reply = self.resume(account)
        return reply

    def begin(self, response: bytes | None) -> bytes | Pending | None:
        """Like step, but hand a question to the caller, who passes the answer to resume."""
        before = self.state
        state = SESSION_TRANSITIONS[before].get(SessionEvent.MESSAGE)
        if state is None:
            self._refuse_message()
        self.state = state
        if before is SessionState.NEW:
            self._attempt.began = self._environment.clock()
        if before is SessionState.LAST_EMPTY:
            self._take_empty(response)
            if self._trace is not None:
                self._tell(self._trace, response, None)
            return None
        try:
            reply = self._exchange.step(response)
        except Exception as error:
            self._end_over(error, response)
            raise
        return self._follow(reply, response)

    def resume(self, account: Account | None) -> bytes | Pending | None:
        """Go on with the answer to a question: an account, or None for an unknown user."""
        state = SESSION_TRANSITIONS[self.state].get(SessionEvent.ANSWER)
        if state is None:
            raise ContextMisuse("no question is open")
        self.state = state
        try:
            reply = self._exchange.resume(account)
        except Exception as error:
            self._end_over(error)
            raise
        return self._follow(reply)

    def _follow(self, reply: bytes | Question | None, response: bytes | None = None) -> bytes | Pending | None:
        if isinstance(reply, Question):
            self.state = SESSION_TRANSITIONS[self.state][SessionEvent.QUESTION]
            self._attempt.asked(reply)
            if self._trace is not None:
                self._tell(self._trace, response, None)
            return Pending(reply)
        exchange = self._exchange
        if exchange.failure is not None:
            self._attempt.refused(exchange.failure)  # now: it may never send the message that would raise it
        outcome = exchange.outcome
        if outcome is not None:
            if reply is not None and not self._success_data:
                self.state = SESSION_TRANSITIONS[self.state][SessionEvent.LAST_DATA]
            else:
                self._finish(outcome)
        if self._trace is not None:
            self._tell(self._trace, response, reply)
        return reply

    def _finish(self, outcome: Outcome) -> None:
        try:
            super()._finish(outcome)
        except SaslError as error:
            self._attempt.refused(error, outcome)
            raise
        self._attempt.accepted(outcome)

    def abort(self, error: SaslError | None = None) -> None:
        """End the exchange; no further message is taken. One that had begun is recorded as refused.

        Args:
            error: Why; None: the client gave up, or has gone.
        """
        if self.state not in (SessionState.NEW, SessionState.ENDED):
            self._attempt.refused(error or LogonDenied(ABANDONED), self._exchange.outcome)
        super().abort()

    def _end_over(self, error: Exception, received: bytes | None = None) -> None:
        self._attempt.refused(error)
        super()._end_over(error, received)

    def _take_empty(self, response: bytes | None) -> None:
        if response != b"":
            error = InvalidToken("an empty response was due after the last challenge", requirement="RFC2831-2.1.3-11")
            self._attempt.refused(error, self._exchange.outcome)
            self._end_over(error, response)
            raise error
        outcome = self._exchange.outcome
        assert outcome is not None, "the last data are those of an exchange that is done"
        self._finish(outcome)


def _beginner(mechanism: Mechanism, parameters: ServerParameters) -> Callable[[], ServerExchange]:
    if mechanism.package is not None:
        return contextual.prepare_server(mechanism, parameters)
    make = mechanism.server
    if make is None:
        raise UnsupportedFunction(f"{mechanism.name} has no server side")
    return lambda: make(parameters)
