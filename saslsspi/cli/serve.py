"""`saslsspi serve`: the embedded servers on ports of one's choice, until somebody stops them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import signal
import socket
from typing import Final, cast

from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.options import add_account_options, add_policy_options, authority_from, policy_from
from saslsspi.cli.serving import Served, Service
from saslsspi.errors import SaslError

__all__ = ["configure", "run"]

_SERVICES: Final = ("ldap",)
"""The protocols, each a module serve_NAME with one Service; another one is a line here and a file."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Run the embedded servers and tell what every logon negotiated. For trying out, not for use."
    parser.add_argument("--address", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    parser.add_argument("--host", action="append", default=[], metavar="NAME",
        help="a name of this server, beside localhost, the address and this machine's; repeatable")  # fmt: skip
    parser.add_argument("--realm", action="append", default=[], metavar="NAME", help="a realm to offer; repeatable")
    parser.add_argument("--mechanism", action="append", metavar="NAME",
        help="offer this mechanism and only those named; repeatable")  # fmt: skip
    for name in _SERVICES:
        _service(name).add_options(parser.add_argument_group(name))
    add_account_options(parser)
    add_policy_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    arguments.policy = policy_from(arguments)
    arguments.hosts = _names(arguments)
    arguments.authority = authority_from(arguments)
    try:
        served = [made for name in _SERVICES if (made := _service(name).make(arguments)) is not None]
    except SaslError as error:
        raise WrongUsage(error.text) from error
    if not served:
        raise WrongUsage(f"which server? give {' or '.join(f'--{name} PORT' for name in _SERVICES)}; 0 is a free port")
    with contextlib.suppress(KeyboardInterrupt):  # where the loop can take no signals
        asyncio.run(_serve(served))
    print("stopped", flush=True)
    return ExitStatus.AUTHENTICATED


async def _serve(served: list[Served]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as running:
        for one in served:
            try:
                await one.server.start()
            except OSError as error:
                raise WrongUsage(f"cannot listen: {error}") from error
            running.push_async_callback(one.server.stop)
            for url in one.urls():
                print(f"listening on {url}", flush=True)
        await stop.wait()


def _names(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of this server; many clients ask the resolver how an address is called."""
    names = [*arguments.host, "localhost", arguments.address, socket.gethostname(), socket.getfqdn(arguments.address)]
    return tuple(dict.fromkeys(names))


def _service(name: str) -> Service:
    return cast(Service, importlib.import_module(f"saslsspi.cli.serve_{name}").SERVICE)
