"""The embedded LDAP server for `serve`."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path
from typing import Final

from saslsspi.accounts import MemoryNonceStore
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.cli.certificate import bindings_of
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.serving import Served, Service, port, tell
from saslsspi.testbed.ldap_server import Bound, LdapServer

__all__ = ["SERVICE"]


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ldap", type=port, metavar="PORT", help="LDAP, and StartTLS with --cert; 0 is a free port")
    group.add_argument("--ldaps", type=port, metavar="PORT", help="LDAP over TLS, with --cert; 0 is a free port")
    group.add_argument("--cert", type=Path, metavar="FILE", help="the server's certificate, and its chain, in PEM")
    group.add_argument("--key", type=Path, metavar="FILE", help="its key in PEM, where that is not in --cert too")


def _make(arguments: argparse.Namespace) -> Served | None:
    if arguments.ldap is None:
        for option in ("ldaps", "cert", "key"):
            if getattr(arguments, option) is not None:
                raise WrongUsage(f"--{option} needs --ldap PORT")
        return None
    certificate, bindings = _certificate(arguments)
    server = LdapServer(
        authority=arguments.authority,
        policy=arguments.policy,
        mechanisms=arguments.mechanism,
        hosts=arguments.hosts,
        realm=arguments.realm,
        nonce_store=MemoryNonceStore(),
        certificate=certificate,
        bindings=bindings,
        address=arguments.address,
        port=arguments.ldap,
        ldaps_port=arguments.ldaps or 0,
        on_security=_tell,
    )

    def urls() -> list[str]:
        secure = [f"ldaps://{arguments.address}:{server.ldaps_port}"] if certificate is not None else []
        return [f"ldap://{arguments.address}:{server.port}", *secure]

    return Served(server, urls)


def _certificate(arguments: argparse.Namespace) -> tuple[ssl.SSLContext | None, list[ChannelBindings]]:
    if arguments.cert is None:
        if arguments.key is not None or arguments.ldaps is not None:
            raise WrongUsage("TLS needs --cert FILE")
        return None, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(arguments.cert, arguments.key)
        return context, [bindings_of(arguments.cert)]
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise WrongUsage(f"cannot use the certificate {arguments.cert}: {error}") from error


def _tell(bound: Bound) -> None:
    tell("ldap", bound.peer, bound.method, bound.authzid, bound.security)


SERVICE: Final = Service(_add_options, _make)
