"""`demo` over LDAP: our ldap3 connection, the embedded server, and a tap between them."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import ldap3
from ldap3.core.exceptions import LDAPException

from saslsspi.adapters.ldap import Connection
from saslsspi.cli.auth.ldap import close
from saslsspi.cli.certificate import bindings_of
from saslsspi.cli.demo.rows import PEOPLE, USER, Play, ProtectionLevel, Row, credentials_for
from saslsspi.engine.policy import Policy
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.testbed.certificates import Certificates, make_certificates
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.tap import Tap

__all__ = ["stage"]

_ENTRIES: Final = 300
_SEARCHED: Final = "entry00042"
_TIMEOUT: Final = 10


@contextlib.contextmanager
def stage() -> Iterator[Play]:
    """Run the embedded server."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder), USER)
        server = LdapServer(
            authority=PEOPLE,
            policy=Policy(allow_anonymous=True),
            realm="example.test",
            entries=_ENTRIES,
            anonymous_search=True,
            certificate=_server_side(certificates),
            bindings=[bindings_of(certificates.server)],
        )
        with running(server):
            yield lambda mechanism, level: _play(server, certificates, mechanism, level)


def _server_side(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.server)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _play(server: LdapServer, certificates: Certificates, mechanism: Mechanism, level: ProtectionLevel) -> Row:
    row = Row("LDAP with ldap3", mechanism.name, level.name, level.tls)
    try:
        with Tap("127.0.0.1", server.port) as tap:
            connection = Connection(
                ldap3.Server(
                    "127.0.0.1", tap.port, get_info=ldap3.NONE, connect_timeout=_TIMEOUT, tls=_client_side(certificates)
                ),
                mechanism=mechanism.name,
                credentials=credentials_for(mechanism),
                policy=level.policy,
                host="localhost",
                receive_timeout=_TIMEOUT,
            )
            try:
                row = _bind_and_search(row, server, tap, connection, level)
            finally:
                close(connection)
            return row._replace(wire=tap.turns())
    except (SaslError, LDAPException, OSError) as error:
        return row._replace(problem=str(error))


def _client_side(certificates: Certificates) -> ldap3.Tls:
    return ldap3.Tls(
        validate=ssl.CERT_REQUIRED,
        ca_certs_file=str(certificates.authority),
        local_certificate_file=str(certificates.client),
        local_private_key_file=str(certificates.client),
        valid_names=["localhost"],
    )


def _bind_and_search(row: Row, server: LdapServer, tap: Tap, connection: Connection, level: ProtectionLevel) -> Row:
    connection.open(read_server_info=False)
    if level.tls:
        connection.start_tls(read_server_info=False)
        connection.extend.standard.who_am_i()  # once it is answered, all of the handshake has passed the tap
    tap.begin_count()
    started = time.perf_counter()
    connection.bind(read_server_info=False)
    elapsed = (time.perf_counter() - started) * 1000
    round_trips = tap.round_trips
    if connection.refusal is not None:
        raise connection.refusal
    identity = connection.extend.standard.who_am_i()
    connection.search(f"ou=many,{server.suffix}", "(uid=entry*)", attributes=["uid", "description"])
    names = {str(entry.uid) for entry in connection.entries}
    security = connection.security
    assert security is not None
    clear = tap.saw(_SEARCHED.encode())
    return row._replace(
        package=security.package,
        qop=security.qop,
        cipher=security.cipher,
        ssf=security.ssf,
        authcid=security.authcid,
        authzid=security.authzid,
        identity=identity or "",
        round_trips=round_trips,
        milliseconds=round(elapsed, 1),
        found=len(names),
        clear=clear,
        problem=_problem(names, security.ssf > 1 or level.tls, clear),
    )


def _problem(names: set[str], encrypted: bool, clear: bool) -> str:
    if len(names) != _ENTRIES or _SEARCHED not in names:
        return f"the search found {len(names)} entries and not {_ENTRIES}"
    if clear and encrypted:
        return f"{_SEARCHED} was readable on the wire"
    return ""
