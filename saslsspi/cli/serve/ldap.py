"""The embedded LDAP server for `serve`."""

from __future__ import annotations

import argparse
from typing import Final

from saslsspi.accounts import MemoryNonceStore
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.serve.service import Served, Service, port, tell
from saslsspi.testbed.ldap.server import Bound, LdapServer

__all__ = ["SERVICE"]


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ldap", type=port, metavar="PORT", help="LDAP, and StartTLS with --cert; 0 is a free port")
    group.add_argument("--ldaps", type=port, metavar="PORT", help="LDAP over TLS, with --cert; 0 is a free port")


def _make(arguments: argparse.Namespace) -> Served | None:
    if arguments.ldap is None:
        if arguments.ldaps is not None:
            raise WrongUsage("--ldaps needs --ldap PORT")
        return None
    certificate = arguments.certificate
    server = LdapServer(
        authority=arguments.authority,
        policy=arguments.policy,
        mechanisms=arguments.mechanism,
        hosts=arguments.hosts,
        realm=arguments.realm,
        nonce_store=MemoryNonceStore(),
        certificate=certificate,
        bindings=arguments.bindings,
        address=arguments.address,
        port=arguments.ldap,
        ldaps_port=arguments.ldaps or 0,
        on_security=_tell,
    )

    def urls() -> list[str]:
        secure = [f"ldaps://{arguments.address}:{server.ldaps_port}"] if certificate is not None else []
        return [f"ldap://{arguments.address}:{server.port}", *secure]

    return Served(server, urls)


def _tell(bound: Bound) -> None:
    tell("ldap", bound.peer, bound.method, bound.authzid, bound.security)


SERVICE: Final = Service(_add_options, _make)
