"""The service: the protocols by name, what a worker does, and how clients are let in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from saslsspi.engine.hooks.audit import audited_from
from saslsspi.errors import InvalidParameter, SaslError
from saslsspi.gateway.door import GatewayDoor, serving_tls
from saslsspi.gateway.ldap.door import ldap_door
from saslsspi.gateway.mail.door import SESSIONS, mail_door
from saslsspi.gateway.settings import GatewayListener, GatewaySettings, Tls, read_gateway
from saslsspi.gateway.streams import PIECE, CarriedStream, peer_of
from saslsspi.services.places import is_loopback
from saslsspi.services.running import run_service
from saslsspi.services.supervisor import Work

__all__ = ["PROTOCOLS", "Gateway", "check", "serve"]

_LOG: Final = logging.getLogger("saslsspi.gateway")
_THREADS: Final = 32  # for exchanges: a KDC that does not answer holds one
_OTHER_FILES: Final = 64  # listeners, a log, DNS, lookups
_PAUSE: Final = 1.0  # seconds before a client is let in again, where there is no room for one

Serve: TypeAlias = Callable[[CarriedStream, str], Awaitable[None]]
"""Serves one client, told who it is."""
Make: TypeAlias = Callable[[GatewaySettings, GatewayListener, GatewayDoor], Serve]

PROTOCOLS: Final[Mapping[str, Make]] = {"ldap": ldap_door, **dict.fromkeys(SESSIONS, mail_door)}


def check(path: Path) -> GatewaySettings:
    """Read the configuration and all that it names, and start nothing.

    Raises:
        SaslError: it cannot be used; the text says why.
    """
    settings = read_gateway(path, tuple(PROTOCOLS))
    Gateway(settings)
    return settings


def serve(path: Path) -> None:
    """Serve until SIGTERM; SIGHUP reads the configuration again, but for the listeners and the user.

    Raises:
        SaslError: the configuration cannot be used, or a socket cannot be had.
    """
    first = check(path)

    def make(sockets: Sequence[socket.socket]) -> tuple[int, Work]:
        settings = check(path)  # what cannot be opened is told before a worker ends
        if settings.listeners != first.listeners or settings.user != first.user:
            raise InvalidParameter("listeners and user change with a restart, and not with SIGHUP")
        check_sockets(settings, sockets)
        return settings.workers, lambda ready: asyncio.run(_work(settings, sockets, ready))

    run_service(first.listeners, first.user, make)


def check_sockets(settings: GatewaySettings, sockets: Sequence[socket.socket]) -> None:
    """Refuse sockets that reach further than the configuration says: systemd may have opened others.

    Raises:
        InvalidParameter: one does.
    """
    for listener, one in zip(settings.listeners, sockets, strict=True):
        if one.family == socket.AF_UNIX or is_loopback(one.getsockname()[0]):
            continue
        if listener.local and listener.begins is not Tls.IMMEDIATE:
            raise InvalidParameter(
                f"the socket of {listener.shown} listens on {one.getsockname()[0]}, and passwords would cross the "
                "network in clear"
            )


def make_room(connections: int) -> None:
    """Let this process have the file descriptors that so many clients need, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        _LOG.warning("there are %d file descriptors, and %d clients need %d", most, connections, wanted)


async def _work(settings: GatewaySettings, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Be one worker, until SIGTERM."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="logon"))
    make_room(settings.limits.connections)
    gateway = Gateway(settings)
    gateway.start([one.dup() for one in sockets])
    ready()
    await over.wait()
    await gateway.stop()


class Gateway:
    """Lets clients in, in the running loop.

    Args:
        settings: The configuration.

    Raises:
        SaslError: it cannot be used; the text says why.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._limits = settings.limits
        throttle = settings.throttle()
        self._doors: list[tuple[GatewayDoor, Serve]] = []
        for listener in settings.listeners:
            door = GatewayDoor(listener, settings.limits, throttle, serving_tls(listener))
            self._doors.append((door, PROTOCOLS[listener.protocol](settings, listener, door)))
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> int:
        """How many are there."""
        return len(self._clients)

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Let clients in on listening sockets, one for each listener, which are closed in the end."""
        self._sockets = list(sockets)
        for (door, serve_one), one in zip(self._doors, sockets, strict=True):
            one.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(one, door, serve_one)))

    async def stop(self) -> None:
        """Let nobody in any more, and end what runs."""
        for task in (*self._accepting, *self._clients):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._clients, return_exceptions=True)
        for one in self._sockets:
            one.close()

    async def _accept(self, listening: socket.socket, door: GatewayDoor, serve_one: Serve) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listening)
            except OSError as error:  # no file descriptor is left, say; or the client has gone already
                _LOG.warning("nobody is let in on %s for a moment: %s", door.listener.shown, error)
                await asyncio.sleep(_PAUSE)
                continue
            if len(self._clients) >= self._limits.connections:
                _LOG.warning("a client of %s is not let in: there are %d", door.listener.shown, len(self._clients))
                client.close()
                continue
            task = asyncio.create_task(self._serve(client, door, serve_one))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    async def _serve(self, client: socket.socket, door: GatewayDoor, serve_one: Serve) -> None:
        peer = peer_of(client)
        with audited_from(peer):
            try:
                end = await self._opened(client, door)
            except OSError as error:
                client.close()
                _LOG.info("a client of %s is let go: %s", door.listener.shown, error)
                return
            except BaseException:
                client.close()
                raise
            try:
                await serve_one(end, peer)
            except (SaslError, OSError) as error:
                _LOG.info("a client of %s is let go: %s", door.listener.shown, error)
            except Exception:
                _LOG.exception("a client of %s is let go", door.listener.shown)
            finally:
                end.abort()

    async def _opened(self, client: socket.socket, door: GatewayDoor) -> CarriedStream:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        immediate = door.listener.begins is Tls.IMMEDIATE
        reader, made = asyncio.StreamReader(limit=PIECE), loop.create_future()
        # Told by a callback, it is a server's stream: TLS that begins later has to know.
        protocol = asyncio.StreamReaderProtocol(reader, lambda _, writer: made.set_result(writer))
        await loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=door.context if immediate else None,
            ssl_handshake_timeout=self._limits.logon_seconds if immediate else None,
        )
        return CarriedStream(reader, await made)
