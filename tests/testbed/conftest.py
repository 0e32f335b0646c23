"""Servers that tests share; a test that changes one starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saslsspi import Policy
from saslsspi.testbed.ldap.server import LdapServer
from testbed.ldap_fixtures import ldap_server
from testbed.raw_ldap import RawLdap


@pytest.fixture(scope="session")
def ldap() -> Iterator[LdapServer]:
    """A server that takes passwords in clear."""
    with ldap_server(policy=Policy(allow_plaintext=True)) as server:
        yield server


@pytest.fixture
def raw(ldap: LdapServer) -> Iterator[RawLdap]:
    """A connection to it."""
    with RawLdap(ldap.port) as connection:
        yield connection
