"""One side of an exchange, as the line protocol sees it: a SASL mechanism's or a bare security package's.

A bare package has no framing: wrap and unwrap take one whole message each (of a stream, any octets).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from saslsspi.context import Context
from saslsspi.errors import ContextMisuse, InvalidToken, NotProtected
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.server import Server

__all__ = ["End", "PackageEnd", "SaslClientEnd", "SaslServerEnd"]

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


class PackageEnd(End):
    """One side of a bare package's context."""

    def __init__(self, context: Context, *, speaks: bool) -> None:
        self.speaks = speaks
        self._context = context

    @property
    def done(self) -> bool:
        """See End.done."""
        return self._context.done

    def take(self, token: bytes | None) -> bytes | None:
        """See End.take."""
        _check_open(self.done)
        reply = self._context.step(token)
        return (reply or None) if self.done else reply  # an empty token with success is nothing to send

    def summary(self) -> Mapping[str, object]:
        """See End.summary."""
        security = self._context.security
        return {"package": security.package, **{name: getattr(security, name) for name in _FIELDS}}

    def wrap(self, data: bytes) -> bytes:
        """See End.wrap."""
        self._check_protected()
        return self._context.wrap(data)

    def unwrap(self, octets: bytes) -> bytes | None:
        """See End.unwrap."""
        self._check_protected()
        return self._context.unwrap(octets)

    def again(self) -> End:
        """See End.again."""
        return PackageEnd(self._context.again(), speaks=self.speaks)

    def _check_protected(self) -> None:
        _check_done(self.done)
        if not self._context.security.ssf:
            raise NotProtected("neither integrity nor confidentiality was negotiated; ask for it with --min-ssf")


def _check_open(done: bool) -> None:
    if done:
        raise InvalidToken("the exchange is complete and no token is due")


def _check_done(done: bool) -> None:
    if not done:
        raise ContextMisuse("wrap and unwrap come after the exchange is done")
