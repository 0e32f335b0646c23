"""ldap3's strategies, with what a security layer and a logon of several steps ask of them.

A strategy is how ldap3 sends requests and waits for responses. Ours differ from their parents in few points:

* A referral is followed as nobody, whatever the connection is bound as.
* A thread that waits for a response is woken when the connection ends, and is told why.
* A restart opens and binds anew, from the first step of the exchange; a refused bind ends it, because a second one
  would be another guess at the password. ldap3 would repeat the last request of a half-done exchange, and carry on as
  nobody after a refused one.
"""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from ldap3 import ASYNC, ASYNC_STREAM, RESTARTABLE, SAFE_RESTARTABLE, SAFE_SYNC, SYNC
from ldap3.core.exceptions import (
    LDAPCertificateError,
    LDAPException,
    LDAPExceptionError,
    LDAPMaximumRetriesError,
    LDAPResponseTimeoutError,
    LDAPSessionTerminatedByServerError,
    LDAPSocketOpenError,
    LDAPSocketReceiveError,
    LDAPSocketSendError,
    LDAPStartTLSError,
)
from ldap3.strategy.asynchronous import AsyncStrategy
from ldap3.strategy.asyncStream import AsyncStreamStrategy
from ldap3.strategy.base import RESPONSE_COMPLETE, SESSION_TERMINATED_BY_SERVER, BaseStrategy
from ldap3.strategy.restartable import RestartableStrategy
from ldap3.strategy.safeRestartable import SafeRestartableStrategy
from ldap3.strategy.safeSync import SafeSyncStrategy
from ldap3.strategy.sync import SyncStrategy

from saslsspi.adapters.stream import Truncated
from saslsspi.errors import InvalidToken, SaslError

__all__ = ["STRATEGIES", "Carried", "is_drop"]

_DROPS: Final = (
    LDAPSessionTerminatedByServerError,
    LDAPSocketOpenError,
    LDAPSocketReceiveError,
    LDAPSocketSendError,
    OSError,
)


class Carried(Protocol):
    """What a strategy needs of the connection that it carries.

    Attributes:
        closed: Whether there is no connection.
        listening: Whether its reading thread runs.
        sasl_in_progress: Whether a bind of several steps runs.
        last_error: ldap3's words for what was last wrong.
        failure: What ended the connection while nobody waited for it.
        connection_lock: ldap3's own lock.
        strategy: The strategy, which a restart may have exchanged.
    """

    closed: bool
    listening: bool
    sasl_in_progress: bool
    last_error: str | None
    failure: Exception | None
    connection_lock: Any
    strategy: Any

    def open(self, reset_usage: bool = True, read_server_info: bool = True) -> None:
        """Open a connection."""

    def start_tls(self, read_server_info: bool = True) -> Any:
        """Begin TLS."""

    def bind_again(self, controls: Any = None) -> None:
        """Bind a connection that was restarted."""

    def stream_failed(self, error: Exception) -> None:
        """Note what has ended the connection, and wake whoever waits for a response."""


def is_drop(error: BaseException) -> bool:
    """Whether an error says that the connection is gone, and not that something is wrong with the peer."""
    if isinstance(error, SaslError):
        return isinstance(error, Truncated)
    return isinstance(error, _DROPS) and not isinstance(error, ssl.SSLCertVerificationError | LDAPCertificateError)


