"""Who logs on and with what: passwords, names, hashes, nobody, NTLMv1."""

from __future__ import annotations

import itertools

import pytest

from packages.ntlm.ends import TIMELESS, client, server, status, tampered
from packages.ntlm.tokens import (
    AUTHENTICATE,
    NEGOTIATE,
    changed,
    without_timestamp,
)
from saslsspi import (
    Account,
    MemoryAuthority,
    NtlmPolicy,
    Policy,
    SaslError,
    sspi,
)
from saslsspi.packages.ntlm.keys import nt_hash
from saslsspi.packages.ntlm.messages import Authenticate
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet, SecurityStatus
from sspi_context import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    DOMAIN,
    PASSWORD,
    SEAL,
    TARGET,
    USER,
    Context,
    client_credential,
    run,
    server_credential,
)


@pytest.mark.parametrize("password", ["wrong", "", "Wonderland"])
def test_a_wrong_password_is_denied(password: str) -> None:
    assert status(lambda: run(client(password=password), server())) is SecurityStatus.SEC_E_LOGON_DENIED


def test_an_unknown_user_is_denied_with_the_same_words() -> None:
    texts = set()
    for name, password in ((USER, "wrong"), ("mallory", PASSWORD)):
        with pytest.raises(SaslError) as caught:
            run(client(username=name, password=password), server())
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_an_account_without_a_usable_secret_is_denied() -> None:
    people = MemoryAuthority([Account(username=USER, ha1=bytes(16))])
    assert status(lambda: run(client(), server(authority=people))) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_one_handle_serves_both_sides(package: str) -> None:
    identity = sspi.WinNTAuthIdentity(USER, DOMAIN, PASSWORD)
    use = sspi.CredentialUse.SECPKG_CRED_BOTH
    credential = sspi.acquire_credentials_handle(None, package, use, auth_data=identity).credential
    ours, theirs = Context(credential, SEAL, TARGET), Context(credential, ACCEPT_SEAL)
    run(ours, theirs)
    for context in (ours, theirs):
        assert sspi.query_context_attributes(context, sspi.SecPkgContextNames).username == f"{DOMAIN}\\{USER}"


def test_an_nt_hash_suffices() -> None:
    theirs = server(authority=MemoryAuthority([Account(username=USER, nt_hash=nt_hash(PASSWORD))]))
    run(client(), theirs)
    assert theirs.complete


@pytest.mark.parametrize("name", ["ALICE", "Alice", "alice"])
def test_user_names_are_compared_without_case(name: str) -> None:
    theirs = server()
    run(client(username=name), theirs)
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextNames).username == USER


