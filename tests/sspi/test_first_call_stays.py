"""Sentences of the pages that can be read in two ways: what a first call asked, and what a call supplies."""

from __future__ import annotations

import pytest

from saslsspi import MemoryAuthority, errors, sspi
from saslsspi.sspi import (
    AscReq,
    CredentialUse,
    CredsspCred,
    Environment,
    IscReq,
    IscRet,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
    WinNTAuthIdentity,
)

TOKEN = SecBufferType.SECBUFFER_TOKEN
ALICE = WinNTAuthIdentity("alice", "example.test", "wonderland", package_list="ntlm")
SUPPLIED = int(IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
SIGN = int(IscReq.ISC_REQ_INTEGRITY)


def _client(package: str) -> sspi.CredHandle:
    identity = CredsspCred(spnego=ALICE) if package == "CREDSSP" else None if package == "Schannel" else ALICE
    return sspi.acquire_credentials_handle(
        None, package, CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity
    ).credential


def _call(
    credential: sspi.CredHandle, context: sspi.CtxtHandle | None, flags: int, *inputs: SecBuffer
) -> tuple[sspi.InitializeContextResult, bytes]:
    output = SecBufferDesc([SecBuffer(None, TOKEN)])
    given = SecBufferDesc(list(inputs)) if inputs else None
    result = sspi.initialize_security_context(credential, context, "ldap/host", flags, 0, given, output)
    return result, output[0].data


def _digest_challenge() -> tuple[sspi.CredHandle, sspi.CtxtHandle, bytes]:
    people = Environment(authority=MemoryAuthority({"alice": "wonderland"}))
    server = sspi.acquire_credentials_handle(
        None, "WDigest", CredentialUse.SECPKG_CRED_INBOUND,
        auth_data=WinNTAuthIdentity(None, "example.test", None), environment=people,
    ).credential  # fmt: skip
    output = SecBufferDesc([SecBuffer(None, TOKEN)])
    begun = sspi.accept_security_context(server, None, None, int(AscReq.ASC_REQ_INTEGRITY), 0, output)
    return server, begun.context, output[0].data


@pytest.mark.parametrize("later", [0, SIGN])
def test_what_a_first_call_of_digest_without_a_challenge_asks_stays_in_force(later: int) -> None:
    _, _, challenge = _digest_challenge()
    credential = _client("WDigest")
    first, token = _call(credential, None, SIGN)
    assert (first.status, token) == (SecurityStatus.SEC_I_CONTINUE_NEEDED, b"")
    _, answer = _call(credential, first.context, later, SecBuffer(challenge, TOKEN))
    assert b"qop=auth-int" in answer


@pytest.mark.parametrize("package", ["NTLM", "Negotiate", "Schannel"])
def test_a_package_that_takes_no_credentials_in_a_call_goes_by_the_handles(package: str) -> None:
    first, token = _call(_client(package), None, SUPPLIED)
    assert first.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert token
    assert not first.attributes & IscRet.ISC_RET_USED_SUPPLIED_CREDS


def test_credssp_counts_what_its_handle_was_given_as_supplied() -> None:
    first, token = _call(_client("CREDSSP"), None, SUPPLIED)
    assert first.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert token


def test_digest_takes_supplied_credentials_from_the_call_alone() -> None:
    _, _, challenge = _digest_challenge()
    with pytest.raises(errors.NoCredentials):
        _call(_client("WDigest"), None, SUPPLIED | SIGN, SecBuffer(challenge, TOKEN))
