"""The embedded servers as targets: the carriers of `self`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import saslsspi
from saslsspi.testbed import loopback
from saslsspi_conformance.bench import ServerTarget
from saslsspi_conformance.selection import Targets
from saslsspi_conformance.targets.ldap import LdapServerTarget
from saslsspi_conformance.targets.mail import MailServerTarget
from saslsspi_conformance.targets.memory import OWN, MemoryClientTarget, MemoryServerTarget, own_accounts
from saslsspi_conformance.targets.wire import Address

__all__ = ["itself"]

_TIMEOUT: Final = 3.0


@contextlib.contextmanager
def itself() -> Iterator[Targets]:
    """Our own client and server in memory, and the embedded servers of each protocol on loopback ports."""
    with contextlib.ExitStack() as stack:
        servers: dict[str, ServerTarget] = {"": MemoryServerTarget()}
        for protocol, server in _servers().items():
            stack.enter_context(loopback.running(server))
            address = Address(
                protocol=protocol, host="localhost", port=server.port, account=OWN, timeout=_TIMEOUT, local=True
            )
            servers[protocol] = LdapServerTarget(address) if protocol == "ldap" else MailServerTarget(address)
        yield Targets(name="self", servers=servers, clients={"": MemoryClientTarget()})


def _servers() -> dict[str, Any]:
    from saslsspi.testbed.imap_server import ImapServer
    from saslsspi.testbed.ldap_server import LdapServer
    from saslsspi.testbed.pop3_server import Pop3Server

    policy = saslsspi.Policy(
        allow_plaintext=True, tolerances=saslsspi.Tolerances.NONE, ciphers=("rc4", "3des", "rc4-56", "des", "rc4-40")
    )
    given: dict[str, Any] = {
        "authority": saslsspi.MemoryAuthority(own_accounts()),
        "realm": OWN.realm,
        "policy": policy,
        "mechanisms": ("DIGEST-MD5", "PLAIN", "EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256"),
    }
    servers: dict[str, Any] = {
        "ldap": LdapServer(**given),
        "imap": ImapServer(**given),
        "pop3": Pop3Server(**given),
    }
    try:
        from saslsspi.testbed.smtp_server import SmtpServer
    except ImportError:  # aiosmtpd is an extra
        return servers
    return {**servers, "smtp": SmtpServer(**given)}
