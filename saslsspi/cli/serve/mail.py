"""The embedded servers of the protocols of lines, for `serve`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from saslsspi.accounts import MemoryNonceStore
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.serve.service import Served, Service, port, tell
from saslsspi.testbed.mail.server import Authenticated, MailServer

__all__ = ["SERVICES"]

_WELCOME: Final = (
    b"From: saslsspi <postmaster@localhost>\r\nTo: you@localhost\r\nSubject: Welcome\r\n\r\n"
    b"This came from an embedded server, under whatever layer you negotiated.\r\n"
)


def _service(protocol: LineProtocol) -> Service:
    name, has_tls = protocol.name, protocol.tls_port is not None

    def add_options(group: argparse._ArgumentGroup) -> None:
        begins = protocol.starttls.decode("ascii")
        group.add_argument(f"--{name}", type=port, metavar="PORT",
            help=f"{protocol.title}, and {begins} with --cert; 0 is a free port")  # fmt: skip
        if has_tls:
            group.add_argument(f"--{name}s", type=port, metavar="PORT",
                help=f"{protocol.title} over TLS, with --cert; 0 is a free port")  # fmt: skip

    def make(arguments: argparse.Namespace) -> Served | None:
        wanted, tls_wanted = getattr(arguments, name), getattr(arguments, f"{name}s", None)
        if wanted is None:
            if tls_wanted is not None:
                raise WrongUsage(f"--{name}s needs --{name} PORT")
            return None
        made = _server_type(name)(
            authority=arguments.authority,
            policy=arguments.policy,
            mechanisms=arguments.mechanism or (),
            hosts=arguments.hosts,
            realm=arguments.realm or None,
            nonce_store=MemoryNonceStore(),
            certificate=arguments.certificate,
            bindings=next(iter(arguments.bindings), None),
            messages=[_WELCOME],
            address=arguments.address,
            port=wanted,
            tls_port=tls_wanted or 0,
            on_security=told,
        )

        def urls() -> list[str]:
            secure = (
                [f"{name}s://{arguments.address}:{made.tls_port}"] if made.certificate is not None and has_tls else []
            )
            return [f"{name}://{arguments.address}:{made.port}", *secure]

        return Served(made, urls)

    def told(authenticated: Authenticated) -> None:
        security = authenticated.security
        tell(name, authenticated.peer, security.mechanism, security.authzid or security.authcid, security)

    return Service(add_options, make)


def _server_type(name: str) -> type[MailServer]:
    try:
        return cast(type[MailServer], importlib.import_module(f"saslsspi.testbed.mail.{name}").SERVER)
    except ModuleNotFoundError as error:
        raise WrongUsage(f"this server needs {error.name}: pip install 'saslsspi[smtp]'") from error


SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {name: _service(protocol) for name, protocol in LINE_PROTOCOLS.items()}
)
"""What `serve` asks of each protocol, by name."""
