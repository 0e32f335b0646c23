"""An ldap3 connection whose binds may be exchanges of ours, and what follows them under a layer.

A `LayeredConnection` is an ldap3.Connection: everything that is not about SASL is ldap3's own. The exchange runs here,
in `bind`; the layer sits in the socket that ldap3 reads and writes (`LayeredSocket`), which is there from the moment
ldap3 opens the connection, in pass-through; what ldap3's strategies lack stands in strategies.py. Which binds are
exchanges, and with what, is said by those who derive from it.

A server that refuses a bind is a result, as everywhere in ldap3: bind() returns False, `refusal` tells why. Where
ldap3 would lose that result (auto_bind, `with`, lazy connections, restarts) the refusal is raised. What this side
finds wrong is always raised, and ends the connection.
"""

from __future__ import annotations

import contextlib
import ssl
from abc import abstractmethod
from typing import Any, Final, Self

import ldap3
from ldap3.core.exceptions import LDAPBindError, LDAPException, LDAPOperationResult
from ldap3.operation.bind import bind_operation
from ldap3.operation.unbind import unbind_operation
from ldap3.strategy.base import BaseStrategy

from saslsspi.adapters.ldap.bind_responses import BindResponses
from saslsspi.adapters.ldap.logon import BindResult, BindTurn, listed_mechanisms, log_on
from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused
from saslsspi.adapters.ldap.strategies import STRATEGIES, is_drop
from saslsspi.adapters.ldap.tls import over_channel
from saslsspi.adapters.stream import LayeredSocket
from saslsspi.adapters.stream.dialogue import carry
from saslsspi.engine.security import Security
from saslsspi.errors import (
    ContextMisuse,
    InvalidToken,
    PackageNotFound,
    SaslError,
)
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["LayeredConnection"]

_WITH_THREAD: Final = frozenset({ldap3.ASYNC, ldap3.ASYNC_STREAM})


