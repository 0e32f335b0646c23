"""Clients that have the NT hash of a password and not the password: NTOWF is all that NTLM uses (MS-NLMP 3.3)."""

from __future__ import annotations

import copy

import pytest

import saslsspi
from saslsspi import (
    Client,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    NtHash,
    NtlmPolicy,
    NtlmResponses,
    Policy,
    Server,
    sspi,
)
from saslsspi.context import Context
from saslsspi.errors import InvalidParameter, LogonDenied, NoCredentials, SaslError, UnknownCredentials
from saslsspi.packages.ntlm.keys import nt_hash
from saslsspi.sspi import IscReq

HASH = nt_hash("wonderland")
PEOPLE = MemoryAuthority({"alice": "wonderland"})
NTLM_ONLY = NegotiatePolicy(packages="NTLM")


def logged_on(package: str, credentials: NtHash, policy: Policy | None = None, flags: int = 0) -> Context:
    policy = policy or Policy()
    client = Context.initiate(package, target="HTTP/h", credentials=credentials, policy=policy, flags=flags)
    server = Context.accept(package, authority=PEOPLE, policy=policy)
    token = client.step()
    while not (client.done and server.done):
        token = server.step(token)
        if not client.done:
            token = client.step(token)
    return server


@pytest.mark.parametrize(
    "given", [HASH, HASH.hex(), "aad3b435b51404eeaad3b435b51404ee:" + HASH.hex(), HASH.hex().upper()]
)
@pytest.mark.parametrize("package", ["NTLM", "Negotiate", "CREDSSP"])
def test_the_hash_is_enough(package: str, given: bytes | str) -> None:
    server = logged_on(package, NtHash("alice", given), Policy(negotiate=NTLM_ONLY))
    assert server.security.authcid == "alice"


@pytest.mark.parametrize("mechanism", ["NTLM", "GSS-SPNEGO"])
def test_the_mechanisms_take_it(mechanism: str) -> None:
    policy = Policy(negotiate=NTLM_ONLY)
    client = Client(mechanism, service="ldap", host="h", credentials=NtHash("alice", HASH), policy=policy)
    server = Server(mechanism, service="ldap", host="h", authority=PEOPLE, policy=policy)
    token = client.start()
    while not (client.done and server.done):
        answer = server.step(token)
        if not client.done:
            token = client.step(answer)
    assert server.security.authcid == "alice"
    assert client.layer is not None
    assert server.layer is not None
    assert server.layer.unwrap(client.layer.wrap(b"sealed")) == b"sealed"


@pytest.mark.parametrize("responses", [NtlmResponses.V1, NtlmResponses.V1 | NtlmResponses.LM])
def test_version_1_takes_it_where_it_is_named(responses: NtlmResponses) -> None:
    ntlm = NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=56)
    assert logged_on("NTLM", NtHash("alice", HASH), Policy(ntlm=ntlm)).done


def test_another_hash_is_a_wrong_password() -> None:
    with pytest.raises(LogonDenied):
        logged_on("NTLM", NtHash("alice", bytes(16)))


def test_negotiate_falls_to_ntlm() -> None:
    """Kerberos cannot use it, and says so among the reasons."""
    server = logged_on("Negotiate", NtHash("alice", HASH))
    assert server.security.negotiated == "NTLM"


def test_what_needs_the_password_refuses_the_hash() -> None:
    with pytest.raises(UnknownCredentials):
        Context.initiate("WDigest", target="ldap/h", credentials=NtHash("alice", HASH))
    with pytest.raises(SaslError):
        Client("SCRAM-SHA-256", service="ldap", host="h", credentials=NtHash("alice", HASH))


def test_a_hash_is_not_handed_over() -> None:
    credssp = CredSspPolicy(allow_fresh=("*",), allow_fresh_ntlm_only=("*",))
    with pytest.raises(NoCredentials):
        logged_on(
            "CREDSSP",
            NtHash("alice", HASH),
            Policy(negotiate=NTLM_ONLY, credssp=credssp),
            int(IscReq.ISC_REQ_DELEGATE),
        )


def test_no_repr_shows_it() -> None:
    credentials = NtHash("alice", HASH.hex(), realm="DOM")
    identity = sspi.NtHashIdentity("alice", "DOM", HASH)
    for shown in (repr(credentials), str(credentials), repr(identity), repr(copy.copy(credentials))):
        assert HASH.hex() not in shown
        assert repr(HASH) not in shown
    assert saslsspi.NtHash is NtHash


@pytest.mark.parametrize("given", ["", "wonderland", HASH.hex()[:-1], HASH + b"x", b"", "LM:" + HASH.hex() + "00"])
def test_what_is_none_is_refused_and_not_repeated(given: bytes | str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        NtHash("alice", given)
    assert "wonderland" not in str(caught.value)
    assert HASH.hex()[:8] not in str(caught.value)
