"""Client and Server: one SASL exchange each, from the initial response to the security layer (RFC 4422).

"None" and "empty" differ everywhere: None is no message. "Finished" and "has a message to send" differ as well: a
message that is returned in the step that finishes still goes to the peer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from saslsspi.accounts.account import Account, Pending, Question
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.nonces import NonceStore
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import Security, check_outcome, security_of
from saslsspi.errors import (
    ContextMisuse,
    InternalError,
    InvalidParameter,
    InvalidToken,
    MutualAuthFailed,
    SaslError,
    UnsupportedFunction,
)
from saslsspi.sasl import contextual
from saslsspi.sasl.acceptance import check_permitted
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import ClientExchange, ClientParameters, Mechanism, ServerExchange, ServerParameters
from saslsspi.sasl.registry import find_mechanism

__all__ = ["Client", "Pending", "Security", "Server"]


class _Session:
    """What both sides have in common: the outcome, its check, and that a failed exchange is dead."""

    __slots__ = ("_ended", "_outcome", "_policy", "layer", "mechanism")

    def __init__(self, mechanism: Mechanism, policy: Policy) -> None:
        self.mechanism = mechanism
        self.layer: Layer | None = None
        self._policy = policy
        self._outcome: Outcome | None = None
        self._ended = False

    @property
    def done(self) -> bool:
        """Whether the exchange has succeeded on this side."""
        return self._outcome is not None

    @property
    def security(self) -> Security:
        """What was negotiated; raises ContextMisuse before the exchange is done."""
        if self._outcome is None:
            raise ContextMisuse("the exchange has not succeeded, so nothing was negotiated")
        return security_of(self._outcome, mechanism=self.mechanism.name, package=self.mechanism.package or "")

    def abort(self) -> None:
        """End the exchange; no further message is taken."""
        self._ended = True
        self._outcome = None
        self.layer = None

    def _finish(self, outcome: Outcome | None) -> None:
        assert outcome is not None, "a mechanism that is done has an outcome"
        try:
            check_outcome(self.mechanism.name, outcome, self._policy)
        except SaslError:
            self.abort()
            raise
        self._outcome = outcome
        self._ended = True
        if outcome.protection is not None and outcome.ssf:
            self.layer = Layer(outcome.protection)

    def _end_over(self, error: Exception) -> None:
        """End the exchange over an error; raise one of ours where a mechanism or an authority raised another."""
        self.abort()
        if not isinstance(error, SaslError):
            raise InternalError(f"{self.mechanism.name} failed with {type(error).__name__}") from error

    def _check_open(self) -> None:
        if self._outcome is not None:
            # RFC 4422 section 3.4: a message after completion is the peer's error, and ends what was reached.
            self.abort()
            raise InvalidToken(f"{self.mechanism.name} is complete: no message is due", requirement="RFC4422-3.4-03")
        if self._ended:
            raise ContextMisuse("the exchange has ended and takes no further message")


class Client(_Session):
    """The client's side of one SASL exchange.

    Args:
        mechanism: Name of an installed mechanism, or a Mechanism.
        service: The GSSAPI service name of the protocol: ldap, imap, smtp, pop.
        host: The server's fully qualified name.
        credentials: What to authenticate with.
        server_name: Name of a replicated service, when it is not the host's.
        authzid: The identity to act as, "" for one's own.
        policy: What to accept; overrides the environment's.
        bindings: Channel bindings of the TLS channel around the exchange.
        external_ssf: Security strength factor of that channel; a password is sent in clear only above 1.
        max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.

    Attributes:
        layer: The security layer, once done; None where none was negotiated.
    """

    __slots__ = ("_begin", "_exchange")

    def __init__(
        self,
        mechanism: str | Mechanism,
        *,
        service: str,
        host: str,
        credentials: Credentials | None = None,
        server_name: str | None = None,
        authzid: str = "",
        policy: Policy | None = None,
        bindings: ChannelBindings | None = None,
        external_ssf: int = 0,
        max_message: int = 0,
        environment: Environment | None = None,
    ) -> None:
        found = find_mechanism(mechanism) if isinstance(mechanism, str) else mechanism
        surroundings = environment or DEFAULT_ENVIRONMENT
        if policy is not None:
            surroundings = replace(surroundings, policy=policy)
        check_permitted(found, surroundings.policy, external_ssf=external_ssf)
        if "\0" in authzid:
            raise InvalidParameter("an authorization identity holds no NUL", requirement="RFC4422-3.4.1-01")
        parameters = ClientParameters(
            service=service,
            host=host,
            server_name=server_name,
            credentials=credentials,
            authzid=authzid,
            bindings=bindings,
            environment=surroundings,
            external_ssf=external_ssf,
            max_message=max_message,
        )
        super().__init__(found, surroundings.policy)
        self._begin = _client_beginner(found, parameters)
        self._exchange = self._begin()

    def again(self) -> Self:
        """Return a client for another exchange with the same credentials and parameters.

        The credentials are not acquired anew, and a mechanism that can takes the last session up again with an
        initial response (RFC 2831 section 2.2).
        """
        other = type(self).__new__(type(self))
        _Session.__init__(other, self.mechanism, self._policy)
        other._begin = self._begin
        other._exchange = self._begin()
        return other

    def start(self) -> bytes | None:
        """Return the initial response, or None where the mechanism has none."""
        return self._advance(None)

    def step(self, challenge: bytes) -> bytes | None:
        """Answer a challenge. None is no message; a carrier that must answer sends an empty one.

        Raises:
            SaslError: the exchange failed and is dead; cancel it in the carrier.
        """
        return self._advance(challenge)

    def succeed(self, data: bytes | None = None) -> None:
        """Take the carrier's report of success, with the data that came with it (None: none).

        Raises:
            MutualAuthFailed: the server reports success before the mechanism is satisfied. Do not trust it.
        """
        if data or not self._ended:
            self._check_open()
        if data is not None and not self._ended and self._advance(data) is not None:
            self.abort()
            raise MutualAuthFailed("the server reports success in the middle of the exchange")
        if not self.done and not self._ended:
            try:
                self._exchange.succeed()
            except Exception as error:
                self._end_over(error)
                raise
            if self._exchange.done:
                self._finish(self._exchange.outcome)
        if not self.done:
            self.abort()
            raise MutualAuthFailed(
                f"the server reports success, but {self.mechanism.name} is not complete: the server has proved nothing"
            )

    def _advance(self, challenge: bytes | None) -> bytes | None:
        if self._ended:
            self._check_open()
        exchange = self._exchange
        try:
            response = exchange.step(challenge)
        except Exception as error:
            self._end_over(error)
            raise
        if exchange.done:
            self._finish(exchange.outcome)
        return response


class Server(_Session):
    """The server's side of one SASL exchange.

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

    __slots__ = ("_awaits_empty", "_begin", "_environment", "_exchange", "_success_data")

    def __init__(
        self,
        mechanism: str | Mechanism,
        *,
        service: str,
        host: str | Sequence[str],
        authority: Authority | None = None,
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
        found = find_mechanism(mechanism) if isinstance(mechanism, str) else mechanism
        surroundings = environment or DEFAULT_ENVIRONMENT
        surroundings = replace(
            surroundings,
            authority=surroundings.authority if authority is None else authority,
            policy=surroundings.policy if policy is None else policy,
            nonce_store=surroundings.nonce_store if nonce_store is None else nonce_store,
        )
        check_permitted(found, surroundings.policy, external_ssf=external_ssf)
        bound = (bindings,) if isinstance(bindings, ChannelBindings) else tuple(bindings or ())
        parameters = ServerParameters(
            service=service,
            hosts=(host,) if isinstance(host, str) else tuple(host),
            realms=(realm,) if isinstance(realm, str) else tuple(realm or ()),
            bindings=bound[0] if bound else None,
            environment=surroundings,
            alternate_bindings=bound[1:],
            external_ssf=external_ssf,
            external_identity=external_identity,
            max_message=max_message,
        )
        super().__init__(found, surroundings.policy)
        self._begin = _server_beginner(found, parameters)
        self._start(surroundings, success_data)

    def _start(self, environment: Environment, success_data: bool) -> None:
        self._environment = environment
        self._success_data = success_data
        self._awaits_empty = False
        self._exchange = self._begin()

    def again(self) -> Self:
        """Return a server for another exchange with the same parameters; cheaper than making one anew."""
        other = type(self).__new__(type(self))
        _Session.__init__(other, self.mechanism, self._policy)
        other._begin = self._begin
        other._start(self._environment, self._success_data)
        return other

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
        if self._ended:
            self._check_open()
        if self._awaits_empty:
            self._take_empty(response)
            return None
        try:
            reply = self._exchange.step(response)
        except Exception as error:
            self._end_over(error)
            raise
        return self._follow(reply)

    def resume(self, account: Account | None) -> bytes | Pending | None:
        """Go on with the answer to a question: an account, or None for an unknown user."""
        if self._ended:
            raise ContextMisuse("no question is open")
        try:
            reply = self._exchange.resume(account)
        except Exception as error:
            self._end_over(error)
            raise
        return self._follow(reply)

    def _follow(self, reply: bytes | Question | None) -> bytes | Pending | None:
        if isinstance(reply, Question):
            return Pending(reply)
        if self._exchange.done:
            if reply is not None and not self._success_data:
                self._awaits_empty = True
            else:
                self._finish(self._exchange.outcome)
        return reply

    def _take_empty(self, response: bytes | None) -> None:
        if response != b"":
            self.abort()
            raise InvalidToken("an empty response was due after the last challenge", requirement="RFC2831-2.1.3-11")
        self._finish(self._exchange.outcome)


def _client_beginner(mechanism: Mechanism, parameters: ClientParameters) -> Callable[[], ClientExchange]:
    if mechanism.package is not None:
        return contextual.prepare_client(mechanism, parameters)
    make = mechanism.client
    if make is None:
        raise UnsupportedFunction(f"{mechanism.name} has no client side")
    return lambda: make(parameters)


def _server_beginner(mechanism: Mechanism, parameters: ServerParameters) -> Callable[[], ServerExchange]:
    if mechanism.package is not None:
        return contextual.prepare_server(mechanism, parameters)
    make = mechanism.server
    if make is None:
        raise UnsupportedFunction(f"{mechanism.name} has no server side")
    return lambda: make(parameters)
