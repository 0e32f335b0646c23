"""What our client sends, and what it makes of servers that were made by hand."""

import hashlib

import pytest

from packages.digest.http.web import PASSWORD, URI, USER, Browser, Site, body_hash, made_signature, policy, verified
from packages.digest.scripted import parse_strictly
from saslsspi import Policy, Tolerances, sspi
from saslsspi.errors import (
    IncompleteCredentials,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    MutualAuthFailed,
    QopNotSupported,
    TargetUnknown,
)
from saslsspi.packages.digest.http.messages import HttpChallenge, HttpResponse
from saslsspi.sspi import IscReq, SecurityStatus

MUTUAL = int(IscReq.ISC_REQ_MUTUAL_AUTH)
SIGN = int(IscReq.ISC_REQ_INTEGRITY)
PLAIN = b'realm="r", nonce="n", qop="auth,foo", opaque="o p", algorithm=MD5, foo=bar'


def answer(challenge: bytes = PLAIN, **more: object) -> HttpResponse:
    return HttpResponse.from_bytes(Browser(**more).answer(challenge))  # type: ignore[arg-type]


@pytest.mark.requirement("RFC7616-3.4-01", "RFC2617-3.1.3-01", "RFC7616-3.4-02", "RFC2617-3.2.2-04", "RFC2617-3.2.2-06")
@pytest.mark.requirement("RFC2617-3.2.2-03", "SSPI-ISC-DIGEST-25", "SSPI-ISC-DIGEST-42", "MSDPSP-3.2.5.2-01")
def test_credentials_have_quotes_where_the_rfc_wants_them() -> None:
    made = dict(parse_strictly(Browser().answer(PLAIN).replace(b", ", b",")))
    quoted = {name for name, value in made.items() if value.startswith(b'"')}
    assert quoted == {"username", "realm", "nonce", "uri", "response", "cnonce", "opaque"}
    assert made["qop"] == b"auth"
    assert made["nc"] == b"00000001"
    assert made["uri"] == f'"{URI}"'.encode()
    assert len(made["response"]) == 34
    assert made["response"] == made["response"].lower()


@pytest.mark.requirement("RFC2617-3.2.1-07", "RFC2617-3.2.2-01", "MSDPSP-3.1.5.4-01")
def test_opaque_and_algorithm_come_back_unchanged() -> None:
    assert answer(PLAIN.replace(b"o p", b"O p")).opaque == b"O p"
    assert answer().algorithm.name == b"MD5"
    assert answer(PLAIN.replace(b"MD5", b"SHA-256")).algorithm.name == b"SHA-256"
    assert answer(b'realm="r", nonce="n", qop="auth"').opaque is None


@pytest.mark.requirement("RFC2617-3.2.1-13", "RFC2617-3.2.1-14", "RFC2617-3.2.2-02")
def test_unknown_options_and_directives_are_ignored() -> None:
    assert answer().qop == b"auth"


@pytest.mark.requirement("RFC2617-3.2.1-10")
def test_a_missing_algorithm_means_md5() -> None:
    assert answer(b'realm="r", nonce="n", qop="auth"').algorithm.name == b"MD5"


@pytest.mark.requirement("RFC2617-3.2.1-11", "RFC7616-3.3-07")
def test_the_first_known_challenge_is_answered() -> None:
    lines = b'realm="r", nonce="n", qop="auth", algorithm=%b'
    token = b"\r\n".join(lines % name for name in (b"SHA-3", b"SHA-256", b"MD5"))
    assert answer(token).algorithm.name == b"SHA-256"
    assert answer(token, policy=policy("MD5")).algorithm.name == b"MD5"
    with pytest.raises(InvalidToken, match="algorithm"):
        answer(lines % b"SHA-3")


@pytest.mark.requirement("RFC2617-3.2.2-05", "RFC2617-3.2.2-07")
def test_without_qop_there_is_neither_cnonce_nor_nc() -> None:
    token = Browser().answer(b'realm="r", nonce="n"')
    assert b"cnonce" not in token
    assert b"nc=" not in token
    assert b"qop" not in token


def test_a_policy_can_refuse_a_challenge_without_qop() -> None:
    with pytest.raises(QopNotSupported):
        answer(b'realm="r", nonce="n"', policy=policy(answer_without_qop=False))
    with pytest.raises(QopNotSupported):
        answer(b'realm="r", nonce="n"', policy=Policy(min_ssf=1), flags=SIGN)
    with pytest.raises(MutualAuthFailed):
        answer(b'realm="r", nonce="n"', flags=MUTUAL)


@pytest.mark.requirement("SSPI-ISC-DIGEST-43", "SSPI-ISC-DIGEST-44", "MSDPSP-3.1.4-01")
def test_method_and_entity_go_into_the_response() -> None:
    challenge = b'realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256'

    def value(flags: int, method: bytes, body: bytes) -> bytes:
        client = Browser(flags=flags)
        client.credential._environment = client.credential._environment.__class__(random=bytes)
        return HttpResponse.from_bytes(client.answer(challenge, method, body_hash(body))).response

    assert value(0, b"GET", b"") != value(0, b"POST", b"")
    assert value(0, b"GET", b"1") == value(0, b"GET", b"2")
    assert value(SIGN, b"GET", b"1") != value(SIGN, b"GET", b"2")


