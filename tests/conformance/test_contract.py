"""The contract checks of any mechanism, on ours: what a plugin author does with one import."""

from __future__ import annotations

import saslsspi
from saslsspi_conformance.contract import MechanismContract

_ALICE = saslsspi.Password("alice", "wonderland")
_ACCOUNTS = saslsspi.MemoryAuthority({"alice": "wonderland"})


class TestDigestMd5(MechanismContract):
    mechanism = "DIGEST-MD5"
    credentials = _ALICE
    authority = _ACCOUNTS
    realm = "example.test"


class TestPlain(MechanismContract):
    mechanism = "PLAIN"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestScramSha256(MechanismContract):
    mechanism = "SCRAM-SHA-256"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestExternal(MechanismContract):
    mechanism = "EXTERNAL"
    authority = _ACCOUNTS
    external_identity = "alice"


class TestNtlm(MechanismContract):
    mechanism = "NTLM"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestGssSpnego(MechanismContract):
    mechanism = "GSS-SPNEGO"
    credentials = _ALICE
    authority = _ACCOUNTS
