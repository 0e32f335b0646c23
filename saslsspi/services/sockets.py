"""The sockets of a service: those that systemd hands over, or new ones."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.services.places import ListeningPlace

__all__ = ["handed_over", "listening"]

_FIRST: Final = 3  # sd_listen_fds(3)
_BACKLOG: Final = 1024


def handed_over() -> list[socket.socket]:
    """Return the sockets that systemd has opened for this process, in their order; none without it."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=number) for number in range(_FIRST, _FIRST + count)]


def listening(listeners: Sequence[ListeningPlace], given: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Return a listening socket for each listener.

    Args:
        listeners: Where to listen.
        given: What handed_over returned; none opens them.

    Raises:
        NoAuthenticatingAuthority: one cannot be had; the text says which.
    """
    if given and len(given) != len(listeners):
        raise NoAuthenticatingAuthority(
            f"systemd hands over {len(given)} sockets and the configuration has {len(listeners)} listeners"
        )
    made: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for number, listener in enumerate(listeners):
            try:
                one = given[number] if given else _opened(listener)
            except (OSError, LookupError) as error:
                raise NoAuthenticatingAuthority(f"cannot listen on {listener.shown}: {error}") from error
            undo.callback(one.close)
            one.setblocking(False)
            made.append(one)
        undo.pop_all()
    return made


def _opened(listener: ListeningPlace) -> socket.socket:
    if not listener.path:
        family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
        return socket.create_server((listener.address, listener.port), family=family, backlog=_BACKLOG)
    path = Path(listener.path)
    # A socket that a service left behind is in the way; anything else that stands there is somebody's.
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        if _answers(path):
            raise FileExistsError(errno.EADDRINUSE, "somebody listens there already")
        path.unlink()
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o777 & ~int(listener.mode, 8))
        try:
            one.bind(listener.path)
        finally:
            os.umask(before)
        if listener.owner or listener.group:
            owner = pwd.getpwnam(listener.owner).pw_uid if listener.owner else -1
            os.chown(path, owner, grp.getgrnam(listener.group).gr_gid if listener.group else -1)
        one.listen(_BACKLOG)
    except BaseException:
        one.close()
        raise
    return one


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)  # a backlog that is full is somebody's too
        found = caller.connect_ex(str(path))
    return found not in (errno.ECONNREFUSED, errno.ENOENT)
