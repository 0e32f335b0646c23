"""What our server takes, refuses and answers."""

import logging
from typing import Any

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
from saslsspi import Account, MemoryAuthority, MemoryNonceStore, Policy, Tolerances, sspi
from saslsspi.accounts import Authority
from saslsspi.accounts.account import Question
from saslsspi.accounts.authority import SingleAccount
from saslsspi.crypto.md5 import md5
from saslsspi.errors import (
    InvalidToken,
    LogonDenied,
    MessageAltered,
    MutualAuthFailed,
    OutOfSequence,
    QopNotSupported,
    SaslError,
)
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, Algorithm, request_value
from saslsspi.packages.digest.http.messages import AuthenticationInfo, HttpChallenge, HttpResponse
from saslsspi.packages.digest.http.protection import described
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


@pytest.mark.requirement("RFC2617-3.2.1-09")
def test_a_wrong_response_in_a_session_that_has_grown_old_is_not_called_stale() -> None:
    site, client = Site(), Browser()
    site.accept(client.answer(site.challenge()))
    token = made_signature(client.handle, b"GET", b"/2")
    forged = HttpResponse.from_bytes(token)._replace(response=b"0" * 64).to_bytes()
    site.now += 1000
    with pytest.raises(MessageAltered):
        site.accept(forged)
    assert HttpChallenge.from_bytes(site.accept(token).token).stale


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


def test_a_nonce_of_another_server_is_stale_and_a_shared_store_makes_it_ours() -> None:
    def crossed(shared: Policy, store: object) -> bytes:
        """What one server makes of the answer to another's challenge."""
        one, other = (Site(policy=shared, more={"nonce_store": store() if callable(store) else store}) for _ in "12")
        return one.accept(Browser().answer(other.challenge())).token

    assert HttpChallenge.from_bytes(crossed(policy(), None)).stale
    assert HttpChallenge.from_bytes(crossed(policy(nonce_key=b"k" * 32), None)).stale
    assert HttpChallenge.from_bytes(crossed(policy(nonce_key=b"k" * 32), MemoryNonceStore)).stale
    assert AuthenticationInfo.from_bytes(crossed(policy(), MemoryNonceStore())).rspauth
    assert AuthenticationInfo.from_bytes(crossed(policy(nonce_key=b"k" * 32), MemoryNonceStore())).rspauth


@pytest.mark.parametrize("store", ["each its own", "shared"])
def test_one_recorded_request_is_taken_by_one_server_at_most(store: str) -> None:
    shared = MemoryNonceStore()
    sites = [
        Site(policy=policy(nonce_key=b"k" * 32), more={"nonce_store": shared if store == "shared" else None})
        for _ in range(4)
    ]
    recorded = Browser().answer(sites[0].challenge(), b"POST")
    taken = 0
    for site in sites:
        try:
            answer = site.accept(recorded, b"POST")
        except OutOfSequence:
            continue
        if answer.status is SecurityStatus.SEC_I_CONTINUE_NEEDED:
            challenge = HttpChallenge.from_bytes(answer.token)
            assert challenge.stale, "an honest client follows, and asks nobody"
            assert site.accept(Browser().answer(answer.token)).user == USER
        else:
            taken += 1
    assert taken == 1


@pytest.mark.parametrize("kept", [1, 2, 16])
def test_a_request_stays_used_however_many_logons_come_after_it(kept: int) -> None:
    """Another user's logons push nothing of hers out, and her own leave a watermark."""
    for others in ("Jäsøn Doe", USER):
        site = Site(more={"nonce_store": MemoryNonceStore(kept)})
        recorded = Browser().answer(site.challenge())
        assert site.accept(recorded).user == USER
        for _ in range(3 * kept):
            more = Browser(others, "Secret, or not?" if others != USER else "wonderland")
            assert site.accept(more.answer(site.challenge())).user == others
        try:
            answer = site.accept(recorded)
        except OutOfSequence:
            pass
        else:
            assert HttpChallenge.from_bytes(answer.token).stale
        assert site.accept(Browser().answer(site.challenge())).user == USER


