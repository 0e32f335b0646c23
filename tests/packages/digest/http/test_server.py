"""What our server takes, refuses and answers."""

import logging

import pytest

from packages.digest.http.web import (
    PEOPLE,
    REALM,
    URI,
    USER,
    Browser,
    Site,
    body_hash,
    made_signature,
    policy,
    verified,
)
from saslsspi import Account, MemoryAuthority, Policy, Tolerances, sspi
from saslsspi.errors import InvalidToken, LogonDenied, MutualAuthFailed, QopNotSupported, SaslError
from saslsspi.packages.digest.http.messages import AuthenticationInfo, HttpChallenge, HttpResponse
from saslsspi.sspi import AscReq, IscReq, SecurityStatus

SIGN = int(IscReq.ISC_REQ_INTEGRITY)


@pytest.mark.requirement("RFC7616-3.5-01", "RFC7616-3.5-02", "RFC2617-3.2.3-02", "RFC2617-3.2.3-04", "RFC2617-3.2.3-05")
@pytest.mark.requirement("MSDPSP-3.1.5.1-01")
def test_success_brings_the_servers_proof() -> None:
    site, client = Site(), Browser()
    sent = client.answer(site.challenge())
    request, info = HttpResponse.from_bytes(sent), AuthenticationInfo.from_bytes(site.accept(sent).token)
    assert (info.qop, info.cnonce, info.nc) == (request.qop, request.cnonce, request.nc)
    assert len(info.rspauth) == 64


@pytest.mark.requirement("RFC2617-3.2.2-10")
def test_unknown_directives_are_ignored() -> None:
    site, client = Site(), Browser()
    assert site.accept(client.answer(site.challenge()) + b", foo=bar").user == USER


@pytest.mark.requirement("RFC2617-3.2.2-11")
@pytest.mark.parametrize("name", [b"username", b"realm", b"nonce", b"uri", b"response", b"cnonce", b"nc"])
def test_a_missing_directive_is_an_invalid_token(name: bytes) -> None:
    """SEC_E_INVALID_TOKEN is what the middleware answers with 400."""
    site, client = Site(), Browser()
    parts = client.answer(site.challenge()).split(b", ")
    with pytest.raises(InvalidToken):
        site.accept(b", ".join(part for part in parts if not part.startswith(name + b"=")))


@pytest.mark.parametrize(
    "change", [(b"nc=00000001", b"nc=1"), (b"nc=00000001", b"nc=0000000g"), (b'cnonce="', b'cnonce="",x="')]
)
def test_a_malformed_directive_is_an_invalid_token(change: tuple[bytes, bytes]) -> None:
    site, client = Site(), Browser()
    with pytest.raises(InvalidToken):
        site.accept(client.answer(site.challenge()).replace(*change))


@pytest.mark.requirement("RFC2617-3.2.2-12")
def test_refusals_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    site, client = Site(), Browser(password="looking-glass")
    with caplog.at_level(logging.WARNING, "saslsspi.audit"), pytest.raises(LogonDenied):
        site.accept(client.answer(site.challenge()))
    assert "alice" in caplog.text
    assert "looking-glass" not in caplog.text


@pytest.mark.parametrize(("user", "password"), [(USER, "x"), ("mallory", "wonderland"), ("mallory", "")])
def test_unknown_users_and_wrong_passwords_look_alike(user: str, password: str) -> None:
    site, client = Site(), Browser(user, password)
    with pytest.raises(LogonDenied) as caught:
        site.accept(client.answer(site.challenge()))
    assert str(caught.value.text) == "the user is unknown or the password is wrong"


@pytest.mark.requirement("RFC2617-3.2.1-09")
def test_a_wrong_password_on_an_old_nonce_is_not_called_stale() -> None:
    site, client = Site(), Browser(password="x")
    token = client.answer(site.challenge())
    site.now += 1000
    with pytest.raises(LogonDenied):
        site.accept(token)


@pytest.mark.requirement("RFC2617-3.3-03")
def test_an_old_nonce_with_the_right_digest_is_stale() -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    site.now += 1000
    answer = site.accept(token)
    assert answer.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    challenge = HttpChallenge.from_bytes(answer.token)
    assert challenge.stale
    assert site.accept(client.answer(answer.token)).user == USER