@pytest.mark.requirement("SSPI-ISC-DIGEST-41")
def test_a_missing_buffer_is_an_invalid_token() -> None:
    with pytest.raises(InvalidToken, match="method"):
        Browser().answer(PLAIN, b"")
    with pytest.raises(InvalidToken, match="challenge"):
        Browser().answer(b"")
    with pytest.raises(InvalidToken, match="hex digits"):
        Browser(flags=SIGN).answer(
            b'realm="r", nonce="n", qop="auth-int"', b"GET", body_hash(b"")
        )  # SHA-256's, not MD5's
    with pytest.raises(TargetUnknown):
        Browser().answer(PLAIN, uri="/tee?größe=1")


@pytest.mark.requirement("RFC7616-3.4-03", "RFC7616-3.4-04")
def test_a_name_beyond_ascii_goes_into_the_extended_directive() -> None:
    token = Browser("Jäsøn Doe").answer(PLAIN + b", charset=UTF-8")
    assert b"username*=UTF-8''J%C3%A4s%C3%B8n%20Doe" in token
    assert b"username=" not in token
    assert HttpResponse.from_bytes(token).username == "Jäsøn Doe".encode()


@pytest.mark.requirement("RFC7616-3.4-05")
def test_a_hashed_name_is_never_extended() -> None:
    token = Browser("Jäsøn Doe").answer(PLAIN + b", charset=UTF-8, userhash=true")
    assert b"username*" not in token
    assert b"userhash=true" in token


@pytest.mark.requirement("RFC7616-4-01")
def test_names_and_passwords_are_composed_before_they_are_hashed() -> None:
    site = Site()
    decomposed = Browser("Ja\u0308søn Doe", "Secret, or not?")
    assert site.accept(decomposed.answer(site.challenge())).user == "Jäsøn Doe"


UTF8 = Policy(tolerances=Tolerances.DEFAULT | Tolerances.UTF8_WITHOUT_CHARSET)


@pytest.mark.parametrize(
    ("user", "password", "wanted", "encoding", "named"),
    [
        ("jörg", "größe", None, "latin-1", ()),
        ("alice", "größe", None, "latin-1", ()),
        ("Ondřej", "heslíčko", None, "utf-8", ("UTF8_WITHOUT_CHARSET",)),
        ("jörg", "пароль", None, "utf-8", ("UTF8_WITHOUT_CHARSET",)),
        ("jörg", "größe", UTF8, "utf-8", ("UTF8_WITHOUT_CHARSET",)),
        ("alice", "größe", UTF8, "utf-8", ("UTF8_WITHOUT_CHARSET",)),
        ("alice", "wonderland", UTF8, "utf-8", ()),
    ],
)
def test_a_challenge_without_charset_leaves_latin_1_where_it_fits_and_utf8_where_a_policy_says_so(
    user: str, password: str, wanted: Policy | None, encoding: str, named: tuple[str, ...]
) -> None:
    client = Browser(user, password, policy=wanted or Policy())
    sent = HttpResponse.from_bytes(client.answer(b'realm="r", nonce="n", qop="auth"'))
    assert sent.username == user.encode(encoding)
    ha1 = hashlib.md5(b":".join((sent.username, b"r", password.encode(encoding)))).hexdigest()
    a2 = hashlib.md5(b"GET:" + URI.encode()).hexdigest()
    right = f"{ha1}:n:00000001:{sent.cnonce.decode()}:auth:{a2}"
    assert sent.response.decode() == hashlib.md5(right.encode()).hexdigest()
    assert client.handle._context.outcome.tolerances == named  # type: ignore[union-attr]


def test_challenges_that_cannot_be_used_or_read_are_passed_over() -> None:
    good = b'realm="r", nonce="n", qop="auth", algorithm=SHA-256'
    useless = (
        b'realm="r", nonce="n", qop="auth", algorithm=SHA-512',
        b'realm="r", qop="auth"',
        b'realm="r", nonce="n',
        b'realm="r", nonce="n", algorithm="\xff"',
        b'realm="r", realm="s", nonce="n"',
        b"",
    )
    for line in useless:
        assert HttpResponse.from_bytes(Browser().answer(line + b"\n" + good)).algorithm.name == b"SHA-256"
        with pytest.raises(InvalidToken):
            Browser().answer(line or b"x")
    with pytest.raises(InvalidToken):
        Browser().answer(b"\n".join([useless[0]] * 16 + [good]))
    with pytest.raises(InvalidToken):
        Browser().answer(good + b" " * (1 << 18))


def test_a_name_with_a_colon_cannot_log_on() -> None:
    with pytest.raises(InvalidParameter):
        answer(user="a:b")


def test_no_header_field_takes_a_line_end_from_a_name() -> None:
    with pytest.raises(InvalidToken, match="control"):
        answer(user="a\r\nX-Admin")


def test_a_credential_for_another_realm_stays_at_home() -> None:
    with pytest.raises(IncompleteCredentials):
        answer(realm="elsewhere")
    assert answer(realm="r").realm == b"r"


