"""Client: the client's side of one SASL exchange (RFC 4422).

"None" and "empty" differ everywhere: None is no message. "Finished" and "has a message to send" differ as well: a
message that is returned in the step that finishes still goes to the server.
"""

from __future__ import annotations

from collections.abc import Callable

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Side
from saslsspi.engine.policy import Policy
from saslsspi.errors import InvalidParameter, MutualAuthFailed, UnsupportedFunction
from saslsspi.kinds import check_kind
from saslsspi.sasl import contextual
from saslsspi.sasl.acceptance import check_credentials, check_permitted
from saslsspi.sasl.mechanism import ClientExchange, ClientParameters, Mechanism
from saslsspi.sasl.registry import find_mechanism
from saslsspi.sasl.session import SESSION_TRANSITIONS, Session, SessionEvent, SessionState

__all__ = ["Client"]


class Client(Session[ClientExchange]):
    """The client's side of one SASL exchange.

    One thread or task at a time uses it; `again` may be called by any at any time, and gives each its own.

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

    _side = Side.INITIATE

    __slots__ = ()

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
        found = find_mechanism(mechanism)
        if environment is not None:
            check_kind("environment", environment, Environment)
        surroundings = (environment or DEFAULT_ENVIRONMENT).overridden(policy=policy)
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
        check_permitted(found, surroundings.policy, external_ssf=external_ssf)
        check_credentials(found, credentials)
        if "\0" in authzid:
            raise InvalidParameter("an authorization identity holds no NUL", requirement="RFC4422-3.4.1-01")
        super().__init__(
            found, surroundings.policy, external_ssf, _beginner(found, parameters), trace=surroundings.trace
        )

    def start(self) -> bytes | None:
        """Return the initial response, or None where the mechanism has none."""
        return self._advance(None)

    def step(self, challenge: bytes | None) -> bytes | None:
        """Answer a challenge. None is no message; a carrier that must answer sends an empty one.

        Args:
            challenge: The server's message. None, for none, begins the exchange as start does; later a mechanism takes
                it only where it awaits nothing of the server.

        Raises:
            SaslError: the exchange failed and is dead; cancel it in the carrier.
        """
        return self._advance(challenge)

    def succeed(self, data: bytes | None = None) -> None:
        """Take the carrier's report of success, with the data that came with it (None: none).

        Raises:
            MutualAuthFailed: the server reports success before the mechanism is satisfied. Do not trust it.
        """
        if SessionEvent.MESSAGE not in SESSION_TRANSITIONS[self.state]:
            if data:
                self._refuse_message()
        elif data is not None and self._advance(data) is not None:
            self.abort()
            raise MutualAuthFailed("the server reports success in the middle of the exchange")
        state = SESSION_TRANSITIONS[self.state].get(SessionEvent.MESSAGE)
        if state is not None:
            self.state = state
            exchange = self._exchange
            try:
                exchange.succeed()
            except Exception as error:
                self._end_over(error)
                raise
            if exchange.outcome is not None:
                self._finish(exchange.outcome)
                if self._trace is not None:
                    self._tell(self._trace, data, None)
        if self.state is not SessionState.DONE:
            self.abort()
            raise MutualAuthFailed(
                f"the server reports success, but {self.mechanism.name} is not complete: the server has proved nothing"
            )

    def fail(self) -> bool:
        """Take the carrier's report that the server refuses, whatever was said before, and end the exchange.

        Returns:
            Whether another exchange, by `again`, may succeed at once: a token that has expired can be renewed.
        """
        may_succeed = self._exchange.fail()
        self.abort()
        return may_succeed

    def _advance(self, challenge: bytes | None) -> bytes | None:
        state = SESSION_TRANSITIONS[self.state].get(SessionEvent.MESSAGE)
        if state is None:
            self._refuse_message()
        self.state = state
        exchange = self._exchange
        try:
            response = exchange.step(challenge)
        except Exception as error:
            self._end_over(error, challenge)
            raise
        if exchange.outcome is not None:
            self._finish(exchange.outcome)
        if self._trace is not None:
            self._tell(self._trace, challenge, response)
        return response


def _beginner(mechanism: Mechanism, parameters: ClientParameters) -> Callable[[], ClientExchange]:
    if mechanism.package is not None:
        return contextual.prepare_client(mechanism, parameters)
    make = mechanism.client
    if make is None:
        raise UnsupportedFunction(f"{mechanism.name} has no client side")
    return lambda: make(parameters)
