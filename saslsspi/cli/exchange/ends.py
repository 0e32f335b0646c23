"""One side of an exchange, as the line protocol sees it: a SASL mechanism's or a bare security package's.

A bare package has no framing: wrap and unwrap are EncryptMessage and DecryptMessage, each of one whole message.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Question
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Policy
from saslsspi.engine.protection import Protection
from saslsspi.engine.security import check_outcome
from saslsspi.errors import ContextMisuse, InvalidParameter, InvalidToken, NotProtected
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import ClientExchange, Mechanism, ServerExchange
from saslsspi.sasl.server import Server

__all__ = ["End", "PackageClientEnd", "PackageServerEnd", "SaslClientEnd", "SaslServerEnd"]

_FIELDS: Final = (
    "authcid",
    "authzid",
    "realm",
    "qop",
    "cipher",
    "ssf",
    "max_send",
    "max_receive",
    "channel_binding",
    "reauthenticated",
    "tolerances",
)


class End(ABC):
    """One side of an exchange.

    Attributes:
        speaks: Whether this side has something to say before it reads anything: a client's initial response.
    """

    speaks: bool

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether this side has finished."""

    @abstractmethod
    def take(self, token: bytes | None) -> bytes | None:
        """Take the peer's message (None: no message; a client's first call) and return the next one."""

    @abstractmethod
    def summary(self) -> Mapping[str, object]:
        """What was negotiated."""

    @abstractmethod
    def wrap(self, data: bytes) -> bytes:
        """Protect data for the wire."""

    @abstractmethod
    def unwrap(self, octets: bytes) -> bytes | None:
        """Open octets from the wire; None while nothing is complete."""

    @abstractmethod
    def again(self) -> End:
        """Begin another exchange with the same credentials and stores."""


class _SaslEnd(End):
    """What both sides of a mechanism have in common."""

    _session: Client | Server

    @property
    def done(self) -> bool:
        return self._session.done

    def summary(self) -> Mapping[str, object]:
        security = self._session.security
        return {"mechanism": security.mechanism, **{name: getattr(security, name) for name in _FIELDS}}

    def wrap(self, data: bytes) -> bytes:
        return self._layer().wrap(data)

    def unwrap(self, octets: bytes) -> bytes | None:
        messages = self._layer().feed(octets)
        return b"".join(messages) if messages else None

    def _layer(self) -> Layer:
        _check_done(self.done)
        if self._session.layer is None:
            raise NotProtected("no security layer was negotiated; ask for one with --min-ssf on either side")
        return self._session.layer


class SaslClientEnd(_SaslEnd):
    """A mechanism's client."""

    speaks = True

    def __init__(self, client: Client) -> None:
        self._session: Client = client
        self._started = False

    def take(self, token: bytes | None) -> bytes | None:
        """A None that is not the first is the carrier's report of success, without data."""
        if not self._started:
            self._started = True
            return self._session.start()
        if token is None:
            self._session.succeed()
            return None
        _check_open(self.done)
        reply = self._session.step(token)
        # The empty message of a client that has finished is the carrier's, where the carrier wants one.
        return None if self.done and not reply else reply

    def again(self) -> End:
        """See End.again."""
        return SaslClientEnd(self._session.again())


class SaslServerEnd(_SaslEnd):
    """A mechanism's server."""

    speaks = False

    def __init__(self, server: Server) -> None:
        self._session: Server = server

    def take(self, token: bytes | None) -> bytes | None:
        """See End.take."""
        _check_open(self.done)
        return self._session.step(token)

    def again(self) -> End:
        """See End.again."""
        return SaslServerEnd(self._session.again())


class _PackageEnd(End):
    """What both sides of a bare package have in common."""

    def __init__(self, mechanism: Mechanism, policy: Policy) -> None:
        self._mechanism = mechanism
        self._policy = policy
        self._outcome: Outcome | None = None

    @property
    def done(self) -> bool:
        return self._outcome is not None

    def summary(self) -> Mapping[str, object]:
        assert self._outcome is not None
        outcome = self._outcome
        identity = {"package": self._mechanism.package, "authcid": outcome.username}
        return identity | {name: getattr(outcome, name) for name in _FIELDS if name != "authcid"}

    def wrap(self, data: bytes) -> bytes:
        protection = self._protection()
        if len(data) > protection.max_payload:
            raise InvalidParameter(f"EncryptMessage takes {protection.max_payload} octets at once, not {len(data)}")
        return b"".join(protection.seal(data))

    def unwrap(self, octets: bytes) -> bytes | None:
        return self._protection().unseal(octets)

    def _finish(self, exchange: ClientExchange | ServerExchange, reply: bytes | None) -> bytes | None:
        if not exchange.done:
            return reply
        assert exchange.outcome is not None
        check_outcome(self._mechanism.name, exchange.outcome, self._policy)
        self._outcome = exchange.outcome
        return reply or None  # an empty output buffer with SEC_E_OK: there is nothing to send

    def _protection(self) -> Protection:
        _check_done(self.done)
        assert self._outcome is not None
        if self._outcome.protection is None:
            raise NotProtected("neither integrity nor confidentiality was negotiated; ask for it with --min-ssf")
        return self._outcome.protection


class PackageClientEnd(_PackageEnd):
    """A bare package's initiating context."""

    speaks = True

    def __init__(self, mechanism: Mechanism, policy: Policy, begin: Callable[[], ClientExchange]) -> None:
        super().__init__(mechanism, policy)
        self._begin = begin
        self._exchange = begin()

    def take(self, token: bytes | None) -> bytes | None:
        """See End.take."""
        _check_open(self.done)
        reply = self._exchange.step(token)
        return self._finish(self._exchange, reply)

    def again(self) -> End:
        """See End.again."""
        return PackageClientEnd(self._mechanism, self._policy, self._begin)


class PackageServerEnd(_PackageEnd):
    """A bare package's accepting context."""

    speaks = False

    def __init__(self, mechanism: Mechanism, environment: Environment, begin: Callable[[], ServerExchange]) -> None:
        super().__init__(mechanism, environment.policy)
        self._environment = environment
        self._begin = begin
        self._exchange = begin()

    def take(self, token: bytes | None) -> bytes | None:
        """See End.take."""
        _check_open(self.done)
        reply = self._exchange.step(token)
        while isinstance(reply, Question):
            reply = self._exchange.resume(self._environment.ask(reply))
        return self._finish(self._exchange, reply)

    def again(self) -> End:
        """See End.again."""
        return PackageServerEnd(self._mechanism, self._environment, self._begin)


def _check_open(done: bool) -> None:
    if done:
        raise InvalidToken("the exchange is complete and no token is due")


def _check_done(done: bool) -> None:
    if not done:
        raise ContextMisuse("wrap and unwrap come after the exchange is done")