def test_a_nonce_of_another_server_is_stale_and_a_shared_key_makes_it_ours() -> None:
    client = Browser()
    assert HttpChallenge.from_bytes(Site().accept(client.answer(Site().challenge())).token).stale
    shared = policy(nonce_key=b"k" * 32)
    client = Browser()
    assert Site(policy=shared).accept(client.answer(Site(policy=shared).challenge())).user == USER


@pytest.mark.requirement("RFC7616-3.4-06", "RFC7616-3.4-08")
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256-sess"])
def test_a_hashed_name_finds_its_account(algorithm: str) -> None:
    site, client = Site(policy=policy(algorithm, userhash=True)), Browser("Jäsøn Doe", "Secret, or not?")
    token = client.answer(site.challenge())
    assert b"J" not in HttpResponse.from_bytes(token).username
    assert site.accept(token).user == "Jäsøn Doe"
    assert site.accept(made_signature(client.handle, b"GET", b"/2")).user == "Jäsøn Doe"


@pytest.mark.requirement("RFC7616-3.4-07")
def test_a_name_in_clear_is_refused_only_by_policy() -> None:
    for wanted, works in ((policy(), True), (policy(require_userhash=True), False)):
        site, client = Site(policy=wanted), Browser()
        token = client.answer(site.challenge())
        if works:
            assert site.accept(token).user == USER
        else:
            with pytest.raises(LogonDenied):
                site.accept(token)


@pytest.mark.requirement("RFC7616-3.4-04", "RFC7616-3.4-05")
@pytest.mark.parametrize("extra", [b", username*=UTF-8''bob", b", username*=UTF-8''bob, userhash=true"])
def test_two_names_are_refused(extra: bytes) -> None:
    site, client = Site(), Browser()
    with pytest.raises(InvalidToken):
        site.accept(client.answer(site.challenge()) + extra)


def test_an_extended_name_beside_userhash_is_refused() -> None:
    site, client = Site(), Browser("Jäsøn Doe", "Secret, or not?")
    with pytest.raises(InvalidToken):
        site.accept(client.answer(site.challenge()) + b", userhash=true")


@pytest.mark.requirement("RFC7616-3.4-03")
def test_an_extended_name_logs_on() -> None:
    site, client = Site(), Browser("Jäsøn Doe", "Secret, or not?")
    assert site.accept(client.answer(site.challenge())).user == "Jäsøn Doe"


def test_a_name_in_latin_1_logs_on_with_its_hash_in_latin_1() -> None:
    site, client = Site(policy=policy("MD5")), Browser("Jäsøn Doe", "Secret, or not?")
    challenge = site.challenge().replace(b", charset=UTF-8", b"")
    assert site.accept(client.answer(challenge)).user == "Jäsøn Doe"


@pytest.mark.requirement("MSDPSP-2.2-01")
def test_a_single_backslash_may_be_an_unescaped_one() -> None:
    site, client = Site(), Browser("DOM\\bob", "builder")
    token = client.answer(site.challenge()).replace(b"DOM\\\\bob", b"DOM\\bob")
    answer = site.accept(token)
    assert answer.user == "DOM\\bob"
    assert answer.context._context.outcome.tolerances == ("BARE_BACKSLASH",)  # type: ignore[union-attr]
    strict = Site(policy=Policy(tolerances=Tolerances.NONE))
    client = Browser("DOM\\bob", "builder")
    with pytest.raises(LogonDenied):
        strict.accept(client.answer(strict.challenge()).replace(b"DOM\\\\bob", b"DOM\\bob"))


@pytest.mark.requirement("MSDPSP-3.2.1-02", "MSDPSP-3.2.5.2-02")
def test_a_quoted_qop_is_tolerated_by_name() -> None:
    site, client = Site(), Browser()
    answer = site.accept(client.answer(site.challenge()).replace(b"qop=auth", b'qop="auth"'))
    assert answer.context._context.outcome.tolerances == ("QUOTED_QOP",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        (b"algorithm=SHA-256", b"algorithm=SHA-512-256"),
        (f'realm="{REALM}"'.encode(), b'realm="other"'),
        (b'opaque="', b'opaque="0'),
        (b"qop=auth", b"qop=auth-int"),
        (f'uri="{URI}"'.encode(), b'uri="/admin"'),
    ],
)
def test_what_the_client_changes_is_refused(change: tuple[bytes, bytes]) -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    assert token != token.replace(*change)
    with pytest.raises((LogonDenied, QopNotSupported)):
        site.accept(token.replace(*change))


