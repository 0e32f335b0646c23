"""Nothing that a peer sends raises anything but our own errors, and parsers give back what they were given."""

import random
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.digest.http.web import Browser, Site, made_signature
from saslsspi.errors import InvalidToken, SaslError
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.digest.http.messages import AuthenticationInfo, HttpChallenge, HttpResponse

TEXT = st.binary(max_size=20).filter(lambda octets: not any(o < 32 or o == 127 for o in octets))
NAME = TEXT.filter(bool)
HEX = st.text("0123456789abcdef", min_size=32, max_size=32).map(str.encode)


def mutated(token: bytes, number: random.Random) -> bytes:
    octets = bytearray(token)
    for _ in range(number.randint(1, 4)):
        at = number.randrange(len(octets))
        match number.randrange(4):
            case 0:
                octets[at] = number.randrange(256)
            case 1:
                del octets[at : at + number.randrange(1, 30)]
            case 2:
                octets[at:at] = number.randbytes(number.randrange(1, 10))
            case _:
                octets[at:at] = number.choice((b",", b'"', b"=", b"\\", b"\r\n", b"username*=UTF-8''%", b"nc=ffffffff"))
        octets = octets or bytearray(b"x")
    return bytes(octets)


def test_mutated_tokens_end_in_our_own_errors() -> None:
    number = random.Random(8)
    site, client = Site(), Browser()
    challenge = site.challenge()
    token = client.answer(challenge)
    info = site.accept(token).token
    following = made_signature(client.handle, b"GET", b"/2")
    for _ in range(400):
        for made, act in (
            (challenge, lambda made: Browser().answer(made)),
            (token, site.accept),
            (following, site.accept),
            (info, AuthenticationInfo.from_bytes),
        ):
            try:
                act(mutated(made, number))
            except SaslError:
                continue


@given(TEXT, NAME, st.sampled_from(sorted(ALGORITHMS)), st.lists(st.sampled_from([b"auth", b"auth-int"]), max_size=2),
       st.none() | TEXT, st.booleans(), st.booleans(), st.booleans())  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_a_challenge_reads_as_it_was_written(
    realm: bytes, nonce: bytes, name: bytes, qop: list[bytes], opaque: bytes | None, stale: bool, utf8: bool, h: bool
) -> None:  # fmt: skip
    made = HttpChallenge(realm, nonce, ALGORITHMS[name], tuple(qop), opaque, stale, (b"/a", b"http://h/b"), utf8, h)
    assert HttpChallenge.from_bytes(made.to_bytes()) == made


@given(NAME, TEXT, TEXT, TEXT, HEX, NAME, st.none() | TEXT, st.booleans())
@settings(max_examples=100, deadline=None)
def test_credentials_read_as_they_were_written(
    name: bytes, realm: bytes, nonce: bytes, uri: bytes, value: bytes, cnonce: bytes, opaque: bytes | None, star: bool
) -> None:  # fmt: skip
    made = HttpResponse(
        name, realm, nonce, uri, value, ALGORITHMS[b"md5"], b"auth", cnonce, b"00000001", opaque, extended=star
    )
    assert HttpResponse.from_bytes(made.to_bytes()) == made


@given(HEX, NAME, st.none() | NAME)
@settings(max_examples=50, deadline=None)
def test_a_proof_reads_as_it_was_written(value: bytes, cnonce: bytes, following: bytes | None) -> None:
    made = AuthenticationInfo(value, b"auth", cnonce, b"00000001", following)
    assert AuthenticationInfo.from_bytes(made.to_bytes()) == made


@pytest.mark.parametrize("reader", [HttpChallenge.from_bytes, HttpResponse.from_bytes, AuthenticationInfo.from_bytes])
def test_a_message_that_is_too_long_is_refused_unread(reader: object) -> None:
    with pytest.raises(InvalidToken, match="must be shorter"):
        reader(b"a=b," * 3000)  # type: ignore[operator]


def test_too_many_challenges_are_refused() -> None:
    with pytest.raises(InvalidToken, match="too many"):
        Browser().answer(b'realm="r", nonce="n", algorithm=x\r\n' * 17)


def test_the_scheme_before_a_value_is_skipped() -> None:
    assert HttpChallenge.from_bytes(b'DIGEST realm="r", nonce="n"').realm == b"r"


def test_an_extended_name_is_utf_8_in_percent_form() -> None:
    for value in (b"ISO-8859-1''x", b"UTF-8'x", b"x"):
        with pytest.raises(InvalidToken):
            HttpResponse.from_bytes(b"username*=%b, realm=r, nonce=n, uri=u, response=%b" % (value, b"0" * 32))
    made = HttpResponse.from_bytes(b"username*=utf-8'en'%%C3%%A4, realm=r, nonce=n, uri=u, response=%b" % (b"0" * 32))
    assert made.username.decode() == unquote("%C3%A4")