def test_a_domain_keeps_its_case_in_the_hash_and_names_the_account() -> None:
    people = MemoryAuthority([Account(username=USER, domain="DOM", password=PASSWORD)])
    theirs = server(authority=people)
    run(client(domain="dom"), theirs)
    assert theirs.complete
    other = server(authority=people)
    assert status(lambda: run(client(domain="ELSEWHERE"), other)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.parametrize("name", ["alice@dom.example", "DOM\\alice"])
def test_upn_and_down_level_names(name: str) -> None:
    people = MemoryAuthority([Account(username=USER, password=PASSWORD)])
    theirs = server(authority=people)
    run(client(username=name, domain=None), theirs)
    assert theirs.complete


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-04")
def test_a_response_that_was_computed_with_an_empty_domain_is_accepted() -> None:
    theirs = server(policy=TIMELESS)
    ours = client(0, domain="")
    greeting = ours.step()
    assert greeting is not None
    challenge = theirs.step(greeting)
    assert challenge is not None
    message = Authenticate.from_bytes(ours.step(without_timestamp(challenge)) or b"")
    theirs.step(message._replace(domain="DOM".encode("utf-16-le")).to_bytes())
    assert theirs.complete


def test_a_wrong_password_comes_before_a_wrong_mic() -> None:
    altered = changed(NEGOTIATE, lambda token: token[:32] + b"\x06" + token[33:])
    assert tampered(altered, client(password="wrong")) is SecurityStatus.SEC_E_LOGON_DENIED


def test_a_wrong_password_comes_before_a_wrong_time() -> None:
    late = itertools.chain([1e9] * 2, itertools.repeat(2e9))
    theirs = server(clock=lambda: next(late))
    assert status(lambda: run(client(password="wrong"), theirs)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-03", "MSNLMP-3.4-01")
def test_nobody_is_let_in_only_where_the_policy_says_so() -> None:
    ours = Context(client_credential(username="", password="", domain=""), 0, TARGET)
    assert status(lambda: run(ours, server())) is SecurityStatus.SEC_E_LOGON_DENIED
    for acceptor in (server(policy=Policy(allow_anonymous=True)), server(int(AscReq.ASC_REQ_ALLOW_NULL_SESSION))):
        ours = Context(client_credential(username="", password="", domain=""), SEAL, TARGET)
        run(ours, acceptor)
        assert acceptor.complete
        assert acceptor.attributes & ~AscRet.ASC_RET_ALLOCATED_MEMORY == AscRet.ASC_RET_NULL_SESSION
        assert ours.attributes & ~IscRet.ISC_RET_ALLOCATED_MEMORY == IscRet.ISC_RET_NULL_SESSION
        assert status(lambda ours=ours: ours.wrap(b"data")) is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED  # type: ignore[misc]
        assert sspi.query_context_attributes(acceptor, sspi.SecPkgContextNames).username == ""


def test_nobody_cannot_be_required_to_sign() -> None:
    ours = Context(client_credential(username="", password="", domain=""), SEAL, TARGET)
    theirs = server(ACCEPT_SIGN, Policy(allow_anonymous=True))
    assert status(lambda: run(ours, theirs)) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED


def test_a_named_user_can_ask_for_a_null_session() -> None:
    theirs = server(policy=Policy(allow_anonymous=True))
    run(client(int(IscReq.ISC_REQ_NULL_SESSION)), theirs)
    assert theirs.attributes & AscRet.ASC_RET_NULL_SESSION


@pytest.mark.requirement("MSNLMP-M-3.3-04")
def test_ntlm_v1_and_lm_are_refused_unless_named() -> None:
    for responses in (sspi.NtlmResponses.V1, sspi.NtlmResponses.V1 | sspi.NtlmResponses.LM):
        old = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
        acceptor = server(policy=Policy(ntlm=NtlmPolicy(extended_session_security=False, min_key_bits=40)))
        assert status(lambda o=old, a=acceptor: run(client(policy=o), a)) is SecurityStatus.SEC_E_LOGON_DENIED  # type: ignore[misc]
        acceptor = server(policy=old)
        run(client(policy=old), acceptor)
        assert acceptor.complete
        wrong, again = client(policy=old, password="wrong"), server(policy=old)
        assert status(lambda w=wrong, a=again: run(w, a)) is SecurityStatus.SEC_E_LOGON_DENIED  # type: ignore[misc]
    only_old = server(policy=Policy(ntlm=NtlmPolicy(responses=sspi.NtlmResponses.V1)))
    assert status(lambda: run(client(), only_old)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("MSNLMP-M-3.3-03")
def test_ntlm_v1_sends_no_lm_response_unless_the_policy_names_it() -> None:
    def answer(responses: sspi.NtlmResponses) -> Authenticate:
        policy = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
        return Authenticate.from_bytes(run(client(policy=policy), server(policy=policy))[AUTHENTICATE])

    plain = answer(sspi.NtlmResponses.V1)
    assert plain.lm_response == plain.nt_response
    both = answer(sspi.NtlmResponses.V1 | sspi.NtlmResponses.LM)
    assert both.lm_response != both.nt_response


def test_ntlm_v1_with_the_clients_challenge() -> None:
    policy = Policy(ntlm=NtlmPolicy(responses=sspi.NtlmResponses.V1))
    ours, theirs = client(policy=policy), server(policy=policy)
    tokens = run(ours, theirs)
    assert Authenticate.from_bytes(tokens[AUTHENTICATE]).lm_response[8:] == bytes(16)
    assert theirs.unwrap(ours.wrap(b"hello")) == b"hello"


def test_a_credential_without_a_password_is_no_credential() -> None:
    assert status(lambda: run(client(password=None), server())) is SecurityStatus.SEC_E_NO_CREDENTIALS
    assert status(lambda: sspi.acquire_credentials_handle(None, "NTLM", 2)) is SecurityStatus.SEC_E_NO_CREDENTIALS


def test_an_identity_without_a_user_is_taken_and_is_not_nobody() -> None:
    """Windows means whoever is logged on; here that is known when the server's challenge is to be answered."""
    unnamed = Context(client_credential(username=None), 0, "http/host.example")
    assert status(lambda: run(unnamed, server())) is SecurityStatus.SEC_E_NO_CREDENTIALS
    greeting = Context(client_credential(username=None), 0, "http/host.example").step()
    assert greeting is not None


def test_the_nt_hash_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.packages.ntlm import credential

    made = []

    def counting(password: str) -> bytes:
        made.append(password)
        return nt_hash(password)

    monkeypatch.setattr(credential, "nt_hash", counting)
    outbound, inbound = client_credential(), server_credential()
    for _ in range(3):
        run(Context(outbound, SEAL, TARGET), Context(inbound, ACCEPT_SEAL))
    assert made == [PASSWORD, PASSWORD]


def test_secrets_stay_out_of_representations() -> None:
    ours, theirs = client(), server()
    run(ours, theirs)
    credential = client_credential()
    shown = repr(credential) + repr(credential._credential) + repr(ours._context) + repr(theirs._context.outcome)  # type: ignore[union-attr]
    assert PASSWORD not in shown
    assert nt_hash(PASSWORD).hex() not in shown
