"""The pool of ldap3's REUSABLE strategy, made of connections of ours.

ldap3 makes a pool's connections itself, of whatever class stands in its own place, and hands on only what it knows by
name: where the face is named and not installed they would send passwords in clear, and what the face has been asked
for would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import ldap3
from ldap3.strategy.reusable import ReusableStrategy

from saslsspi.errors import ContextMisuse

__all__ = ["fill_pool"]

_NOT_BY_ITSELF: Final = (None, False, ldap3.AUTO_BIND_DEFAULT, ldap3.AUTO_BIND_NONE)
_IN_TLS: Final = (ldap3.AUTO_BIND_TLS_BEFORE_BIND, ldap3.AUTO_BIND_TLS_AFTER_BIND)


def fill_pool(connection: Any, make: Callable[[Any], Any]) -> Any:
    """Let the pool of a connection make its connections in another way; return the first connection with its name.

    Args:
        connection: One with the strategy REUSABLE, before it is opened.
        make: Returns a connection like the one that it is given, the first with the pool's name, closed, that restarts.

    Raises:
        ContextMisuse: the pool has connections of ldap3's own already.
    """
    pool = connection.strategy.pool
    if not isinstance(pool, _Pool):
        if pool.started:
            raise ContextMisuse(f"the pool {pool.name} has connections of ldap3's own: give this one another pool_name")
        pool.__class__, pool.make = _Pool, make
    return pool.master_connection


class _Pool(ReusableStrategy.ConnectionPool):  # type: ignore[misc]  # ldap3 ships no types
    """A pool whose workers make connections by a call."""

    def create_pool(self) -> None:
        """Fill it."""
        self.workers = [_Worker(self.master_connection, self.request_queue, self.make) for _ in range(self.pool_size)]


class _Worker(ReusableStrategy.PooledConnectionWorker):  # type: ignore[misc]  # ldap3 ships no types
    """One of its connections, with a thread."""

    def __init__(self, connection: Any, request_queue: Any, make: Callable[[Any], Any]) -> None:
        self._make = make
        super().__init__(connection, request_queue)

    def new_connection(self) -> None:
        """Make the connection, at first and when its lifetime is over; open and bind it where that goes by itself."""
        self.creation_time = datetime.now()  # as ldap3 compares it
        self.connection = made = self._make(self.master_connection)
        when = self.master_connection.auto_bind
        if when in _NOT_BY_ITSELF:
            return
        made.open(read_server_info=False)
        if when in _IN_TLS:
            made.start_tls(read_server_info=False)
        made.bind(read_server_info=False)