def test_another_method_is_refused() -> None:
    site, client = Site(), Browser()
    with pytest.raises(LogonDenied):
        site.accept(client.answer(site.challenge()), b"DELETE")


def test_auth_int_covers_both_bodies() -> None:
    site, client = Site(int(AscReq.ASC_REQ_INTEGRITY)), Browser(flags=SIGN)
    answer = site.accept(client.answer(site.challenge(), b"POST", body_hash(b"tea")), b"POST", body_hash(b"tea"))
    assert answer.token == b""
    assert answer.attributes & AscReq.ASC_REQ_INTEGRITY
    assert client.attributes & SIGN
    info = made_signature(answer.context, body_hash(b"a cup"))
    verified(client.handle, info, body_hash(b"a cup"))
    with pytest.raises(MutualAuthFailed):
        verified(client.handle, info, body_hash(b"coffee"))


@pytest.mark.requirement("RFC2617-3.2.2.3-01")
def test_another_body_is_refused_under_auth_int() -> None:
    site, client = Site(int(AscReq.ASC_REQ_INTEGRITY)), Browser(flags=SIGN)
    with pytest.raises(LogonDenied):
        site.accept(client.answer(site.challenge(), b"POST", body_hash(b"tea")), b"POST", body_hash(b"coffee"))


def test_auth_int_that_is_required_is_not_traded_away() -> None:
    site, client = Site(int(AscReq.ASC_REQ_INTEGRITY)), Browser()
    with pytest.raises(QopNotSupported):
        client.answer(site.challenge())


@pytest.mark.requirement("RFC2617-3.2.2.1-02")
def test_credentials_without_qop_are_taken_by_policy_and_once() -> None:
    site, client = Site(policy=policy("MD5", accept_without_qop=True)), Browser()
    challenge = site.challenge().replace(b', qop="auth"', b"")
    token = client.answer(challenge)
    assert site.accept(token).user == USER
    strict = Site(policy=policy("MD5"))
    with pytest.raises(QopNotSupported):
        strict.accept(Browser().answer(strict.challenge().replace(b', qop="auth"', b"")))


def test_a_stored_hash_serves_md5_and_no_other_algorithm() -> None:
    import hashlib

    ha1 = hashlib.md5(f"carol:{REALM}:cake".encode()).digest()
    people = MemoryAuthority([Account(username="carol", realm=REALM, ha1=ha1)])
    for algorithm, works in (("MD5", True), ("MD5-sess", True), ("SHA-256", False)):
        site, client = Site(policy=policy(algorithm), more={"authority": people}), Browser("carol", "cake")
        token = client.answer(site.challenge())
        if works:
            assert site.accept(token).user == "carol"
        else:
            with pytest.raises(LogonDenied):
                site.accept(token)


def test_the_context_tells_user_realm_and_uri() -> None:
    site, client = Site(), Browser()
    context = site.accept(client.answer(site.challenge())).context
    outcome = context._context.outcome  # type: ignore[union-attr]
    assert outcome is not None
    assert (outcome.username, outcome.realm, outcome.target) == (USER, REALM, URI)
    assert sspi.query_context_attributes(context, sspi.SecPkgContextTarget).target_name == URI
    assert outcome.account == PEOPLE.lookup(sspi.Question(USER, REALM, (sspi.Secret.PASSWORD,)))


def test_messages_are_not_for_http() -> None:
    site, client = Site(), Browser()
    site.accept(client.answer(site.challenge()))
    desc = sspi.SecBufferDesc([sspi.SecBuffer(bytearray(b"x"), sspi.SecBufferType.SECBUFFER_DATA)])
    with pytest.raises(SaslError):
        sspi.encrypt_message(client.handle, 0, desc, 0)
    with pytest.raises(SaslError) as caught:
        sspi.decrypt_message(client.handle, desc, 0)
    assert caught.value.status is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
