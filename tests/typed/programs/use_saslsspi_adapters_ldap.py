"""ldap3 with a layer; ldap3 has no types, so pyright judges this by its standard rules."""

# pyright: standard

from typing import assert_type

from ldap3 import Server  # type: ignore[import-untyped, unused-ignore]

from saslsspi import Password, Policy, Security
from saslsspi.adapters.ldap import BindRefused, Connection

with Connection(
    Server("ldap://ldap.example.test"),
    mechanism="DIGEST-MD5",
    credentials=Password("alice", "wonderland"),
    policy=Policy(min_ssf=112),
) as connection:
    assert_type(connection.security, Security | None)
    assert_type(connection.refusal, BindRefused | None)
