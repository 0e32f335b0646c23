"""A small pool of connections that restart themselves: what ldap3's REUSABLE strategy is for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Final, Self

import ldap3

from saslsspi.adapters.ldap.connection import Connection
from saslsspi.errors import ContextMisuse, InsufficientMemory, InvalidParameter

__all__ = ["ConnectionPool"]

_STRATEGIES: Final = frozenset({ldap3.RESTARTABLE, ldap3.SAFE_RESTARTABLE, ldap3.SYNC, ldap3.SAFE_SYNC})


class ConnectionPool:
    """Lends bound connections to threads, each to one at a time; opens them as they are needed.

    Args:
        server: As for Connection.
        size: How many connections there are at most.
        wait: How long `connection` waits for a free one, in seconds; None waits without end.
        client_strategy: SAFE_RESTARTABLE, or another synchronous one.
        options: All other arguments of Connection.
    """

    def __init__(
        self,
        server: Any,
        *,
        size: int = 10,
        wait: float | None = 30.0,
        client_strategy: str = ldap3.SAFE_RESTARTABLE,
        **options: Any,
    ) -> None:
        if size < 1:
            raise InvalidParameter(f"a pool of {size} connections lends none")
        if client_strategy not in _STRATEGIES:
            raise InvalidParameter(f"a pool takes no connections of strategy {client_strategy}")
        self._options = {"server": server, "client_strategy": client_strategy, **options, "auto_bind": False}
        self._size = size
        self._wait = wait
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a bound connection for the length of a block.

        Raises:
            InsufficientMemory: none became free in time.
            BindRefused: the server refuses the credentials.
            SaslError, LDAPException: see Connection.bind.
        """
        if not self._free.acquire(timeout=self._wait):
            raise InsufficientMemory(f"none of {self._size} connections became free within {self._wait} s")
        try:
            connection = self._take()
            logon = connection.logon
            try:
                yield connection
            finally:
                # Who has bound as somebody else, or closed the connection, does not leave that to the next one.
                self._give_back(connection, connection.bound and connection.logon is logon)
        finally:
            self._free.release()

    def close(self) -> None:
        """Unbind the idle connections; those that are lent follow when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            _discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ConnectionPool of {self._size} to {self._options['server']!s}, {len(self._idle)} idle>"

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise ContextMisuse("the pool is closed")
            if self._idle:
                return self._idle.pop()
        connection = Connection(**self._options)
        try:
            connection.bind()
            if not connection.bound:
                raise connection.refusal or ContextMisuse("the connection is not bound")
        except BaseException:
            _discard(connection)
            raise
        return connection

    def _give_back(self, connection: Connection, usable: bool) -> None:
        with self._lock:
            if usable and not self._closed:
                self._idle.append(connection)
                return
        _discard(connection)


def _discard(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        if not connection.closed:
            connection.unbind()
