"""What the acceptor decides: who passes, what is offered, and what is answered with which status."""

from base64 import b64decode

import pytest

from adapters.http.browser import PASSWORD, PEOPLE, REALM, USER, DigestClient, TokenClient, acceptor, offered, request
from saslsspi import MemoryAuthority, Policy, SaslError, sspi
from saslsspi.adapters.http import HttpAcceptor, HttpRequest, HttpUser, Inbound
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import BadBindings, InvalidParameter, InvalidToken, LogonDenied, OutOfSequence, WrongPrincipal
from saslsspi.sspi import ChannelBindingPolicy, Environment


@pytest.mark.requirement("RFC2617-3.2.1-01")
@pytest.mark.parametrize("credentials", ["", "Basic YWxpY2U6d29uZGVybGFuZA==", "Digest", "nonsense"])
def test_without_acceptable_credentials_a_request_is_challenged(credentials: str) -> None:
    verdict = acceptor(algorithms=("SHA-256", "MD5")).judge(request(credentials))
    if credentials == "Digest":  # directives are missing
        assert (verdict.user, verdict.status) == (None, 400)
        return
    assert (verdict.user, verdict.status) == (None, 401)
    assert [f"algorithm={name}" in line for name, line in zip(("SHA-256", "MD5"), offered(verdict), strict=True)]


def test_digest_needs_no_connection() -> None:
    site, client = acceptor(), DigestClient()
    verdict = site.judge(request(client.answer(offered(site.judge(request())))))
    assert isinstance(verdict.user, HttpUser)
    assert (verdict.status, verdict.user.scheme, verdict.user.username, verdict.user.security.realm) == (
        200, "Digest", USER, REALM,
    )  # fmt: skip
    ((name, proof),) = verdict.headers
    assert name == "Authentication-Info"
    client.verify(proof)
    again = site.judge(request(client.again("/more"), "/more"))
    assert again.user is not None
    client.verify(again.headers[0][1])


def test_a_wrong_password_is_challenged_again_and_not_called_stale() -> None:
    site, client = acceptor(), DigestClient(password="looking-glass")
    verdict = site.judge(request(client.answer(offered(site.judge(request())))))
    assert (verdict.user, verdict.status, type(verdict.error)) == (None, 401, LogonDenied)
    assert "stale" not in offered(verdict)[0]


def test_a_repeated_request_is_challenged_anew_as_stale() -> None:
    """Two connections may bring counts in another order: the client is told to go on with a new nonce."""
    site, client = acceptor(), DigestClient()
    first = client.answer(offered(site.judge(request())))
    assert site.judge(request(first)).user is not None
    for _ in range(2):
        verdict = site.judge(request(first))
        assert (verdict.user, verdict.status, type(verdict.error)) == (None, 401, OutOfSequence)
        assert offered(verdict)[0].endswith(", stale=true")
    assert site.judge(request(client.answer(offered(verdict)))).user is not None


@pytest.mark.requirement("RFC2617-3.2.2.5-02", "RFC2617-3.2.2.5-03")
@pytest.mark.parametrize("target", ["/te", "/tea?", "/tea/", "/tea?x=1", "*"])
def test_credentials_for_another_uri_are_a_bad_request(target: str) -> None:
    site, client = acceptor(), DigestClient()
    verdict = site.judge(request(client.answer(offered(site.judge(request()))), target))
    assert (verdict.user, verdict.status, verdict.headers, type(verdict.error)) == (None, 400, [], WrongPrincipal)


@pytest.mark.parametrize("target", ["/t%65a", "/tea"])
def test_a_uri_may_be_written_in_other_words(target: str) -> None:
    site, client = acceptor(), DigestClient()
    assert site.judge(request(client.answer(offered(site.judge(request())), target), "/tea")).user is not None


@pytest.mark.requirement("RFC2617-3.2.2-11")
def test_malformed_digest_credentials_are_a_bad_request() -> None:
    verdict = acceptor().judge(request('Digest username="alice", response="zz"'))
    assert verdict.status == 400
    assert isinstance(verdict.error, InvalidToken)


@pytest.mark.requirement("RFC2617-3.6-01")
def test_a_proxy_has_status_and_fields_of_its_own() -> None:
    site, client = acceptor(proxy=True), DigestClient()
    assert site.credentials_field == "Proxy-Authorization"
    verdict = site.judge(request())
    assert (verdict.status, {name for name, _ in verdict.headers}) == (407, {"Proxy-Authenticate"})
    passed = site.judge(request(client.answer(offered(verdict))))
    assert [name for name, _ in passed.headers] == ["Proxy-Authentication-Info"]