@pytest.mark.requirement("RFC2617-3.2.3-06")
@pytest.mark.parametrize("info", [b"", b'rspauth="00", nc=00000001', b"nonsense", b'nextnonce="x"'])
def test_who_demands_mutual_authentication_fails_without_the_proof(info: bytes) -> None:
    site, client = Site(), Browser(flags=MUTUAL)
    site.accept(client.answer(site.challenge()))
    assert client.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    with pytest.raises((MutualAuthFailed, InvalidToken)):
        client.answer(info)


def test_mutual_authentication_completes_with_the_proof() -> None:
    site, client = Site(), Browser(flags=MUTUAL)
    proof = site.accept(client.answer(site.challenge())).token
    assert not client.attributes & MUTUAL
    assert client.answer(proof) == b""
    assert client.status is SecurityStatus.SEC_E_OK
    assert client.attributes & MUTUAL


@pytest.mark.requirement("SSPI-ISC-DIGEST-29", "SSPI-ISC-DIGEST-30")
def test_without_the_demand_the_attributes_do_not_claim_it() -> None:
    client = Browser()
    client.answer(PLAIN)
    assert client.status is SecurityStatus.SEC_E_OK
    assert not client.attributes & MUTUAL
    assert client.attributes & IscReq.ISC_REQ_HTTP


@pytest.mark.requirement("RFC2617-3.2.1-08")
def test_a_stale_nonce_is_answered_anew_and_a_refusal_is_not() -> None:
    client = Browser(flags=MUTUAL)
    client.answer(PLAIN)
    again = HttpResponse.from_bytes(client.answer(b'realm="r", nonce="m", qop="auth", algorithm=MD5, stale=TRUE'))
    assert again.nonce == b"m"
    for refusal in (b"", b", stale=false", b", stale=FALSE"):
        client = Browser(flags=MUTUAL)
        client.answer(PLAIN)
        with pytest.raises(LogonDenied):
            client.answer(PLAIN.replace(b'nonce="n"', b'nonce="k"') + refusal)


@pytest.mark.requirement("RFC2617-3.3-01")
def test_a_new_challenge_begins_a_new_session() -> None:
    client = Browser()
    first = HttpResponse.from_bytes(client.answer(PLAIN))
    made_signature(client.handle, b"GET", b"/2")
    second = HttpResponse.from_bytes(client.answer(b'realm="r", nonce="m", qop="auth"'))
    assert (second.nonce, second.nc) == (b"m", b"00000001")
    assert second.cnonce != first.cnonce


@pytest.mark.requirement("RFC2617-3.2.3-01")
def test_nextnonce_is_used_in_the_next_request() -> None:
    site, client = Site(policy=policy(nextnonce=True)), Browser()
    info = site.accept(client.answer(site.challenge())).token
    verified(client.handle, info)
    token = made_signature(client.handle, b"GET", b"/2")
    sent = HttpResponse.from_bytes(token)
    assert sent.nc == b"00000001"
    assert b'nextnonce="' + sent.nonce in info
    assert site.accept(token).user == USER


def test_a_challenge_without_nonce_or_realm_is_refused() -> None:
    for challenge in (b'realm="r"', b'nonce="n"', b'realm="r", nonce=""', b"x", b'realm="r", realm="r", nonce="n"'):
        with pytest.raises(InvalidToken):
            answer(challenge)


@pytest.mark.parametrize(
    ("challenge", "name"),
    [
        (b'realm="r", nonce="n", qop=auth', "BARE_LIST"),
        (b'realm="r", nonce="n", qop="auth", algorithm="MD5"', "QUOTED_ALGORITHM"),
        (b'realm="r", nonce="n", qop="auth", charset="UTF-8"', "QUOTED_CHARSET"),
        (b'realm="r", nonce="n", qop="auth", stale="false"', "QUOTED_NUMBER"),
    ],
)
def test_departures_are_tolerated_by_name(challenge: bytes, name: str) -> None:
    assert HttpChallenge.from_bytes(challenge, Tolerances.DEFAULT).tolerances == Tolerances[name]
    with pytest.raises(InvalidToken):
        answer(challenge, policy=Policy(tolerances=Tolerances.NONE))
    assert answer(challenge).qop == b"auth"


def test_no_secret_is_in_what_objects_show_of_themselves() -> None:
    site, client = Site(), Browser()
    answered = site.accept(client.answer(site.challenge()))
    for thing in (client.handle, answered.context, client.credential, client.handle._context.outcome.protection):  # type: ignore[union-attr]
        assert PASSWORD not in repr(thing)


@pytest.mark.requirement("RFC7616-3.4-09", "RFC2617-3.2.2.5-01")
@pytest.mark.parametrize("uri", ["/tea?cups=2", "http://example.test/tea?cups=2", "*", "example.test:443"])
def test_the_uri_has_the_form_of_the_request_line(uri: str) -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge(), uri=uri)
    assert HttpResponse.from_bytes(token).uri == uri.encode()
    answer = site.accept(token)
    assert sspi.query_context_attributes(answer.context, sspi.SecPkgContextTarget).target_name == uri