class _Carrying(BaseStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """What all of them have in common.

    Attributes:
        bound: Whether the connection is bound, and a restart has to bind it again.
        tls: Whether a restart has to start TLS.
    """

    connection: Carried
    _outstanding: Any
    bound = False
    tls = False

    @property
    def restarts(self) -> bool:
        """Whether a connection that ends now is restarted."""
        return False

    def valid_referral_list(self, referrals: object) -> list[dict[str, Any]]:
        """Return the referrals that may be followed, none with credentials."""
        found: list[dict[str, Any]] = super().valid_referral_list(referrals)
        for referral in found:
            referral["anonymousBindOnly"] = True
        return found

    def sending(self, ldap_message: object) -> None:
        """Send a message; a layer that has failed ends the connection."""
        try:
            super().sending(ldap_message)
        except SaslError:
            self.close()
            raise

    def reading_ended(self) -> None:
        """Take the news that nothing more is received; called by the thread that reads."""


class Sync(_Carrying, SyncStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """SYNC."""


class SafeSync(_Carrying, SafeSyncStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """SAFE_SYNC."""


class _Receiver(AsyncStrategy.ReceiverSocketThread):  # type: ignore[misc]  # ldap3 ships no types
    """ldap3's reading thread; an answer that ldap3 cannot decode ends the connection instead of the thread alone."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            known = isinstance(error, LDAPException)
            failure = error if known else InvalidToken(f"ldap3 cannot read what came: {type(error).__name__}")
            self.connection.stream_failed(failure)
            self.connection.strategy.close()
        finally:
            if self.connection.strategy.receiver is self:  # and no later connection's
                self.connection.strategy.reading_ended()


class _Threaded(_Carrying):
    """A strategy with a reading thread."""

    def _start_listen(self) -> None:
        if not self.connection.listening:
            self.receiver = _Receiver(self.connection)
            self.receiver.daemon = True
            self.connection.listening = True
            self.receiver.start()
        super()._start_listen()

    def close(self) -> None:
        """Close the connection; a reading thread closes only the one that it has read."""
        current = threading.current_thread()
        with self.connection.connection_lock:
            if isinstance(current, _Receiver) and (current is not self.receiver or self.connection.closed):
                return
            requested = self._outstanding
            super().close()
            # What has arrived is still handed out; ldap3 forgets it, even under the hands of who is fetching it.
            self._outstanding = requested

    def send(self, message_type: str, request: object, controls: object = None) -> Any:
        """Like ldap3's; raises what has ended the connection."""
        try:
            return super().send(message_type, request, controls)
        except (LDAPSocketOpenError, LDAPSocketSendError) as error:
            self._raise_failure(error)
            raise

    def get_response(self, message_id: int, timeout: float | None = None, get_request: bool = False) -> Any:
        """Like ldap3's; raises what has ended the connection."""
        try:
            return super().get_response(message_id, timeout, get_request)
        except (LDAPResponseTimeoutError, LDAPSessionTerminatedByServerError) as error:
            self._raise_failure(error)
            if self.connection.closed and isinstance(error, LDAPResponseTimeoutError):
                raise LDAPSessionTerminatedByServerError("the connection has ended") from error
            raise

    def _raise_failure(self, error: Exception) -> None:
        failure = self.connection.failure
        if failure is not None:
            self.close()
            raise failure from error

    def reading_ended(self) -> None:
        """Wake whoever waits for a response that is not complete."""
        for message_id in list(self._outstanding or ()):
            with self.async_lock:
                received = self._responses.get(message_id)
                if received and received[-1] == RESPONSE_COMPLETE:
                    continue
                self._responses[message_id] = SESSION_TERMINATED_BY_SERVER
            self.set_event_for_message(message_id)


class Async(_Threaded, AsyncStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """ASYNC."""


class AsyncStream(_Threaded, AsyncStreamStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """ASYNC_STREAM."""


class _Restarting(_Carrying, RestartableStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """A strategy that survives the end of a connection."""

    _current: tuple[Any, ...] = ()

    @property
    def restarts(self) -> bool:
        return not self._restarting

    def restart_bind(self, controls: object) -> None:
        """Restart a connection that ended in the middle of an exchange; see restart."""
        self.bound = True
        self._last_bind_controls = controls
        self.restart()

    def restart(self) -> None:
        """Open anew and bind as before; tries as often as ldap3's restartable_tries says.

        Raises:
            BindRefused: the server does not take the credentials any more.
            SaslError: the exchange failed for another reason than the end of the connection.
            LDAPMaximumRetriesError: no connection could be had.
        """
        history: list[BaseException] = []
        tries = self.restartable_tries
        self._restarting = True
        try:
            for _ in _attempts(tries, self.restartable_sleep_time):
                try:
                    self._start_over()
                except Exception as error:
                    if not is_drop(error):
                        raise
                    history.append(error)
                else:
                    return
        finally:
            self._restarting = False
        self.connection.last_error = "the connection could not be restarted"
        raise LDAPMaximumRetriesError(self.connection.last_error, history, tries)

    def _start_over(self) -> None:
        connection = self.connection
        if not connection.closed:
            self.close()
        connection.open(reset_usage=False, read_server_info=False)
        if self.tls and not connection.start_tls(read_server_info=False):
            raise LDAPStartTLSError("the server no longer starts TLS")
        if self.bound:
            connection.bind_again(self._last_bind_controls)

    def _open_socket(self, address: Any, use_ssl: bool = False, unix_socket: bool = False) -> None:
        try:
            SyncStrategy._open_socket(self, address, use_ssl, unix_socket)
        except Exception as error:
            # ldap3 would try for a minute to make a bad certificate good, and take a failed restart for a connection.
            if self._restarting or not is_drop(error):
                raise
            super()._open_socket(address, use_ssl, unix_socket)

    def send(self, message_type: str, request: object, controls: object = None) -> Any:
        """Send a request, on a new connection if the old one is gone."""
        if message_type == "unbindRequest":
            return self._send_unbind(request, controls)
        if self._is_within():
            return SyncStrategy.send(self, message_type, request, controls)
        if message_type == "bindRequest":
            self._last_bind_controls = controls
        self._current = (message_type, request, controls)
        return self._persist(lambda: SyncStrategy.send(self, *self._current))

    def post_send_single_response(self, message_id: int) -> Any:
        """Wait for a response; when the connection is gone, send the request again on a new one, once."""
        return self._wait(SyncStrategy.post_send_single_response, message_id)

    def post_send_search(self, message_id: int) -> Any:
        """Wait for the responses of a search; see post_send_single_response."""
        return self._wait(SyncStrategy.post_send_search, message_id)

    def _is_within(self) -> bool:
        """Whether the caller is a restart, or an exchange, which is restarted as a whole."""
        return self._restarting or self.connection.sasl_in_progress

    def _wait(self, wait: Callable[..., Any], message_id: int) -> Any:
        if self._is_within():
            return wait(self, message_id)
        current = self._current
        try:
            return wait(self, message_id)
        except Exception as error:
            if not is_drop(error):
                raise
        self.restart()
        return wait(self, SyncStrategy.send(self, *current))

    def _persist(self, operate: Callable[[], Any]) -> Any:
        try:
            return operate()
        except Exception as error:
            if not is_drop(error):
                raise
        self.restart()
        return operate()

    def _send_unbind(self, request: object, controls: object) -> Any:
        try:
            return SyncStrategy.send(self, "unbindRequest", request, controls)
        except (LDAPExceptionError, OSError):
            return 0  # nobody is there to take leave of


class Restartable(_Restarting, RestartableStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """RESTARTABLE."""


class SafeRestartable(_Restarting, SafeRestartableStrategy):  # type: ignore[misc]  # ldap3 ships no types
    """SAFE_RESTARTABLE."""


def _attempts(tries: int | bool, pause: float) -> Iterator[int]:
    """Yield once for each try, True is without end, with a pause between."""
    for number in itertools.count() if tries is True else range(int(tries)):
        if number:
            time.sleep(pause)
        yield number


STRATEGIES: Final[Mapping[str, Callable[[Carried], _Carrying]]] = {
    SYNC: Sync,
    SAFE_SYNC: SafeSync,
    ASYNC: Async,
    ASYNC_STREAM: AsyncStream,
    RESTARTABLE: Restartable,
    SAFE_RESTARTABLE: SafeRestartable,
}