class LayeredConnection(ldap3.Connection):  # type: ignore[misc]  # ldap3 ships no types
    """What every connection with exchanges of ours has in common; the arguments are ldap3's.

    Args:
        layer_in_tls: Whether a layer is negotiated inside TLS too.
        resume: Whether a bind may take the last one's session up again (RFC 2831 section 2.2).

    Attributes:
        security: What the last exchange negotiated; None before it, after one that failed, and after ldap3's own bind.
        refusal: Why the server refused the last exchange, or None.
        failure: The error that ended the connection while nobody waited for it, or None.
    """

    bound: bool
    last_error: str | None
    sasl_in_progress: bool
    result: Any
    _entries: Any

    def __init__(self, *arguments: Any, layer_in_tls: bool = False, resume: bool = False, **options: Any) -> None:
        self.security: Security | None = None
        self.refusal: BindRefused | None = None
        self.failure: Exception | None = None
        self._stream: Any = None
        self._layer_in_tls, self._resume = layer_in_tls, resume
        self._last_client: tuple[object, Client] | None = None
        super().__init__(*arguments, **options)

    @abstractmethod
    def exchanges(self) -> bool:
        """Whether the next bind is an exchange of ours, and not ldap3's own."""

    @abstractmethod
    def next_logon(self) -> Logon:
        """Return what the next exchange uses.

        Raises:
            BindRefused: there is nothing that could be tried; it counts as the server's answer.
        """

    @property
    def socket(self) -> Any:
        """What ldap3 reads and writes: a LayeredSocket around a socket that ldap3 puts here; None without one."""
        return self._stream

    @socket.setter
    def socket(self, opened: Any) -> None:
        current = self._stream
        if not self._carried:
            self._stream = opened
        elif opened is None:
            if current is not None:
                current.close()
            # A reading thread may be about to read; it finds the end, where None would keep it spinning.
            self._stream = current if self.strategy_type in _WITH_THREAD else None
        elif isinstance(opened, ssl.SSLSocket) and current is not None and current.fileno() == -1:
            # TLS took the socket over; a layer stays above it.
            try:
                current.replace_transport(opened)
            except SaslError:
                opened.close()
                raise
        else:
            self.failure = None
            threaded = self.strategy_type in _WITH_THREAD
            self._stream = LayeredSocket(
                opened, boundary=BindResponses(), on_end=self._reading_ended, threaded=threaded
            )

    @property
    def layer(self) -> Layer | None:
        """The security layer in force; one stays when a later bind fails or negotiates none (RFC 4513 5.2.1.4)."""
        return self._stream.layer if isinstance(self._stream, LayeredSocket) else None

    def bind(self, read_server_info: bool = True, controls: Any = None) -> Any:
        """Bind; returns what ldap3's bind returns.

        Raises:
            SaslError: this side found something wrong, or could not begin. The connection is closed.
            LDAPException: as ldap3's bind; with raise_exceptions a refusal too, its cause the BindRefused.
        """
        with self.connection_lock:
            self.last_error = self.security = self.refusal = None
            if (self.lazy and not self._executing_deferred) or not self.exchanges():
                bound = super().bind(read_server_info, controls)
                self._note_bound(self.bound)
                return bound
            self._deferred_bind = False
            self._bind_controls = None
            try:
                self._bind_through_drops(controls)
            except BindRefused as refusal:
                if self._executing_deferred:
                    raise
                if self.raise_exceptions:
                    raise refusal.as_operation_result() from refusal
            else:
                if read_server_info:
                    self.refresh_server_info()
            self._entries = []
            return self._prepare_return_value(self.bound, self.result)

    def bind_again(self, controls: Any = None) -> None:
        """Bind a connection that was restarted; for the strategies.

        Raises:
            BindRefused: the server refuses.
            SaslError, LDAPException: see bind.
        """
        if self.exchanges():
            self._authenticate(controls)
        else:
            self.bind(read_server_info=False, controls=controls)
            if not self.bound:
                raise bind_refused("a bind", str(self.user or ""), self.result)

    def start_tls(self, read_server_info: bool = True) -> Any:
        """Start TLS; under a layer too, which is then inside TLS."""
        started = super().start_tls(read_server_info)
        if self.tls_started and not self._deferred_start_tls and self._carried:
            self.strategy.tls = True
        return started

    def __enter__(self) -> Self:
        try:
            super().__enter__()
        except LDAPBindError as error:
            self._raise_refusal(error)
            raise
        # With a SAFE strategy ldap3 takes the tuple that bind returns for success.
        if self.refusal is not None and not self.bound:
            self._raise_refusal(None)
        return self

    def stream_failed(self, error: Exception) -> None:
        """Note what has ended the connection, and wake whoever waits for a response."""
        self.failure = self.failure or error
        self.strategy.reading_ended()

    def _reading_ended(self) -> None:
        if self._stream is not None and self._stream.failure is not None:
            self.failure = self.failure or self._stream.failure
        self.strategy.reading_ended()

    def _do_auto_bind(self) -> None:
        # Called at the end of ldap3's constructor: the first moment at which its strategy can be exchanged.
        if self._carried:
            self._exchange_strategy()
        try:
            super()._do_auto_bind()
        except LDAPBindError as error:
            self._raise_refusal(error)
            raise

    def _exchange_strategy(self) -> None:
        self.strategy = STRATEGIES[self.strategy_type](self)
        self.send = self.strategy.send
        self.open = self.strategy.open
        self.get_response = self.strategy.get_response
        self.post_send_single_response = self.strategy.post_send_single_response
        self.post_send_search = self.strategy.post_send_search

    def _raise_refusal(self, error: LDAPBindError | None) -> None:
        if self.refusal is not None and self.refusal is not error:
            self._end_session()
            raise self.refusal from None

    @property
    def _carried(self) -> bool:
        """Whether the strategy is one of ours: REUSABLE has no connection of its own, LDIF and the mocks have none."""
        return self.strategy_type in STRATEGIES

    def _note_bound(self, bound: bool) -> None:
        self.bound = bound
        if self._carried:
            self.strategy.bound = bound

    def _bind_through_drops(self, controls: Any) -> None:
        """Authenticate; where the strategy restarts connections, an exchange that was cut begins anew."""
        if self.closed:
            self.open(read_server_info=False)
        try:
            self._authenticate(controls)
        except Exception as error:
            if not (is_drop(error) and self.strategy.restarts):
                raise
            self.strategy.restart_bind(controls)

    def _authenticate(self, controls: Any) -> None:
        """Run one exchange on the open connection."""
        self.bound, self.security, self.refusal = False, None, None
        try:
            security = self._run(controls)
        except BindRefused as refusal:
            self.refusal, self.last_error = refusal, str(refusal)
            self._note_bound(False)
            raise
        except BaseException as error:
            self._end_session()
            self.last_error = str(error)
            raise
        self.security = security
        self._note_bound(True)

    def _run(self, controls: Any) -> Security | None:
        logon = self.next_logon()
        listed = self._list_for(logon) if logon.asks_server else []
        stream = self._stream
        if not isinstance(stream, LayeredSocket) or self.sasl_in_progress:
            raise ContextMisuse("the connection is closed, or another bind is in progress")
        host = "localhost" if self.server.ipc else self.server.host
        here = over_channel(logon, stream, host, layer_in_tls=self._layer_in_tls)
        self.sasl_in_progress = True  # ldap3 sends nothing but bind requests meanwhile (RFC 4511 section 4.2.1)
        try:
            dialogue = log_on(here, listed, lambda mechanism: self._make_client(here, mechanism))
            client = carry(dialogue, next(dialogue), lambda turn: self._ask(stream, turn, controls))
            if client.layer is not None:
                stream.install(client.layer)
        finally:
            self.sasl_in_progress = False
            stream.release()
        if listed and client.layer is not None:
            here.check_not_hidden(client.mechanism.name, listed, listed_mechanisms(self))
        return client.security

    def _list_for(self, logon: Logon) -> list[str]:
        """Return what the server lists; where it lists nothing to strangers, what the caller has named is tried."""
        try:
            return listed_mechanisms(self)
        except PackageNotFound:
            if not logon.names:
                raise
            return list(logon.names)

    def _make_client(self, logon: Logon, mechanism: Mechanism) -> Client:
        key = (logon, mechanism.name)
        if self._last_client is not None and self._last_client[0] == key:
            client = self._last_client[1].again()
        else:
            client = logon.client(mechanism)
        self._last_client = (key, client) if self._resume else None
        return client

    def _ask(self, stream: LayeredSocket, turn: BindTurn, controls: Any) -> BindResult:
        """Send one bind request and return the result of its response."""
        request = bind_operation(self.version, ldap3.SASL, "", None, turn.mechanism, turn.token)
        stream.hold()
        try:
            number = self.send("bindRequest", request, controls)
            self.post_send_single_response(number)
            if not self.strategy.sync:
                self.result = self.get_response(number)[1]
        except LDAPOperationResult as error:  # with raise_exceptions
            self.result = {
                "type": error.type,
                "result": error.result,
                "description": error.description,
                "dn": error.dn,
                "message": error.message,
            }
        except (LDAPException, OSError):
            raise
        except Exception as error:
            raise InvalidToken(f"ldap3 cannot read what came: {type(error).__name__}") from error
        result: BindResult = self.result
        return result

    def _end_session(self) -> None:
        """Take leave of the server and close, whatever state the connection is in."""
        with contextlib.suppress(Exception):
            BaseStrategy.send(self.strategy, "unbindRequest", unbind_operation())
        with contextlib.suppress(Exception):
            self.strategy.close()
