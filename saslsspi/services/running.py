"""A service from its sockets to its end: opened, root given up, workers kept running, and nothing left behind."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from saslsspi.services.places import ListeningPlace
from saslsspi.services.sockets import handed_over, listening
from saslsspi.services.supervisor import Supervisor, Work, become

__all__ = ["run_service"]


def run_service(
    places: Sequence[ListeningPlace], user: str, make: Callable[[Sequence[socket.socket]], tuple[int, Work]]
) -> None:
    """Serve until SIGTERM.

    Args:
        places: Where to listen.
        user: Who the workers run as, by name; "" changes nothing.
        make: Reads the configuration, at the beginning and on SIGHUP; see Supervisor.

    Raises:
        SaslError: the configuration cannot be used, or a socket cannot be had.
    """
    given = handed_over()
    sockets = listening(places, given)
    try:
        become(user)
        Supervisor(lambda: make(sockets)).run()
    finally:
        for place, one in zip(places, sockets, strict=True):
            one.close()
            if place.path and not given:  # what systemd has opened stays open there
                with contextlib.suppress(OSError):
                    Path(place.path).unlink()
