"""`saslsspi serve`: the embedded servers on ports of one's choice, until somebody stops them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Final, cast

import saslsspi
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.cli.certificate import bindings_of
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.options import add_account_options, authority_from, certified
from saslsspi.cli.output import one_line, say
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.cli.serve.service import Served, Service
from saslsspi.errors import SaslError
from saslsspi.sasl.registry import find_mechanism

__all__ = ["configure", "run"]

_SERVICES: Final = ("ldap", *LINE_PROTOCOLS)
"""The protocols."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Run the embedded servers and tell what every logon negotiated, or why it failed. For trying out, not for use. "
        "DIGEST-MD5 takes logons without a layer up again; with one, it wants a new challenge answered each time."
    )
    parser.add_argument("--address", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    parser.add_argument("--host", action="append", default=[], metavar="NAME",
        help="a name of this server, beside localhost, the address and this machine's; repeatable")  # fmt: skip
    parser.add_argument("--realm", action="append", default=[], metavar="NAME", help="a realm to offer; repeatable")
    parser.add_argument("--mechanism", action="append", metavar="NAME",
        help="offer this mechanism and only those named; repeatable")  # fmt: skip
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--cert", type=Path, metavar="FILE", help="the server's certificate, and its chain, in PEM")
    tls.add_argument("--key", type=Path, metavar="FILE", help="its key in PEM, where that is not in --cert too")
    tls.add_argument("--ca", type=Path, metavar="FILE",
        help="authorities of clients' certificates, in PEM; who shows one may log on with EXTERNAL")  # fmt: skip
    for name in _SERVICES:
        _service(name).add_options(parser.add_argument_group(name))
    add_account_options(parser)
    add_policy_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    arguments.policy = policy_from(
        arguments,
        credssp=certified(arguments),
        allow_anonymous=arguments.allow_anonymous,
    )
    arguments.hosts = _names(arguments)
    arguments.authority = authority_from(arguments)
    try:
        for name in arguments.mechanism or ():
            find_mechanism(name)
        if any(getattr(arguments, name) is not None for name in _SERVICES):
            arguments.certificate, arguments.bindings = _certificate(arguments)
        served = [made for name in _SERVICES if (made := _service(name).make(arguments)) is not None]
    except SaslError as error:
        raise WrongUsage(error.text) from error
    if not served:
        raise WrongUsage(f"which server? give {' or '.join(f'--{name} PORT' for name in _SERVICES)}; 0 is a free port")
    _tell_of_refusals()
    with contextlib.suppress(KeyboardInterrupt):  # where the loop can take no signals
        asyncio.run(_serve(served))
    say("stopped")
    return ExitStatus.OK


class _Shown(logging.Formatter):
    """Records hold names that clients make up."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))


def _tell_of_refusals() -> None:
    """Print what our servers log about logons that fail, as lines beside those about logons that succeed."""
    log = logging.getLogger(saslsspi.__name__)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Shown())
    # Successes and refusals have their lines already; the audit record is for those who keep one.
    handler.addFilter(lambda record: record.name != "saslsspi.audit")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _certificate(arguments: argparse.Namespace) -> tuple[ssl.SSLContext | None, list[ChannelBindings]]:
    if arguments.cert is None:
        if (
            arguments.key is not None
            or arguments.ca is not None
            or any(getattr(arguments, f"{name}s", None) is not None for name in _SERVICES)
        ):
            raise WrongUsage("TLS needs --cert FILE")
        return None, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(arguments.cert, arguments.key)
        if arguments.ca is not None:
            context.load_verify_locations(arguments.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context, [bindings_of(arguments.cert)]
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = " and ".join(str(file) for file in (arguments.cert, arguments.key, arguments.ca) if file)
        raise WrongUsage(f"cannot use {files}: {error}") from error


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
                say(f"listening on {url}")
        await stop.wait()


def _names(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of this server; many clients ask the resolver how an address is called."""
    names = [*arguments.host, "localhost", arguments.address, socket.gethostname(), socket.getfqdn(arguments.address)]
    return tuple(dict.fromkeys(names))


def _service(name: str) -> Service:
    if name == "ldap":
        return cast(Service, importlib.import_module("saslsspi.cli.serve.ldap").SERVICE)
    found: Service = importlib.import_module("saslsspi.cli.serve.mail").SERVICES[name]
    return found
