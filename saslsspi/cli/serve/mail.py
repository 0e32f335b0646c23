"""The embedded SMTP, IMAP and POP3 servers for `serve`."""

from __future__ import annotations

import argparse
import importlib
from typing import Final, cast

from saslsspi.accounts import MemoryNonceStore
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.serve.service import Served, Service, port, tell
from saslsspi.testbed.mail.server import Authenticated, MailServer

__all__ = ["IMAP", "POP3", "SMTP"]

_WELCOME: Final = (
    b"From: saslsspi <postmaster@localhost>\r\nTo: you@localhost\r\nSubject: Welcome\r\n\r\n"
    b"This came from an embedded server, under whatever layer you negotiated.\r\n"
)


def _service(name: str, module: str, server: str) -> Service:
    def add_options(group: argparse._ArgumentGroup) -> None:
        shown = name.upper()
        group.add_argument(f"--{name}", type=port, metavar="PORT",
            help=f"{shown}, and {'STLS' if name == 'pop3' else 'STARTTLS'} with --cert; 0 is a free port")  # fmt: skip
        group.add_argument(f"--{name}s", type=port, metavar="PORT",
            help=f"{shown} over TLS, with --cert; 0 is a free port")  # fmt: skip

    def make(arguments: argparse.Namespace) -> Served | None:
        wanted, tls_wanted = getattr(arguments, name), getattr(arguments, f"{name}s")
        if wanted is None:
            if tls_wanted is not None:
                raise WrongUsage(f"--{name}s needs --{name} PORT")
            return None
        made = _server_type(module, server)(
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
            secure = [f"{name}s://{arguments.address}:{made.tls_port}"] if made.certificate is not None else []
            return [f"{name}://{arguments.address}:{made.port}", *secure]

        return Served(made, urls)

    def told(authenticated: Authenticated) -> None:
        security = authenticated.security
        tell(name, authenticated.peer, security.mechanism, security.authzid or security.authcid, security)

    return Service(add_options, make)


def _server_type(module: str, name: str) -> type[MailServer]:
    try:
        return cast(type[MailServer], getattr(importlib.import_module(f"saslsspi.testbed.mail.{module}"), name))
    except ModuleNotFoundError as error:
        raise WrongUsage(f"this server needs {error.name}: pip install 'saslsspi[smtp]'") from error


SMTP: Final = _service("smtp", "smtp", "SmtpServer")
"""What `serve` asks of SMTP."""

IMAP: Final = _service("imap", "imap", "ImapServer")
"""What `serve` asks of IMAP."""

POP3: Final = _service("pop3", "pop3", "Pop3Server")
"""What `serve` asks of POP3."""
