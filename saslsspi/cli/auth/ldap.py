"""`auth` over LDAP: bind with our ldap3 connection, then "Who am I?" (RFC 4532) under the layer."""

from __future__ import annotations

import contextlib
import re
import ssl
import time

import ldap3
from ldap3.core.exceptions import LDAPException

from saslsspi.adapters.ldap import Connection
from saslsspi.cli.auth.report import Report, Target
from saslsspi.errors import SaslError
from saslsspi.sasl.logon import Logon, options_of

__all__ = ["close", "log_on"]


def log_on(target: Target, logon: Logon) -> Report:
    """Bind and ask.

    Raises:
        SaslError: the server refused, or this side found something wrong.
        ConnectionError: the server cannot be reached, or broke LDAP.
    """
    server = ldap3.Server(
        target.host,
        target.port,
        use_ssl=target.secure,
        tls=_tls(target, logon) if target.secure or target.starttls else None,
        get_info=ldap3.NONE,
        connect_timeout=target.timeout,
    )
    connection = Connection(server, mechanism=logon.mechanism, receive_timeout=target.timeout, **options_of(logon))
    try:
        return _bind_and_ask(connection, target)
    except SaslError:
        raise
    except LDAPException as error:
        raise ConnectionError(_plain(str(error))) from error
    finally:
        close(connection)


def _bind_and_ask(connection: Connection, target: Target) -> Report:
    connection.open(read_server_info=False)
    if target.starttls:
        connection.start_tls(read_server_info=False)
    started = time.perf_counter()
    connection.bind(read_server_info=False)
    elapsed = (time.perf_counter() - started) * 1000
    if connection.refusal is not None:
        raise connection.refusal
    assert connection.security is not None
    assert connection.socket is not None
    tls = _describe(connection.socket.transport)
    identity, answer = _identity(connection)
    return Report(connection.security, tls, identity, round(elapsed, 1), "Who am I?", answer)


def _identity(connection: Connection) -> tuple[str | None, str]:
    """Return who the server says we are, None where it does not answer that (RFC 4532), and its words."""
    identity = connection.extend.standard.who_am_i()
    result = connection.result or {}
    if result.get("result", 0) != 0:
        return None, str(result.get("description") or "no answer")
    return identity or "anonymous", identity or "anonymous"


def close(connection: Connection) -> None:
    """Unbind, whatever state the connection is in."""
    with contextlib.suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:
        connection.socket.close()  # ldap3 leaves it open when it could not connect


def _plain(text: str) -> str:
    """What ldap3 reports of TLS is the text of a tuple, or of a tuple in a tuple."""
    while found := re.fullmatch(r"""\(["'](.*)["'],\)""", text):
        text = found[1]
    return text


def _tls(target: Target, logon: Logon) -> ldap3.Tls:
    return ldap3.Tls(
        validate=ssl.CERT_REQUIRED,
        ca_certs_file=str(target.ca) if target.ca else None,
        local_certificate_file=str(target.certificate) if target.certificate else None,
        local_private_key_file=str(target.key or target.certificate) if target.certificate else None,
        valid_names=[logon.host or target.host],
    )


def _describe(transport: object) -> str:
    cipher = transport.cipher() if isinstance(transport, ssl.SSLSocket) else None
    return f"{cipher[1]} {cipher[0]}" if cipher else ""