def test_one_users_logons_end_no_session_of_another() -> None:
    site, alice = Site(more={"nonce_store": MemoryNonceStore(8)}), Browser()
    site.accept(alice.answer(site.challenge()))
    for _ in range(100):
        site.accept(Browser("Jäsøn Doe", "Secret, or not?").answer(site.challenge()))
    assert site.accept(made_signature(alice.handle, b"GET", b"/2")).user == USER


def test_without_tolerances_the_announced_encoding_alone_is_accepted() -> None:
    """Who writes ISO 8859-1 and hashes UTF-8 is requests; who hashes ISO 8859-1 and announces nothing, old browsers."""
    for wire, hashed, named in (("latin-1", "utf-8", "HASH_UTF8"), ("utf-8", "latin-1", "HASH_LATIN1")):
        for strict in (False, True):
            base = Policy(tolerances=Tolerances.NONE) if strict else Policy()
            site = Site(policy=policy("MD5", base=base))
            client = Browser("Jäsøn Doe", "Secret, or not?")
            made = HttpResponse.from_bytes(client.answer(site.challenge()))
            ha1 = md5(b":".join(("Jäsøn Doe".encode(hashed), made.realm, b"Secret, or not?"))).hexdigest().encode()
            changed = made._replace(username="Jäsøn Doe".encode(wire), extended=False)
            value = request_value(made.algorithm, ha1, described(changed, b"GET", b""))
            token = changed._replace(response=value).to_bytes()
            if strict:
                with pytest.raises(LogonDenied):
                    site.accept(token)
            else:
                answer = site.accept(token)
                assert answer.user == "Jäsøn Doe"
                assert answer.context._context.outcome.tolerances == (named,)  # type: ignore[union-attr]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
@pytest.mark.parametrize("tolerances", [Tolerances.NONE, Tolerances.DEFAULT])
def test_a_wrong_password_costs_the_same_whoever_it_is_for(algorithm: str, tolerances: Tolerances) -> None:
    counts = []
    for secret in (None, {"password": "x"}, {"password": "größe"}, {"password": "пароль"}, {"ha1": bytes(16)}):
        asked = 0

        class Knowing(Authority):
            def lookup(self, question: Question, secret: dict[str, Any] | None = secret) -> Account | None:
                nonlocal asked
                asked += 1
                return None if secret is None else Account(username=question.username, **secret)

        site = Site(policy=policy(algorithm, base=Policy(tolerances=tolerances)), more={"authority": Knowing()})
        token = Browser(password="guess").answer(site.challenge())
        hashed = 0
        row = ALGORITHMS[algorithm.lower().encode()]

        def digest(data: bytes, row: Algorithm = row) -> bytes:
            nonlocal hashed
            hashed += 1
            return row.digest(data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ALGORITHMS, algorithm.lower().encode(), row._replace(digest=digest))
            with pytest.raises(LogonDenied):
                Site.accept(site, token)
        counts.append((asked, hashed))
    assert len(set(counts)) == 1
    assert counts[0][1] >= 3


def test_a_hashed_name_beyond_ascii_is_nobodys() -> None:
    site = Site(policy=policy(userhash=True))
    token = Browser().answer(site.challenge())
    name = HttpResponse.from_bytes(token).username
    with pytest.raises(LogonDenied):
        site.accept(token.replace(name, "é".encode() * 64))
    alone = Site(policy=policy(userhash=True), more={"authority": SingleAccount(Account(username=USER, password="x"))})
    with pytest.raises(LogonDenied):
        alone.accept(Browser().answer(alone.challenge()).replace(name, "é".encode() * 64))


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


@pytest.mark.requirement("RFC7616-3.4-05")
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
    assert outcome.account == PEOPLE.lookup(sspi.Question(USER, REALM, (sspi.Secret.PASSWORD,))).shown


def test_messages_are_not_for_http() -> None:
    site, client = Site(), Browser()
    site.accept(client.answer(site.challenge()))
    desc = sspi.SecBufferDesc([sspi.SecBuffer(bytearray(b"x"), sspi.SecBufferType.SECBUFFER_DATA)])
    with pytest.raises(SaslError):
        sspi.encrypt_message(client.handle, 0, desc, 0)
    with pytest.raises(SaslError) as caught:
        sspi.decrypt_message(client.handle, desc, 0)
    assert caught.value.status is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
