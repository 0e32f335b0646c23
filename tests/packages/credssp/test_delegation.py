"""Who gets credentials, and that nothing secret is made before the policy has agreed."""

from __future__ import annotations

import pytest

from packages.credssp.ours import (
    DELEGATE,
    DOMAIN,
    PASSWORD,
    TOLD,
    USER,
    client_side,
    logged_on,
    server_side,
    watch,
)
from saslsspi import errors, sspi
from saslsspi.packages.credssp.credential import CredsspCredential
from saslsspi.sspi import CredentialKind, CredsspCred, CredSspPolicy, IscReq, SchCredentials, WinNTAuthIdentity
from saslsspi.testbed.certificates import make_certificates


@pytest.mark.requirement("MSCSSP-1.6-01", "MSCSSP-3.1.1-01", "MSCSSP-5.1-02", "SSPI-ISC-CREDSSP-91",
    "SSPI-ISC-CREDSSP-41")  # fmt: skip
@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (CredSspPolicy(), False),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/host.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("http/HOST.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("*",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*.example.org", "TERMSRV/*")), False),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/host.example.org", "HTTP/hos")), False),
        (CredSspPolicy(allow_saved_ntlm_only=("*",), allow_default_ntlm_only=("*",)), False),
    ],
)
def test_only_a_named_target_gets_credentials(
    monkeypatch: pytest.MonkeyPatch, policy: CredSspPolicy, allowed: bool
) -> None:
    sealed: list[bytes] = []
    from saslsspi.packages.credssp.exchange import CredsspExchange

    original = CredsspExchange._wrap
    monkeypatch.setattr(
        CredsspExchange, "_wrap", lambda exchange, text: (sealed.append(text), original(exchange, text))[1]
    )
    client = client_side(TOLD | DELEGATE, policy)
    if allowed:
        logged_on(client)
        assert any(PASSWORD.encode("utf-16-le") in text for text in sealed)
    else:
        with pytest.raises(errors.DelegationPolicy):
            client.step()
        assert sealed == []
    logged_on(client_side(TOLD, policy))  # empty credentials go anywhere


@pytest.mark.requirement("SSPI-ISC-CREDSSP-92")
def test_a_server_that_proved_nothing_gets_no_credentials_of_the_stricter_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.PolicyNtlmOnly):
        logged_on(client_side(TOLD | DELEGATE, CredSspPolicy(allow_fresh=("*",))))
    assert not any(message.pub_key_auth or message.auth_info for message in sent)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-93", "SSPI-ISC-CREDSSP-40")
def test_mutual_auth_without_a_server_that_proved_itself_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.MutualAuthFailed):
        logged_on(client_side(TOLD | IscReq.ISC_REQ_MUTUAL_AUTH))
    assert not any(message.pub_key_auth or message.auth_info for message in sent)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-92", "SSPI-ISC-CREDSSP-93")
def test_a_trusted_certificate_proves_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = make_certificates(tmp_path_factory.mktemp("certificates"), "x")
    target = "HTTP/localhost"
    policy = CredSspPolicy(allow_fresh=(target,), authorities=str(made.authority))
    flags = TOLD | DELEGATE | IscReq.ISC_REQ_MUTUAL_AUTH
    server = server_side(identity=CredsspCred(schannel=SchCredentials(certificate=str(made.server))))
    client, server = logged_on(client_side(flags, policy, target=target), server)
    assert client.attributes & sspi.IscRet.ISC_RET_MUTUAL_AUTH
    assert client.query(sspi.SecPkgContextCertTrustStatus).trusted
    with pytest.raises(errors.MutualAuthFailed):  # it is the certificate of another host
        logged_on(client_side(flags, CredSspPolicy(allow_fresh=("*",), authorities=str(made.authority))), server_side(
            identity=CredsspCred(schannel=SchCredentials(certificate=str(made.server)))))  # fmt: skip


@pytest.mark.requirement("SSPI-ISC-CREDSSP-93")
def test_a_wrong_proof_of_a_trusted_server_is_a_failure_of_mutual_authentication(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from saslsspi.packages.credssp import server as module

    made = make_certificates(tmp_path_factory.mktemp("certificates"), "x")
    policy = CredSspPolicy(authorities=str(made.authority))
    server = server_side(identity=CredsspCred(schannel=SchCredentials(certificate=str(made.server))))
    monkeypatch.setattr(module, "server_proof", lambda *arguments: bytes(32))
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.MutualAuthFailed):
        logged_on(client_side(TOLD | IscReq.ISC_REQ_MUTUAL_AUTH, policy, target="HTTP/localhost"), server)
    assert not any(message.auth_info for message in sent)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-36")
def test_credentials_that_are_to_be_supplied_and_are_not_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    client = client_side(TOLD | IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
    held = client.credential._credential
    assert isinstance(held, CredsspCredential)
    monkeypatch.setattr(held, "identity", None)  # the user's own tickets, say
    with pytest.raises(errors.NoCredentials):
        client.step()
    assert sent == []


@pytest.mark.requirement("SSPI-ISC-CREDSSP-36")
def test_nothing_is_delegated_that_is_not_there() -> None:
    identity = CredsspCred(spnego=WinNTAuthIdentity(USER, DOMAIN, None), kind=CredentialKind.FRESH)
    with pytest.raises(errors.NoCredentials):
        client_side(TOLD | DELEGATE, CredSspPolicy(allow_fresh_ntlm_only=("*",)), identity=identity).step()


def test_a_policy_of_nonsense_is_an_invalid_parameter() -> None:
    for arguments in ({"minimum_version": 1}, {"version": 7}, {"minimum_version": 6, "version": 5},
                      {"allow_fresh": ("a*b*",)}):  # fmt: skip
        with pytest.raises(errors.InvalidParameter):
            CredSspPolicy(**arguments)  # type: ignore[arg-type]