def test_ntlm_authenticates_its_connection_and_no_other() -> None:
    site, client = acceptor("NTLM", "Digest"), TokenClient()
    verdict = site.judge(request(client.step(), connection="one"))
    assert (verdict.status, len(verdict.headers)) == (401, 1)
    answer = client.step(b64decode(offered(verdict, "NTLM")[0]))
    passed = site.judge(request(answer, connection="one"))
    assert passed.user is not None
    assert (passed.user.scheme, passed.user.username, passed.headers) == ("NTLM", USER, [])
    assert site.judge(request(connection="one")).user == passed.user
    assert site.judge(request(connection="two")).status == 401
    assert site.judge(request(connection=None)).status == 401
    site.forget("one")
    assert site.judge(request(connection="one")).status == 401


def test_a_logon_cannot_go_on_over_another_connection() -> None:
    site, client = acceptor("NTLM"), TokenClient()
    verdict = site.judge(request(client.step(), connection="one"))
    answer = client.step(b64decode(offered(verdict, "NTLM")[0]))
    assert site.judge(request(answer, connection="two")).user is None
    assert site.judge(request(answer, connection="one")).user is not None


def test_whoever_begins_anew_is_nobody_until_it_is_done() -> None:
    site, client = acceptor("NTLM"), TokenClient()
    verdict = site.judge(request(client.step(), connection="one"))
    assert site.judge(request(client.step(b64decode(offered(verdict, "NTLM")[0])), connection="one")).user
    other = TokenClient(password="wrong")
    verdict = site.judge(request(other.step(), connection="one"))
    assert site.judge(request(other.step(b64decode(offered(verdict, "NTLM")[0])), connection="one")).user is None
    assert site.judge(request(connection="one")).status == 401


def test_what_needs_a_connection_is_not_offered_without_one() -> None:
    site = acceptor("NTLM", "Negotiate", "Digest")
    assert [value.split(" ")[0] for _, value in site.judge(request()).headers] == ["Negotiate", "Digest"]
    assert [value for _, value in site.judge(request(connection=1)).headers][:2] == ["NTLM", "Negotiate"]
    assert site.judge(request(TokenClient().step())).user is None
    refused = site.judge(request(TokenClient("Negotiate").step()))
    assert [value.split(" ")[0] for _, value in refused.headers] == ["Negotiate", "Digest"]
    assert offered(refused, "Negotiate") == [""]  # a second token would find nothing to go on with


@pytest.mark.parametrize("token", ["", "!!!!", "TlRMTVNTUAA=", "A" * 200_000, "é"])
def test_bad_tokens_are_refused_and_raise_nothing(token: str) -> None:
    for scheme in ("NTLM", "Negotiate"):
        verdict = acceptor(scheme).judge(request(f"{scheme} {token}", connection="one"))
        assert (verdict.user, verdict.status) == (None, 401)


def test_a_client_without_bindings_is_refused_where_they_are_required() -> None:
    policy = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    site = HttpAcceptor.of(PEOPLE, ["NTLM"], realm=REALM, policy=policy)
    tls = ChannelBindings(application_data=b"tls-server-end-point:" + b"\x17" * 32)
    client = TokenClient()
    verdict = site.judge(request(client.step(), connection="one", bindings=tls))
    refused = site.judge(request(client.step(b64decode(offered(verdict, "NTLM")[0])), connection="one", bindings=tls))
    assert (refused.user, type(refused.error)) == (None, BadBindings)


def test_schemes_and_realm_are_checked_at_once() -> None:
    with pytest.raises(InvalidParameter):
        HttpAcceptor({})
    with pytest.raises(InvalidParameter):
        HttpAcceptor({"Basic": Inbound("NTLM", Environment(authority=PEOPLE))})
    with pytest.raises(InvalidParameter):
        HttpAcceptor.of(PEOPLE, ["Digest"], realm="")


def test_secrets_are_not_shown() -> None:
    site, client = acceptor(), DigestClient()
    sent = request(client.answer(offered(site.judge(request()))))
    verdict = site.judge(sent)
    assert "response" not in repr(sent)
    assert PASSWORD not in repr(verdict)


def test_a_handle_of_sspi_serves_as_well() -> None:
    environment = sspi.Environment(authority=MemoryAuthority({"alice": "wonderland"}))
    handle = sspi.acquire_credentials_handle(
        None, "WDigest", sspi.CredentialUse.SECPKG_CRED_INBOUND, environment=environment
    ).credential
    assert HttpAcceptor({"Digest": handle}, realm="r").judge(HttpRequest(method="GET", targets=("/",))).status == 401
    with pytest.raises(SaslError):
        HttpAcceptor({"Digest": sspi.CredHandle()}, realm="r")
