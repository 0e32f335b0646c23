"""Our own clients of LDAP and the protocols of lines, started by the runner once for each case of `self`."""

from __future__ import annotations

import contextlib
import importlib
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import ClientTarget, Setting
from saslsspi_conformance.targets.listen.base import Listener
from saslsspi_conformance.targets.listen.ldap import LdapClientTarget
from saslsspi_conformance.targets.listen.mail import MailClientTarget
from saslsspi_conformance.targets.memory import OWN, credentials_of, policy_of

__all__ = ["own_clients"]

_HOST: Final = "localhost"
_TIMEOUT: Final = 3  # ldap3 wants whole seconds


def own_clients(stack: contextlib.ExitStack, protocols: Collection[str]) -> Mapping[str, ClientTarget]:
    """Listen on a port for each protocol, until the stack ends; each meeting starts one of our clients."""
    targets: dict[str, ClientTarget] = {}
    for protocol, connect in _connectors().items():
        if protocol not in protocols:
            continue
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(_TIMEOUT)
        meeting = Listener(
            account=OWN,
            host=_HOST,
            timeout=_TIMEOUT,
            mechanisms=("DIGEST-MD5", "SCRAM-SHA-256", "EXTERNAL"),
            begin=_starter(connect, listener.getsockname()[1]),
            local=True,
            answer_timeout=_TIMEOUT / 4,
        )
        if protocol == "ldap":
            targets[protocol] = LdapClientTarget(listener, meeting)
        else:
            targets[protocol] = MailClientTarget(listener, meeting, protocol)
    return targets


Connect = Callable[[int, str, Setting], None]


def _starter(connect: Connect, port: int) -> Callable[[str, Setting], None]:
    def begin(mechanism: str, setting: Setting) -> None:
        def run() -> None:
            # Whatever a case does to the client, it is judged by what it sends.
            with contextlib.suppress(SaslError, OSError, EOFError, ValueError):
                connect(port, mechanism, setting)

        threading.Thread(target=run, daemon=True, name=f"client of {mechanism}").start()

    return begin


def _options(mechanism: str, setting: Setting) -> dict[str, Any]:
    return {
        "credentials": credentials_of(mechanism, setting),
        "authzid": setting.authzid,
        "policy": policy_of(setting),
        "host": _HOST,
    }


def _line_client(protocol: LineProtocol) -> Connect:
    """Return how the client of a protocol of lines connects; its class stands in the door of the protocol's name."""

    def connect(port: int, mechanism: str, setting: Setting) -> None:
        make = getattr(importlib.import_module(f"saslsspi.adapters.{protocol.name}"), protocol.client)
        with make(_HOST, port, timeout=_TIMEOUT) as client:
            client.authenticate_sasl(mechanism, **_options(mechanism, setting))
            client.noop()

    return connect


def _ldap(port: int, mechanism: str, setting: Setting) -> None:
    import ldap3
    from ldap3.core.exceptions import LDAPException

    from saslsspi.adapters.ldap import Connection

    server = ldap3.Server(_HOST, port, get_info=ldap3.NONE, connect_timeout=_TIMEOUT)
    client = Connection(server, mechanism=mechanism, receive_timeout=_TIMEOUT, **_options(mechanism, setting))
    with contextlib.suppress(LDAPException):
        client.open(read_server_info=False)
        client.bind(read_server_info=False)
        if client.security is not None:
            client.extend.standard.who_am_i()
        client.unbind()
    if client.socket is not None:
        client.socket.close()


def _connectors() -> dict[str, Connect]:
    found = {protocol.name: _line_client(protocol) for protocol in LINE_PROTOCOLS.values()}
    try:
        import ldap3  # noqa: F401  # an extra
    except ImportError:
        return found
    return {**found, "ldap": _ldap}
