"""What an LDAP connection takes for credentials, and what it says of what it does not understand."""

from __future__ import annotations

from typing import Any

import ldap3
import pytest

import saslsspi
from saslsspi.adapters.ldap import Connection
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running


class TestWhatAPersonHasAtHand:
    """Credentials as ldap3's users give them, and as they must not."""

    @pytest.mark.parametrize(
        "options",
        [
            {"user": "alice", "password": "wonderland"},
            {"credentials": ("alice", "wonderland")},
            {"credentials": saslsspi.Password("alice", "wonderland")},
        ],
        ids=lambda options: "+".join(options),
    )
    def test_user_and_password_a_pair_and_credentials_are_the_same(self, options: dict[str, Any]) -> None:
        authority = saslsspi.MemoryAuthority({"alice": "wonderland"})
        with running(LdapServer(authority=authority, realm="r")) as server:
            target = ldap3.Server("localhost", port=server.port, get_info=ldap3.NONE)
            with Connection(target, mechanism="DIGEST-MD5", **options) as connection:
                assert connection.security is not None
                assert connection.security.authcid == "alice"
                assert connection.rebind(user="alice", password="wonderland")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"user": "alice"}, "password="),
            ({"password": "wonderland"}, "password="),
            ({"user": "alice", "password": "w", "credentials": ("alice", "w")}, "exclude"),
            ({"credentials": "alice"}, "Password"),
            ({"credentials": ("alice", "w", "r")}, "Password"),
            ({"policy": {"min_ssf": 1}}, "Policy"),
            ({"mechanism": 5}, "mechanism"),
            ({"authentication": ldap3.NTLM, "user": "D\\alice", "password": "w"}, "GSS-SPNEGO"),
            ({"sasl_credentials": ("", "alice", "w")}, "credentials="),
            ({"authentication": ldap3.ANONYMOUS, "user": "alice"}, "takes no user"),
        ],
        ids=lambda value: value if isinstance(value, str) else "+".join(value),
    )
    def test_what_is_not_understood_is_refused_where_it_is_given(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(saslsspi.InvalidParameter, match=said):
            Connection("ldap://localhost:1", **options)

    def test_ldap3_s_unsealed_ntlm_runs_by_no_way(self) -> None:
        authority = saslsspi.MemoryAuthority({"alice": "wonderland"})
        with running(LdapServer(authority=authority, realm="r")) as server:
            target = ldap3.Server("localhost", port=server.port, get_info=ldap3.NONE)
            with Connection(target, mechanism="DIGEST-MD5", credentials=("alice", "wonderland")) as connection:
                with pytest.raises(saslsspi.InvalidParameter, match="GSS-SPNEGO"):
                    connection.rebind(user="D\\alice", password="wonderland", authentication=ldap3.NTLM)
                connection.user, connection.password = "D\\alice", "wonderland"
                connection.authentication = ldap3.NTLM
                with pytest.raises(saslsspi.InvalidParameter, match="GSS-SPNEGO"):
                    connection.bind()
                connection.authentication = ldap3.ANONYMOUS
                with pytest.raises(saslsspi.InvalidParameter, match="takes no user"):
                    connection.bind()
