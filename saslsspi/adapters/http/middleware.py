"""What both middlewares are told: the inner application, who decides, and what this server knows of its requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Generic, TypeVar

from saslsspi.adapters.http.acceptor import HttpAcceptor
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import InvalidParameter

__all__ = ["CONNECTION", "SAFE", "Middleware"]

CONNECTION: Final = "saslsspi.connection"
SAFE: Final = "/;=,~:@!$&'()*+"
"""What stands in a path without an escape."""

_MAX_BODY: Final = 1 << 20

Application = TypeVar("Application")
Surroundings = TypeVar("Surroundings", bound=Mapping[str, Any])


def _connection(surroundings: Mapping[str, Any]) -> Hashable:
    value: Hashable = surroundings.get(CONNECTION)
    return value


class Middleware(Generic[Application, Surroundings]):
    """An application that serves authenticated users only.

    Args:
        application: The inner one.
        acceptor: Who decides.
        connection: Takes the environ or scope and returns what tells the connection from every other one, or None.
        bindings: Of the server's certificate; they count for requests whose scheme is https or wss.
        max_body: Largest body of a request under auth-int, in octets; a larger one is answered with 413.
        stripped_prefix: What a proxy in front takes off the path, such as "/shop": a Digest client's uri still has it.
            It is named here, as no header field of a request is believed. One that the server itself knows
            (SCRIPT_NAME, root_path) needs no name.

    Raises:
        InvalidParameter: the prefix is no path.
    """

    def __init__(
        self,
        application: Application,
        acceptor: HttpAcceptor,
        *,
        connection: Callable[[Surroundings], Hashable] = _connection,
        bindings: ChannelBindings | None = None,
        max_body: int = _MAX_BODY,
        stripped_prefix: str = "",
    ) -> None:
        prefix = stripped_prefix.rstrip("/")
        if prefix and not (prefix.startswith("/") and prefix.isascii()):
            raise InvalidParameter('a prefix is a path as it is written in a URL, such as "/shop"')
        self._application = application
        self._acceptor = acceptor
        self._connection = connection
        self._bindings = bindings
        self._max_body = max_body
        self._prefix = prefix

    def _targets(self, paths: list[str], scheme: str, host: str) -> tuple[str, ...]:
        """Return a request's target in each way in which its client may have written it.

        Args:
            paths: With their queries, as this server sees them.
            scheme: Of the URL.
            host: The value of Host.
        """
        outside = [self._prefix + path for path in paths] if self._prefix else []
        written = (*outside, *paths)
        return (*written, *(f"{scheme}://{host}{path}" for path in written))
