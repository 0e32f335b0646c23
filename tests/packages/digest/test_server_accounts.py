"""Whom our server lets in: accounts, authorization identities, and who answers for them (RFC 2831 2.1.2 and 3.9)."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from packages.digest.ours import joined, new_client, new_server, refuse, run
from packages.digest.scripted import PASSWORD, REALM, USER, ScriptedClient, values
from pair import establish
from saslsspi import (
    Account,
    FileAuthority,
    HtdigestAuthority,
    MemoryAuthority,
    MemoryNonceStore,
    Pending,
    Policy,
    sspi,
)
from saslsspi.accounts.account import Question, Secret
from saslsspi.errors import (
    LogonDenied,
    NoAuthenticatingAuthority,
    NoImpersonation,
    SaslError,
)
from saslsspi.status import SecurityStatus


@pytest.mark.requirement("RFC2831-2.1.2-62", "RFC2831-2.1.2.1-04")
def test_a_permitted_authorization_identity_is_in_force() -> None:
    chris = Account(username=USER, password=PASSWORD, may_act_as=frozenset({"admin", "josé"}))
    for authzid in ("admin", "josé", USER):
        server, _ = run(ScriptedClient(authzid=authzid.encode()), new_server(authority=MemoryAuthority([chris])))
        assert (server.security.authzid, server.security.authcid) == (authzid, USER)


@pytest.mark.requirement("RFC2831-2.1.2-63", "RFC2831-2.1.2-64")
def test_an_authorization_identity_that_is_not_permitted_is_refused() -> None:
    error = refuse(ScriptedClient(authzid=b"admin"), NoImpersonation)
    assert error.status is SecurityStatus.SEC_E_NO_IMPERSONATION


@pytest.mark.requirement("RFC2831-2.1.2-64", "RFC2831-2.1.2.1-04")
def test_an_authorization_identity_that_was_slipped_in_is_refused() -> None:
    chris = Account(username=USER, password=PASSWORD, may_act_as=frozenset({"admin"}))
    refuse(ScriptedClient(changes={"authzid": b'"admin"'}), LogonDenied, new_server(authority=MemoryAuthority([chris])))


@pytest.mark.requirement("RFC2831-2.1.2-66", "RFC6331-1-02")
def test_an_empty_authorization_identity_counts_in_the_hash_and_means_ones_own() -> None:
    server, _ = run(ScriptedClient(authzid=b""))
    assert server.security.authzid == ""
    refuse(ScriptedClient(changes={"authzid": b'""'}), LogonDenied)


@pytest.mark.requirement("RFC2831-3-09", "RFC2831-1-02")
def test_the_hash_of_http_digest_suffices() -> None:
    stored = Account(username=USER, realm=REALM, ha1=ScriptedClient().inner_hash())
    server, _ = run(ScriptedClient(), new_server(authority=MemoryAuthority([stored])))
    assert server.security.account == stored.shown
    refuse(ScriptedClient(password=b"wrong"), LogonDenied, new_server(authority=MemoryAuthority([stored])))


@pytest.mark.requirement("RFC2831-1-02", "RFC2831-3-09")
def test_an_htdigest_file_suffices(tmp_path: Path) -> None:
    path = tmp_path / "htdigest"
    path.touch(mode=0o600)
    path.write_text(f"{USER}:{REALM}:{ScriptedClient().inner_hash().hex()}\n")
    run(ScriptedClient(), new_server(authority=HtdigestAuthority(path)))


@pytest.mark.requirement("RFC2831-3-07")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_of_secrets_that_others_may_read_is_reported(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "accounts"
    path.write_text(f"{USER}:{REALM}:{ScriptedClient().inner_hash().hex()}\n")
    path.chmod(mode)
    with pytest.warns(UserWarning, match="others may read it"):
        HtdigestAuthority(path)
    path.write_text('[accounts]\nchris = "secret"\n')
    with pytest.warns(UserWarning, match="others may read it"):
        FileAuthority(path)
    path.chmod(0o600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FileAuthority(path)


@pytest.mark.requirement("RFC6331-1-05")
def test_a_renamed_user_needs_a_new_hash() -> None:
    renamed = Account(username="christine", realm=REALM, ha1=ScriptedClient().inner_hash())
    server = new_server(authority=MemoryAuthority([renamed]))
    refuse(ScriptedClient(username=b"christine"), LogonDenied, server)


@pytest.mark.requirement("RFC2831-2.1.3-02")
def test_the_authority_is_asked_for_the_hash_before_the_password() -> None:
    asked = []

    class Spy:
        def lookup(self, question: Question) -> Account | None:
            asked.append(question)
            return Account(username=question.username, password=PASSWORD)

    run(ScriptedClient(), new_server(authority=Spy()))
    assert asked == [Question(USER, REALM, (Secret.HA1, Secret.PASSWORD))]


def test_an_authority_that_fails_is_no_wrong_password() -> None:
    class Broken:
        def lookup(self, question: Question) -> Account | None:
            raise ConnectionError("the directory is down")

    error = refuse(ScriptedClient(), NoAuthenticatingAuthority, new_server(authority=Broken()))
    assert error.status is SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY


def test_an_account_without_a_usable_secret_is_as_good_as_none() -> None:
    class Useless:
        def lookup(self, question: Question) -> Account | None:
            return Account(username=question.username, nt_hash=bytes(16))

    refuse(ScriptedClient(password=b""), LogonDenied, new_server(authority=Useless()))


def test_a_question_can_be_answered_by_the_caller() -> None:
    server = new_server()
    challenge = server.begin(None)
    assert isinstance(challenge, bytes)
    script = ScriptedClient()
    pending = server.begin(script.answer(challenge))
    assert isinstance(pending, Pending)
    assert pending.question.username == USER
    assert server.resume(Account(username=USER, password=PASSWORD)) == b"rspauth=" + script.rspauth()
    assert server.done


@pytest.mark.requirement("MSDPSP-3.1.4-01")
@pytest.mark.parametrize(
    ("client_flags", "qop", "granted"),
    [
        (0, b"auth", 0),
        (sspi.IscReq.ISC_REQ_INTEGRITY, b"auth-int", sspi.IscRet.ISC_RET_INTEGRITY),
        (sspi.IscReq.ISC_REQ_REPLAY_DETECT, b"auth-int", sspi.IscRet.ISC_RET_REPLAY_DETECT),
        (sspi.IscReq.ISC_REQ_SEQUENCE_DETECT, b"auth-int", sspi.IscRet.ISC_RET_SEQUENCE_DETECT),
        (sspi.IscReq.ISC_REQ_CONFIDENTIALITY, b"auth-conf", sspi.IscRet.ISC_RET_CONFIDENTIALITY),
    ],
)
def test_the_callers_flags_decide_on_the_layer(client_flags: int, qop: bytes, granted: int) -> None:
    identity = sspi.WinNTAuthIdentity("chris", "example.org", "secret")
    outbound = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    inbound = sspi.acquire_credentials_handle(None, "WDigest", 1, auth_data=identity).credential
    everything = sspi.AscReq.ASC_REQ_INTEGRITY | sspi.AscReq.ASC_REQ_CONFIDENTIALITY
    if client_flags != sspi.IscReq.ISC_REQ_CONFIDENTIALITY:
        everything = sspi.AscReq(0) if not client_flags else sspi.AscReq.ASC_REQ_INTEGRITY
    contexts = establish(outbound, inbound, "imap/h", client_flags, everything)
    response = next(message.octets for message in contexts.sent if b"username" in message.octets)
    assert values(response)["qop"] == qop
    assert int(contexts.client_attributes) & granted == granted
    layers = sspi.IscRet.ISC_RET_INTEGRITY | sspi.IscRet.ISC_RET_CONFIDENTIALITY
    assert bool(contexts.client_attributes & layers) == bool(client_flags)


@pytest.mark.requirement("RFC2831-2.1.3-12")
def test_after_success_the_nonce_is_stored_with_count_1() -> None:
    store = MemoryNonceStore()
    script = ScriptedClient()
    run(script, new_server(nonce_store=store))
    assert len(store) == 1
    assert store.find(script.nonce) is not None
    assert not store.advance(script.nonce, 1)
    assert store.advance(script.nonce, 2)
    refuse(ScriptedClient(password=b"wrong"), LogonDenied, new_server(nonce_store=store))
    assert len(store) == 1


@pytest.mark.requirement("RFC6331-1-04")
def test_names_are_not_normalized() -> None:
    composed, decomposed = "josé", "jose\u0301"
    joined(client=new_client(username=decomposed), server=new_server(authority={decomposed: PASSWORD}))
    with pytest.raises(LogonDenied):
        joined(client=new_client(username=decomposed), server=new_server(authority={composed: PASSWORD}))


def test_secrets_stay_out_of_repr_and_errors() -> None:
    server = new_server(authority={USER: "wonderland-7"})
    error = refuse(ScriptedClient(password=b"looking-glass-8"), LogonDenied, server)
    client, server = joined("rc4")
    for shown in (repr(error), str(error), repr(client.security), repr(server.security), repr(server.security.account)):
        assert "wonderland-7" not in shown
        assert "secret" not in shown


def test_a_policy_that_leaves_nothing_to_offer_is_told() -> None:
    with pytest.raises(SaslError) as caught:
        new_server(policy=Policy(min_ssf=129)).step(None)
    assert caught.value.status in (
        SecurityStatus.SEC_E_SECURITY_QOS_FAILED,
        SecurityStatus.SEC_E_QOP_NOT_SUPPORTED,
        SecurityStatus.SEC_E_DOWNGRADE_DETECTED,
    )
