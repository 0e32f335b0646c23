"""Requests after the first: MakeSignature, VerifySignature, contexts found again by opaque, and replays."""

import pytest

from packages.digest.http.web import USER, Browser, Site, body_hash, made_signature, packed, policy, verified
from saslsspi import MemoryNonceStore, sspi
from saslsspi.errors import (
    BufferTooSmall,
    ContextMisuse,
    InvalidToken,
    MessageAltered,
    MutualAuthFailed,
    OutOfSequence,
    WrongPrincipal,
)
from saslsspi.packages.digest.http.messages import HttpChallenge, HttpResponse
from saslsspi.sspi import AscReq, IscReq, SecurityStatus

ALGORITHMS = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"]


def logged_on(**more: object) -> tuple[Site, Browser, sspi.CtxtHandle]:
    site, client = Site(**more), Browser()  # type: ignore[arg-type]
    return site, client, site.accept(client.answer(site.challenge())).context


@pytest.mark.requirement(
    "RFC2617-3.2.2-08", "RFC2617-3.3-02", "RFC2617-3.2.2.2-02", "MSDPSP-3.2.1-01", "RFC7616-3.3-01"
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_requests_count_up_under_one_nonce(algorithm: str) -> None:
    site, client, _ = logged_on(policy=policy(algorithm))
    for number in (2, 3, 4):
        token = made_signature(client.handle, b"POST", b"/order")
        assert HttpResponse.from_bytes(token).nc == b"%08x" % number
        answer = site.accept(token, b"POST")
        assert answer.status is SecurityStatus.SEC_I_COMPLETE_NEEDED
        assert answer.user == USER
        verified(client.handle, answer.token)


@pytest.mark.requirement("MSDPSP-3.3.1-01")
@pytest.mark.parametrize("store", [None, MemoryNonceStore()])
def test_a_session_is_found_by_any_context_of_the_handle(store: MemoryNonceStore | None) -> None:
    site, client, _ = logged_on(more={"nonce_store": store})
    token = made_signature(client.handle, b"GET", b"/2")
    assert site.accept(token).context._context.outcome.reauthenticated  # type: ignore[union-attr]


def test_verify_signature_takes_the_next_request_of_the_context() -> None:
    _, client, context = logged_on()
    for uri in (b"/2", b"/3"):
        verified(context, made_signature(client.handle, b"GET", uri), b"GET", uri)


@pytest.mark.requirement("RFC2617-3.2.2-09")
def test_a_repeated_request_is_out_of_sequence() -> None:
    site, client, context = logged_on()
    token = made_signature(client.handle, b"GET", b"/2")
    verified(context, token, b"GET", b"/2")
    with pytest.raises(OutOfSequence):
        verified(context, token, b"GET", b"/2")
    with pytest.raises(OutOfSequence):
        site.accept(token)
    verified(context, made_signature(client.handle, b"GET", b"/3"), b"GET", b"/3")


def test_a_skipped_count_is_out_of_sequence() -> None:
    _, client, context = logged_on()
    made_signature(client.handle, b"GET", b"/2")
    with pytest.raises(OutOfSequence):
        verified(context, made_signature(client.handle, b"GET", b"/3"), b"GET", b"/3")


@pytest.mark.requirement("RFC2617-3.2.2-09")
def test_the_first_request_cannot_be_repeated() -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    site.accept(token)
    with pytest.raises(OutOfSequence):
        site.accept(token)
    without_opaque = token.split(b", opaque")[0]
    with pytest.raises(OutOfSequence):
        site.accept(without_opaque)


def test_a_first_use_that_the_store_has_forgotten_is_stale_and_no_logon() -> None:
    store = MemoryNonceStore()
    site, client = Site(more={"nonce_store": store}), Browser()
    token = client.answer(site.challenge())
    site.accept(token)
    store.forget(HttpResponse.from_bytes(token).nonce)
    assert HttpChallenge.from_bytes(site.accept(token).token).stale


def test_a_count_above_one_on_an_unknown_nonce_is_stale() -> None:
    shared = policy(nonce_key=b"k" * 16)
    _, client, _ = logged_on(policy=shared)
    token = made_signature(client.handle, b"GET", b"/2")
    assert HttpChallenge.from_bytes(Site(policy=shared).accept(token).token).stale


def test_a_session_ends_with_its_nonce() -> None:
    site, client, _ = logged_on()
    token = made_signature(client.handle, b"GET", b"/2")
    site.now += 1000
    answer = site.accept(token)
    assert answer.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert HttpChallenge.from_bytes(answer.token).stale


@pytest.mark.parametrize("change", [(b"/2", b"/3"), (b"nc=00000002", b"nc=00000003"), (b'username="a', b'username="b')])
def test_an_altered_request_is_refused_and_costs_nothing(change: tuple[bytes, bytes]) -> None:
    _, client, context = logged_on()
    token = made_signature(client.handle, b"GET", b"/2")
    with pytest.raises(MessageAltered):
        verified(context, token.replace(*change), b"GET")
    verified(context, token, b"GET")


@pytest.mark.requirement("RFC2617-3.2.2.5-02")
def test_a_request_for_another_uri_is_refused() -> None:
    _, client, context = logged_on()
    with pytest.raises(WrongPrincipal):
        verified(context, made_signature(client.handle, b"GET", b"/2"), b"GET", b"/3")


def test_a_request_of_another_context_is_refused() -> None:
    site, _, context = logged_on()
    other = Browser()
    site.accept(other.answer(site.challenge()))
    with pytest.raises(MessageAltered):
        verified(context, made_signature(other.handle, b"GET", b"/2"), b"GET", b"/2")


def test_auth_int_signs_each_body() -> None:
    site, client = Site(int(AscReq.ASC_REQ_INTEGRITY)), Browser(flags=int(IscReq.ISC_REQ_INTEGRITY))
    context = site.accept(client.answer(site.challenge())).context
    token = made_signature(client.handle, b"PUT", b"/2", body_hash(b"tea"))
    with pytest.raises(MessageAltered):
        verified(context, token, b"PUT", b"/2", body_hash(b"coffee"))
    verified(context, token, b"PUT", b"/2", body_hash(b"tea"))


def test_a_buffer_that_is_too_small_loses_no_count() -> None:
    _, client, context = logged_on()
    with pytest.raises(BufferTooSmall):
        made_signature(client.handle, b"GET", b"/2", size=20)
    token = made_signature(client.handle, b"GET", b"/2", size=4096)
    assert HttpResponse.from_bytes(token).nc == b"00000002"
    verified(context, token, b"GET")


def test_make_signature_needs_method_and_uri() -> None:
    _, client, _ = logged_on()
    for parameters in ((), (b"GET",), (b"", b"/2")):
        with pytest.raises(InvalidToken):
            made_signature(client.handle, *parameters)


@pytest.mark.requirement("RFC2617-3.2.3-04")
def test_a_proof_for_another_request_is_refused() -> None:
    site, client, _ = logged_on()
    first = site.accept(made_signature(client.handle, b"GET", b"/2")).token
    site.accept(made_signature(client.handle, b"GET", b"/2"))
    with pytest.raises(MutualAuthFailed):
        verified(client.handle, first)


def test_complete_auth_token_is_due_only_where_it_was_asked_for() -> None:
    site, client = Site(), Browser()
    answer = site.accept(client.answer(site.challenge()))
    with pytest.raises(ContextMisuse):
        sspi.complete_auth_token(answer.context, packed(b""))


def test_without_completion_there_is_no_identity() -> None:
    site, client, _ = logged_on()
    output = sspi.SecBufferDesc([sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)])
    token = made_signature(client.handle, b"GET", b"/2")
    forged = HttpResponse.from_bytes(token)._replace(response=b"0" * 64).to_bytes()
    made, _, _, status = sspi.accept_security_context(
        site.credential, None, packed(forged, b"GET", b"", b"", b"example.test"), AscReq.ASC_REQ_HTTP, 0, output
    )
    assert status is SecurityStatus.SEC_I_COMPLETE_NEEDED
    with pytest.raises(ContextMisuse):
        sspi.query_context_attributes(made, sspi.SecPkgContextNames)
    with pytest.raises(MessageAltered):
        sspi.complete_auth_token(made, output)
    with pytest.raises(ContextMisuse):
        sspi.query_context_attributes(made, sspi.SecPkgContextNames)


def test_the_session_forms_keep_their_key_over_the_session() -> None:
    site, client, context = logged_on(policy=policy("SHA-256-sess"))
    before = context._context.outcome.protection.session_key  # type: ignore[union-attr]
    answer = site.accept(made_signature(client.handle, b"GET", b"/2"))
    assert answer.context._context.outcome.protection.session_key == before  # type: ignore[union-attr]
