"""LDAP servers of ours as context managers, with the accounts of the tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from saslsspi import Account, MemoryAuthority
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running

REALM: Final = "example.test"
SUFFIX: Final = "dc=example,dc=test"
ALICE_DN: Final = f"uid=alice,ou=people,{SUFFIX}"
ENTRIES: Final = 300

ACCOUNTS: Final = (
    Account(username="alice", password="wonderland", may_act_as=frozenset({"u:bob", f"dn:cn=Admin,{SUFFIX}"})),
    Account(username="bob", password="builder", may_act_as=frozenset({"alice"})),
    Account(username="jörg", password="grüße"),
    Account(username="cn=a,dc=b", password="plain name"),
)


@contextlib.contextmanager
def ldap_server(server_type: type[LdapServer] = LdapServer, **options: Any) -> Iterator[LdapServer]:
    """A running server; options are LdapServer's."""
    options = {"authority": MemoryAuthority(ACCOUNTS), "realm": REALM, "entries": ENTRIES, **options}
    with running(server_type(**options)) as server:
        yield server
