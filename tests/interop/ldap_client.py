"""Our ldap3 connection to the tests' slapd, with every wait bounded, and the results of its six strategies alike."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import ldap3

from interop.people import ALICE, Person
from interop.slapd import Slapd
from saslsspi import Password, Policy
from saslsspi.adapters.ldap import Connection

TIMEOUT: Final = 10

STRATEGIES: Final = (
    ldap3.SYNC,
    ldap3.SAFE_SYNC,
    ldap3.ASYNC,
    ldap3.ASYNC_STREAM,
    ldap3.RESTARTABLE,
    ldap3.SAFE_RESTARTABLE,
)
RESTARTING: Final = (ldap3.RESTARTABLE, ldap3.SAFE_RESTARTABLE)
THREADED: Final = (ldap3.ASYNC, ldap3.ASYNC_STREAM)


class Wanted(NamedTuple):
    """A quality of protection to ask for, and what it must come to."""

    policy: Policy
    qop: str
    cipher: str
    ssf: int


AUTH: Final = Wanted(Policy(max_ssf=0), "auth", "", 0)
AUTH_INT: Final = Wanted(Policy(min_ssf=1, max_ssf=1), "auth-int", "", 1)
RC4: Final = Wanted(Policy(min_ssf=128), "auth-conf", "rc4", 128)
WEAK: Final = tuple(
    Wanted(Policy(min_ssf=2, ciphers=(cipher,)), "auth-conf", cipher, ssf)
    for cipher, ssf in (("rc4-40", 40), ("des", 55), ("rc4-56", 56))
)


@contextlib.contextmanager
def connection(
    server: Slapd, *, port: int | None = None, person: Person = ALICE, tls: ldap3.Tls | None = None, **options: Any
) -> Iterator[Connection]:
    """An open connection that is not bound yet; ends with the block."""
    at = ldap3.Server(server.host, port or server.port, get_info=ldap3.NONE, connect_timeout=TIMEOUT, tls=tls)
    settings: dict[str, Any] = {
        "mechanism": "DIGEST-MD5",
        "credentials": Password(person.name, person.password),
        "receive_timeout": TIMEOUT,
        **options,
    }
    made = Connection(at, **settings)
    if hasattr(made.strategy, "restartable_sleep_time"):
        made.strategy.restartable_sleep_time = 0.01
        made.strategy.restartable_tries = 3
    try:
        yield made
    finally:
        with contextlib.suppress(OSError, ldap3.core.exceptions.LDAPException):
            made.unbind()


def bind(client: Connection) -> bool:
    """Bind, and say whether it worked."""
    client.bind()
    return client.bound


def search(client: Connection, base: str, **options: Any) -> list[dict[str, Any]]:
    """Return the entries directly below a name."""
    arguments = {"search_scope": ldap3.LEVEL, "attributes": ["uid", "description"], **options}
    found = client.search(base, "(objectClass=*)", **arguments)
    if client.strategy.thread_safe:
        response = found[2]
    else:
        response = client.response if client.strategy.sync else client.get_response(found, TIMEOUT)[0]
    return [entry for entry in response if entry["type"] == "searchResEntry"]


def who_am_i(client: Connection) -> str | None:
    """Return the authorization identity in LDAP's form; None for nobody."""
    identity: str | None = client.extend.standard.who_am_i()
    return identity
