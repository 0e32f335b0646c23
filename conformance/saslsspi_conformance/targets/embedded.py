"""The embedded servers as targets: the carriers of `self`."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import saslsspi
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.testbed import loopback
from saslsspi.testbed.certificates import make_certificates
from saslsspi.testbed.mail import server_of
from saslsspi_conformance.case_run import ClientTarget, ServerTarget
from saslsspi_conformance.outcome import Plays
from saslsspi_conformance.runner.selection import Targets
from saslsspi_conformance.targets.ldap import LdapServerTarget
from saslsspi_conformance.targets.mail import MailServerTarget
from saslsspi_conformance.targets.memory import OWN, MemoryClientTarget, MemoryServerTarget, own_accounts
from saslsspi_conformance.targets.own_clients import own_clients
from saslsspi_conformance.targets.wire import Address

__all__ = ["PROTOCOLS", "itself"]

PROTOCOLS: Final = frozenset({"ldap", *LINE_PROTOCOLS})
"""What the embedded servers speak."""

_TIMEOUT: Final = 3.0
_MECHANISMS: Final = ("DIGEST-MD5", "PLAIN", "EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
_POLICY: Final = saslsspi.Policy(
    tolerances=saslsspi.Tolerances.NONE, ciphers=("rc4", "3des", "rc4-56", "des", "rc4-40")
)


class _Certificate(NamedTuple):
    server: ssl.SSLContext
    authority: Path
    bindings: ChannelBindings


@contextlib.contextmanager
def itself(carriers: Collection[str] = PROTOCOLS) -> Iterator[Targets]:
    """Our own client and server in memory, and servers and clients of some protocols on loopback ports."""
    with contextlib.ExitStack() as stack:
        servers: dict[str, ServerTarget] = {"": MemoryServerTarget()}
        clients: dict[str, ClientTarget] = {"": MemoryClientTarget(), **own_clients(stack, carriers)}
        if not PROTOCOLS.intersection(carriers):
            yield Targets(name="self", servers=servers, clients=clients, absent=_absent(servers, clients, carriers))
            return
        certificate = _certificate(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        # One server of a protocol takes passwords in clear, so that there is something to test; the other is as usual.
        generous = _servers(replace(_POLICY, allow_plaintext=True), certificate)
        guarded = _servers(_POLICY, certificate)
        for protocol, server in generous.items():
            if protocol not in carriers:
                continue
            usual, careful = (
                Address(
                    protocol=protocol,
                    host="localhost",
                    port=stack.enter_context(loopback.running(each)).port,
                    account=OWN,
                    ca=certificate.authority,
                    timeout=_TIMEOUT,
                    local=True,
                )
                for each in (server, guarded[protocol])
            )
            kind = LdapServerTarget if protocol == "ldap" else MailServerTarget
            servers[protocol] = kind(usual, careful)
        yield Targets(name="self", servers=servers, clients=clients, absent=_absent(servers, clients, carriers))


def _absent(
    servers: Mapping[str, ServerTarget], clients: Mapping[str, ClientTarget], carriers: Collection[str]
) -> dict[tuple[Plays, str], str]:
    wanted = PROTOCOLS.intersection(carriers)
    server, client = "our server of it needs aiosmtpd", "our client of it needs ldap3"
    return {(Plays.SERVER, protocol): server for protocol in wanted - servers.keys()} | {
        (Plays.CLIENT, protocol): client for protocol in wanted - clients.keys()
    }


def _certificate(folder: Path) -> _Certificate:
    made = make_certificates(folder, OWN.user)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server)
    text = made.server.read_text(encoding="ascii")
    der = ssl.PEM_cert_to_DER_cert(text[: text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
    return _Certificate(context, made.authority, ChannelBindings.tls_server_end_point(der))


def _servers(policy: saslsspi.Policy, certificate: _Certificate) -> dict[str, Any]:
    from saslsspi.testbed.ldap.server import LdapServer

    given: dict[str, Any] = {
        "authority": saslsspi.MemoryAuthority(own_accounts()),
        "realm": OWN.realm,
        "policy": policy,
        "mechanisms": _MECHANISMS,
        "certificate": certificate.server,
    }
    bindings = certificate.bindings
    servers: dict[str, Any] = {"ldap": LdapServer(**given, bindings=[bindings])}
    for protocol in LINE_PROTOCOLS.values():
        own: dict[str, Any] = {"auth_required": not policy.allow_plaintext} if protocol.name == "smtp" else {}
        with contextlib.suppress(ModuleNotFoundError):  # aiosmtpd is an extra
            servers[protocol.name] = server_of(protocol)(**given, **own, bindings=bindings)
    return servers
