"""The service: the protocols by name, and what a worker does."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from saslsspi.authd.crowd import Crowd, Guest
from saslsspi.authd.dovecot import MAX_LINE, serve_dovecot
from saslsspi.authd.exchanges import Door
from saslsspi.authd.saslauthd import serve_saslauthd
from saslsspi.errors import InvalidParameter, SaslError
from saslsspi.services.running import run_service
from saslsspi.services.settings import ServiceSettings, read_settings
from saslsspi.services.supervisor import Work

__all__ = ["PROTOCOLS", "check", "serve"]

_LOG: Final = logging.getLogger("saslsspi.authd")
_KEY_SIZE: Final = 32
Serve = Callable[[Door, Guest, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PROTOCOLS: Final[Mapping[str, Serve]] = {"dovecot": serve_dovecot, "saslauthd": serve_saslauthd}


def check(path: Path) -> ServiceSettings:
    """Read the configuration and open the accounts, and start nothing.

    Raises:
        SaslError: it cannot be used; the text says why.
    """
    settings = read_settings(path, tuple(PROTOCOLS))
    _doors(settings, secrets.token_bytes(_KEY_SIZE))
    return settings


def serve(path: Path) -> None:
    """Serve until SIGTERM; SIGHUP reads the configuration again, but for the listeners and the user.

    Raises:
        SaslError: the configuration cannot be used, or a socket cannot be had.
    """
    first = check(path)
    key = secrets.token_bytes(_KEY_SIZE)

    def make(sockets: Sequence[socket.socket]) -> tuple[int, Work]:
        settings = read_settings(path, tuple(PROTOCOLS))
        if settings.listeners != first.listeners or settings.user != first.user:
            raise InvalidParameter("listeners and user change with a restart, and not with SIGHUP")
        _doors(settings, key)  # what cannot be opened is told before a worker ends
        return settings.workers, lambda ready: asyncio.run(_serve(settings, key, sockets, ready))

    run_service(first.listeners, first.user, make)


def _doors(settings: ServiceSettings, decoy_key: bytes) -> list[Door]:
    authority = settings.authority(decoy_key)
    throttle, nonces = settings.throttle(), settings.nonces()
    doors = [
        Door(listener, authority, settings.policy, settings.limits, throttle, nonces) for listener in settings.listeners
    ]
    for door in doors:
        if not door.mechanisms or (door.listener.protocol == "saslauthd" and "PLAIN" not in door.mechanisms):
            raise InvalidParameter(
                f"{door.listener.shown} has nothing to offer: the accounts verify no mechanism of it"
            )
    return doors


async def _serve(
    settings: ServiceSettings, key: bytes, sockets: Sequence[socket.socket], ready: Callable[[], None]
) -> None:
    """Be one worker, until SIGTERM; what runs then has some seconds to end."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    crowd = Crowd(settings.limits.connections)
    servers = []
    for door, one in zip(_doors(settings, key), sockets, strict=True):
        accept = _accepting(door, crowd)
        servers.append(await asyncio.start_server(accept, sock=one.dup(), limit=MAX_LINE))
    ready()
    await over.wait()
    for server in servers:
        server.close()
    await crowd.end()


def _accepting(door: Door, crowd: Crowd) -> Callable[..., Awaitable[None]]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with crowd.guest() as guest:
                await PROTOCOLS[door.listener.protocol](door, guest, reader, writer)
        except (SaslError, OSError) as error:
            _LOG.info("a client of %s is let go: %s", door.listener.shown, error)
        except BaseExceptionGroup as errors:
            _LOG.info("a client of %s is let go: %s", door.listener.shown, errors.exceptions[0])
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    return accept
