"""What `serve` asks of a protocol, and how it tells of a logon."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple, Protocol

from saslsspi.cli.output import one_line, say
from saslsspi.engine.security import Security

__all__ = ["Served", "Service", "port", "tell"]


class _Startable(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Served(NamedTuple):
    """One server, not yet started.

    Attributes:
        urls: Tells where it listens, once it is started.
    """

    server: _Startable
    urls: Callable[[], list[str]]


class Service(NamedTuple):
    """One protocol.

    Attributes:
        add_options: Adds the port's option and what else the protocol needs.
        make: Makes the server, or returns None where no port was asked for. Beside the options the namespace has
            policy, authority, hosts, certificate (a context or None) and bindings.
    """

    add_options: Callable[[argparse._ArgumentGroup], None]
    make: Callable[[argparse.Namespace], Served | None]


def port(text: str) -> int:
    """Read a port's number, 0 for a free one."""
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise argparse.ArgumentTypeError(f"{number} is no port: there are 0 to 65535")
    return number


def tell(protocol: str, peer: str, method: str, identity: str, security: Security | None) -> None:
    """Print a line about a logon."""
    negotiated = ""
    if security is not None:
        negotiated = f" authcid={security.authcid} realm={security.realm or '-'} qop={security.qop}"
        negotiated += f" cipher={security.cipher or '-'} ssf={security.ssf}"
        negotiated += " reauthenticated" if security.reauthenticated else ""
        negotiated += f" tolerated={','.join(security.tolerances)}" if security.tolerances else ""
    say(one_line(f"{protocol} {peer} {method} identity={identity or 'anonymous'}{negotiated}"))
