"""Authorities that verify tokens: JWT, and one that asks somebody."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pair import authenticate
from saslsspi import Account, Client, NoAuthenticatingAuthority, Server, Token, TokenRefused
from saslsspi.accounts import JwtAuthority, Question, Secret, TokenAuthority
from saslsspi.errors import InvalidParameter

jwt = pytest.importorskip("jwt")

KEY = b"0123456789abcdef0123456789abcdef"
OTHER = b"another key, of as many octets.."
COMMON: dict[str, Any] = {"service": "imap", "host": "h", "external_ssf": 256}
ASKED: dict[str, Any] = {"audience": "mail", "issuer": "https://login.example", "scope": "imap", "username": "email"}


def token(key: Any = KEY, algorithm: str = "HS256", headers: Any = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "email": "alice",
        "aud": "mail",
        "iss": "https://login.example",
        "scope": "openid imap",
        "exp": now + 600,
        "iat": now,
    } | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return str(jwt.encode(kept, key, algorithm=algorithm, headers=headers))


def logged_on(authority: TokenAuthority, given: str) -> str:
    server = Server("OAUTHBEARER", authority=authority, **COMMON)
    authenticate(Client("OAUTHBEARER", credentials=Token("", given), **COMMON), server)
    return server.security.authcid


@pytest.mark.requirement("RFC7628-3.2-01", "RFC7628-3.2-03")
def test_a_token_says_who_it_is() -> None:
    assert logged_on(JwtAuthority(KEY, algorithms=["HS256"], **ASKED), token()) == "alice"


@pytest.mark.requirement("RFC7628-3.2-01")
@pytest.mark.parametrize(
    "given",
    [
        token(exp=int(time.time()) - 1),
        token(exp=None),
        token(nbf=int(time.time()) + 600),
        token(aud="web"),
        token(aud=None),
        token(iss="https://evil.example"),
        token(scope="openid"),
        token(scope="imapx"),
        token(scope=None),
        token(email=None),
        token(email=["alice"]),
        token(email=""),
        token(OTHER),
        token(None, "none"),
        token() + "x",
        "rubbish",
        "a.b.c",
    ],
    ids=lambda given: None,
)
def test_any_other_is_refused(given: str) -> None:
    with pytest.raises(TokenRefused):
        logged_on(JwtAuthority(KEY, algorithms=["HS256"], **ASKED), given)


def test_scopes_may_be_a_list_as_some_issuers_write_them() -> None:
    authority = JwtAuthority(KEY, algorithms=["HS256"], **ASKED)
    assert logged_on(authority, token(scope=None, scp=["imap"])) == "alice"
    assert logged_on(authority, token(scope=["imap"])) == "alice"


def test_a_key_is_found_by_its_id() -> None:
    authority = JwtAuthority({"one": KEY, "two": OTHER}, algorithms=["HS256"], username="email")
    assert logged_on(authority, token(OTHER, headers={"kid": "two"})) == "alice"
    for given in (token(), token(headers={"kid": "two"}), token(headers={"kid": "three"})):
        with pytest.raises(TokenRefused):
            logged_on(authority, given)


def test_a_public_key_is_no_secret_of_hmac() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    authority = JwtAuthority(public.decode(), algorithms=["RS256"], username="email")
    assert logged_on(authority, token(private, "RS256")) == "alice"
    with pytest.raises(TokenRefused):
        logged_on(authority, token())


@pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256", "None"], "HS256"])
def test_algorithms_are_named(algorithms: Any) -> None:
    with pytest.raises(InvalidParameter):
        JwtAuthority(KEY, algorithms=algorithms)


def test_keys_that_cannot_be_fetched_are_no_refusal() -> None:
    client = jwt.PyJWKClient("http://127.0.0.1:9/keys")
    authority = JwtAuthority(client, algorithms=["RS256"], username="email")
    with pytest.raises(NoAuthenticatingAuthority, match="cannot be fetched"):
        logged_on(authority, token(headers={"kid": "one"}))


def test_a_question_about_a_password_is_none_for_it() -> None:
    authority = JwtAuthority(KEY, algorithms=["HS256"])
    assert authority.lookup(Question("alice", "", (Secret.PASSWORD,))) is None


class Introspection(TokenAuthority):
    """Asks, as an authority does that RFC 7662 describes."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def validate(self, token: str) -> Account | None:
        await asyncio.sleep(0)
        self.asked.append(token)
        return Account(username="alice", may_act_as=frozenset({"shared"})) if token == "T0ken" else None


def test_an_async_function_can_be_asked() -> None:
    authority = Introspection()

    async def ask(user: str, given: str) -> Account | None:
        answer = authority.lookup(Question(user, "", (Secret.TOKEN,), token=given))
        assert answer is not None
        assert not isinstance(answer, Account)
        return await answer

    account = asyncio.run(ask("alice", "T0ken"))
    assert account is not None
    assert account.secret(Secret.TOKEN) == "T0ken"
    assert "T0ken" not in repr(account)
    assert asyncio.run(ask("alice", "wrong")) is None
    assert authority.asked == ["T0ken", "wrong"]


@pytest.mark.parametrize("answer", [b"alice", 1, Account(username="")])
def test_an_answer_that_is_none_lets_nobody_in(answer: Any) -> None:
    class Wrong(TokenAuthority):
        def validate(self, token: str) -> Any:
            return answer

    with pytest.raises(NoAuthenticatingAuthority):
        logged_on(Wrong(), "T0ken")
