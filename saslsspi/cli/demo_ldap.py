"""`demo` over LDAP: our ldap3 connection, the embedded server, and a tap between them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

import ldap3
from ldap3.core.exceptions import LDAPException

from saslsspi.accounts import MemoryAuthority
from saslsspi.adapters.ldap import Connection
from saslsspi.cli.demonstration import Level, Play, Row
from saslsspi.errors import SaslError
from saslsspi.sasl.credentials import Password
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.testbed.ldap_server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.tap import Tap

__all__ = ["stage"]

_ALICE: Final = Password("alice", "wonderland")
_ENTRIES: Final = 300
_SEARCHED: Final = "entry00042"
_TIMEOUT: Final = 10


@contextlib.contextmanager
def stage() -> Iterator[Play]:
    """Run the embedded server."""
    authority = MemoryAuthority({_ALICE.username: _ALICE.password})
    with running(LdapServer(authority=authority, realm="example.test", entries=_ENTRIES)) as server:
        yield lambda mechanism, level: _play(server, mechanism, level)


def _play(server: LdapServer, mechanism: Mechanism, level: Level) -> Row:
    row = Row("ldap3", mechanism.name, level.name)
    try:
        with Tap("127.0.0.1", server.port) as tap:
            return _bind_and_search(row, server, tap, level)
    except (SaslError, LDAPException, OSError) as error:
        return row._replace(problem=str(error))


def _bind_and_search(row: Row, server: LdapServer, tap: Tap, level: Level) -> Row:
    connection = Connection(
        ldap3.Server("127.0.0.1", tap.port, get_info=ldap3.NONE, connect_timeout=_TIMEOUT),
        mechanism=row.mechanism,
        credentials=_ALICE,
        policy=level.policy,
        host="localhost",
        receive_timeout=_TIMEOUT,
    )
    connection.open(read_server_info=False)
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
    connection.unbind()
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
        problem=_problem(names, security.ssf, clear),
    )


def _problem(names: set[str], ssf: int, clear: bool) -> str:
    if len(names) != _ENTRIES or _SEARCHED not in names:
        return f"the search found {len(names)} entries and not {_ENTRIES}"
    if clear and ssf > 1:
        return f"the layer has SSF {ssf}, and {_SEARCHED} was readable on the wire"
    if not clear and ssf <= 1:
        return f"{_SEARCHED} was not seen on the wire: the tap is blind"
    return ""
