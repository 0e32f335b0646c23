"""Tokens of OAuth in LDAP binds: one that has expired is renewed once."""

from __future__ import annotations

import pytest

from saslsspi import LogonDenied, MemoryAuthority, Policy, Token
from saslsspi.accounts import Chain, MemoryTokens
from saslsspi.adapters.ldap import Connection
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")
CLEAR = Policy(allow_plaintext=True)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", None])
def test_a_token_binds_and_is_renewed_once(mechanism: str | None) -> None:
    authority = Chain(MemoryAuthority({"alice": "wonderland"}), MemoryTokens({"T0ken": "alice"}))
    given: list[str] = []

    def give() -> str:
        given.append("T0ken" if given else "expired")
        return given[-1]

    with running(LdapServer(authority=authority, policy=CLEAR)) as server:
        with Connection(server.url, mechanism=mechanism, credentials=Token("alice", give), policy=CLEAR) as connection:
            assert connection.security.authcid == "alice"
        assert given == ["expired", "T0ken"]
        with pytest.raises(LogonDenied, match=r"invalid_token|401"):
            Connection(server.url, mechanism=mechanism, credentials=Token("alice", "expired"), policy=CLEAR).bind()
