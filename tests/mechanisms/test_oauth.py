from __future__ import annotations

import copy
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pair import authenticate
from saslsspi import (
    Account,
    Client,
    InvalidParameter,
    InvalidToken,
    MemoryAuthority,
    Policy,
    RemoteError,
    SaslError,
    Server,
    Token,
    TokenRefused,
    choose,
    offer,
)
from saslsspi.accounts import Chain, MemoryTokens, Question, Secret
from saslsspi.errors import (
    IncompleteCredentials,
    MutualAuthFailed,
    NoCredentials,
    NoImpersonation,
    SecurityQosFailed,
    WrongPrincipal,
)
from saslsspi_mechanisms.oauth.messages import BearerMessage, ErrorResult, XOAuth2Message

TLS = 256
BOTH = ["OAUTHBEARER", "XOAUTH2"]
TOKENS = MemoryTokens({"T0ken": "alice", "B0b": Account(username="bob", may_act_as=frozenset({"alice"}))})
TOKENS.scope = "mail"
TOKENS.openid_configuration = "https://login.example/.well-known/openid-configuration"
DUMMY = {"OAUTHBEARER": b"\1", "XOAUTH2": b""}


def new_client(mechanism: str, token: str | Callable[[], str] = "T0ken", user: str = "alice", **options: Any) -> Client:
    options = {"external_ssf": TLS, "service": "imap", "host": "h"} | options
    return Client(mechanism, credentials=Token(user, token), **options)


def new_server(mechanism: str, **options: Any) -> Server:
    options = {"authority": TOKENS, "external_ssf": TLS, "service": "imap", "host": "h"} | options
    return Server(mechanism, **options)


@pytest.mark.requirement("RFC7628-3-01", "RFC7628-3.2-03")
@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("initial_response", [True, False])
def test_one_message_logs_on(mechanism: str, initial_response: bool) -> None:
    client, server = new_client(mechanism), new_server(mechanism)
    authenticate(client, server, initial_response=initial_response)
    assert client.done
    assert (server.security.authcid, server.security.authzid) == ("alice", "")
    assert (client.layer, server.layer) == (None, None)


@pytest.mark.requirement("RFC7628-3.1-01", "RFC7628-3.1-02", "RFC7628-3.1-04", "RFC7628-3.1-05")
def test_the_message_is_that_of_the_rfc() -> None:
    """Section 4.1, without the port, which an exchange does not know."""
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    client = new_client("OAUTHBEARER", token, "user@example.com", host="server.example.com")
    expected = f"n,a=user@example.com,\1host=server.example.com\1auth=Bearer {token}\1\1"
    assert client.start() == expected.encode()
    client = new_client("OAUTHBEARER", token, "", host="server.example.com")
    assert client.start() == f"n,,\1host=server.example.com\1auth=Bearer {token}\1\1".encode()


def test_the_message_is_that_of_google() -> None:
    message = new_client("XOAUTH2", "ya29.vF9dft4", "someuser@example.com").start()
    assert message == b"user=someuser@example.com\1auth=Bearer ya29.vF9dft4\1\1"


@pytest.mark.requirement("RFC7628-3.1-03", "RFC7628-3.1-05")
@pytest.mark.parametrize(
    "message",
    [
        b"n,a=alice,\1port=143\1unknown=x y\1auth=bearer T0ken\1\1",
        b"n,,\1auth=BEARER T0ken\1\1",
        b"y,a=alice,\1auth=BeArEr T0ken\1host=H\1\1",
    ],
)
def test_pairs_that_nobody_knows_are_ignored(message: bytes) -> None:
    server = new_server("OAUTHBEARER")
    assert server.step(message) is None
    assert server.security.authcid == "alice"


@pytest.mark.requirement("RFC7628-3.1-01", "RFC7628-3.1-02", "RFC7628-3.1-06")
@pytest.mark.parametrize(
    "message",
    [
        b"", b"\1", b"n,,", b"n,,\1", b"p=tls-exporter,,\1auth=Bearer T0ken\1\1", b"n,user=a,\1auth=Bearer T0ken\1\1",
        b"n,alice,\1auth=Bearer T0ken\1\1",
        b"n,,x\1auth=Bearer T0ken\1\1", b"n,,\1auth=Bearer T0ken\1", b"n,,\1auth=Bearer T0ken\1\1\1",
        b"n,,\1auth=Basic T0ken\1\1", b"n,,\1auth=Bearer T0ken\1auth=Bearer other\1\1", b"n,,\1auth\1\1",
        b"n,,\1a1=x\1auth=Bearer T0ken\1\1", b"n,,\1x=\0\1auth=Bearer T0ken\1\1", b"n,a=,\1auth=Bearer T0ken\1\1",
        b"n,a=a=2D,\1auth=Bearer T0ken\1\1", b"n,,\1auth=Bearer T0 ken\1\1", b"\xff",
        b"n,,\1x=" + b"x" * 20000 + b"\1\1",
    ],
)  # fmt: skip
def test_anything_else_is_no_message(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server("OAUTHBEARER").step(message)


@pytest.mark.parametrize(
    "message",
    [b"", b"\1", b"auth=Bearer T0ken\1\1", b"user=\1auth=Bearer T0ken\1\1", b"user=alice\1auth=Basic T0ken\1\1",
     b"user=alice\1auth=Bearer T0ken\1", b"user=alice\1user=bob\1auth=Bearer T0ken\1\1"],
)  # fmt: skip
def test_anything_else_is_no_message_of_google(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server("XOAUTH2").step(message)


NAMES = st.text(st.characters(exclude_characters="\0\1", codec="utf-8"), max_size=20)


@given(NAMES, st.from_regex(r"[!-~]{1,40}", fullmatch=True), st.from_regex(r"[a-z.]{0,9}", fullmatch=True))
def test_messages_are_read_as_they_were_written(name: str, token: str, host: str) -> None:
    message = BearerMessage.of(token, name, host)
    assert BearerMessage.from_bytes(message.to_bytes()) == message
    assert (message.authzid, message.token, message.host) == (name, token, host)
    if name:
        other = XOAuth2Message.of(token, name, host)
        assert XOAuth2Message.from_bytes(other.to_bytes()) == other
        assert (other.authzid, other.token) == (name, token)


@given(st.binary(max_size=200))
def test_whatever_is_read_is_written_back(data: bytes) -> None:
    for kind in (BearerMessage, XOAuth2Message):
        try:
            message = kind.from_bytes(data)
        except InvalidToken:
            continue
        assert message.to_bytes() == data


@pytest.mark.requirement("RFC7628-3-02", "RFC7628-3.2.2-01", "RFC7628-3.2.2-02", "RFC7628-3.2.2-03", "RFC7628-3.2.3-01")
@pytest.mark.parametrize("mechanism", BOTH)
def test_a_refusal_is_told_first_and_ends_the_exchange_then(mechanism: str) -> None:
    client, server = new_client(mechanism, "expired"), new_server(mechanism)
    told = server.step(client.start())
    assert told is not None
    assert not server.done
    status = {"OAUTHBEARER": "invalid_token", "XOAUTH2": "401"}[mechanism]
    expected = {"status": status, "scope": "mail", "openid-configuration": TOKENS.openid_configuration}
    assert json.loads(told) == expected | ({"schemes": "bearer"} if mechanism == "XOAUTH2" else {})
    with pytest.raises(TokenRefused, match=rf"status '{status}', a token needs the scope 'mail'") as caught:
        client.step(told)
    assert isinstance(caught.value, RemoteError)
    assert caught.value.token == DUMMY[mechanism]
    assert (caught.value.reason, caught.value.scope) == (status, "mail")
    assert caught.value.openid_configuration == TOKENS.openid_configuration
    assert "get a new one" in caught.value.text
    with pytest.raises(TokenRefused):
        server.step(caught.value.token)


@pytest.mark.requirement("RFC7628-3.2.3-01")
@pytest.mark.parametrize("answer", [b"\1", b"", b"n,a=alice,\1auth=Bearer T0ken\1\1"])
def test_a_refusal_stays_one_whatever_the_client_answers(answer: bytes) -> None:
    server = new_server("OAUTHBEARER")
    server.step(b"n,,\1auth=Bearer wrong\1\1")
    with pytest.raises(TokenRefused):
        server.step(answer)
    assert not server.done


@pytest.mark.requirement("RFC7628-3.1-05")
def test_who_sends_no_token_is_told_what_it_needs() -> None:
    """Section 4.3."""
    server = new_server("OAUTHBEARER")
    told = server.step(b"n,a=user@example.com,\1host=h\1port=143\1auth=\1\1")
    assert json.loads(told or b"")["scope"] == "mail"
    with pytest.raises(TokenRefused, match="no token"):
        server.step(b"\1")


@pytest.mark.requirement("RFC7628-3.2-02")
def test_the_host_must_be_ours() -> None:
    with pytest.raises(WrongPrincipal):
        new_server("OAUTHBEARER", host=["h.example", "h"]).step(b"n,,\1host=evil.example\1auth=Bearer T0ken\1\1")


@pytest.mark.parametrize("mechanism", BOTH)
def test_a_token_counts_for_the_user_it_was_made_for(mechanism: str) -> None:
    """Bob may be alice; alice may not be bob, and is told so before the end."""
    server = new_server(mechanism)
    assert server.step(new_client(mechanism, "B0b", "alice").start()) is None
    assert (server.security.authcid, server.security.authzid) == ("bob", "alice")
    server = new_server(mechanism)
    told = server.step(new_client(mechanism, "T0ken", "bob").start())
    assert json.loads(told or b"")["status"] in {"insufficient_scope", "403"}
    with pytest.raises(NoImpersonation):
        server.step(DUMMY[mechanism])


@pytest.mark.parametrize("mechanism", BOTH)
def test_an_authority_that_knows_names_alone_lets_nobody_in(mechanism: str) -> None:
    class Names:
        def lookup(self, question: Question) -> Account | None:
            return Account(username="alice", password="wonderland")

    server = new_server(mechanism, authority=Names())
    assert server.step(new_client(mechanism).start())
    with pytest.raises(TokenRefused):
        server.step(b"")


@pytest.mark.parametrize("mechanism", BOTH)
def test_tokens_stand_beside_passwords(mechanism: str) -> None:
    authority = Chain(MemoryAuthority({"alice": "wonderland"}), TOKENS)
    server = new_server(mechanism, authority=authority)
    authenticate(new_client(mechanism), server)
    assert server.security.authcid == "alice"
    told = new_server(mechanism, authority=authority).step(new_client(mechanism, "wrong").start())
    assert json.loads(told or b"")["scope"] == "mail"
    listed = offer(Policy(), external_ssf=TLS, secrets=authority.secrets).names
    assert {mechanism, "PLAIN"} <= set(listed)
    assert mechanism not in offer(Policy(), external_ssf=TLS, secrets=frozenset({Secret.PASSWORD})).names


def test_a_token_is_a_secret_of_an_account_too() -> None:
    authority = MemoryAuthority([Account(username="alice", other={Secret.TOKEN: "T0ken"})])
    server = new_server("XOAUTH2", authority=authority)
    authenticate(new_client("XOAUTH2"), server)
    assert server.done


@pytest.mark.requirement("RFC7628-3-03")
@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("external_ssf", [0, 1])
def test_no_token_goes_in_clear_unless_a_policy_says_so(mechanism: str, external_ssf: int) -> None:
    with pytest.raises(SecurityQosFailed, match="token in clear"):
        new_client(mechanism, external_ssf=external_ssf)
    with pytest.raises(SecurityQosFailed, match="token in clear"):
        new_server(mechanism, external_ssf=external_ssf)
    assert mechanism not in offer(Policy(), [mechanism], external_ssf=external_ssf).names
    assert new_client(mechanism, external_ssf=0, policy=Policy(allow_plaintext=True)).start()


def test_a_token_chooses_among_what_takes_tokens() -> None:
    choice = choose(["SCRAM-SHA-256", "PLAIN", "XOAUTH2"], Policy(), external_ssf=TLS, credentials=Token("a", "t"))
    assert choice.mechanism.name == "XOAUTH2"
    assert choose(["OAUTHBEARER", "PLAIN"], Policy(), external_ssf=TLS).mechanism.name == "PLAIN"


@pytest.mark.requirement("RFC7628-3.2.2-01")
@pytest.mark.parametrize(
    "told", [b"", b"no", b"[]", b'"x"', b"[" * 5000, b"{" + b" " * 9000 + b"}", b"\xff\xfe", b"{" * 8000]
)
def test_an_error_that_is_none_is_answered_all_the_same(told: bytes) -> None:
    client = new_client("OAUTHBEARER")
    client.start()
    with pytest.raises(InvalidToken) as caught:
        client.step(told)
    assert caught.value.token == b"\1"


@pytest.mark.parametrize(
    ("told", "reason", "scope"),
    [
        (b'{"status":"invalid_token"}', "invalid_token", ""),
        (b'{"status":400,"scope":["a"],"else":{"x":1}}', "400", ""),
        (b"{}", "", ""),
        (b'{"status":true,"scope":null}', "", ""),
    ],
)
def test_an_error_is_read_as_far_as_it_is_understood(told: bytes, reason: str, scope: str) -> None:
    client = new_client("OAUTHBEARER")
    client.start()
    with pytest.raises(TokenRefused) as caught:
        client.step(told)
    assert (caught.value.reason, caught.value.scope) == (reason, scope)


def test_what_a_server_tells_moves_no_cursor() -> None:
    client = new_client("OAUTHBEARER")
    client.start()
    with pytest.raises(TokenRefused) as caught:
        client.step(ErrorResult("\x1b[2J\n" + "x" * 4000).to_bytes())
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 500


def test_success_counts_only_behind_the_message() -> None:
    with pytest.raises(MutualAuthFailed):
        new_client("OAUTHBEARER").succeed()
    client = new_client("OAUTHBEARER")
    client.start()
    with pytest.raises(SaslError):
        client.succeed(b"more")
    with pytest.raises(InvalidToken):
        new_client("OAUTHBEARER").step(b"hello")


@pytest.mark.parametrize("token", ["", "a b", "a\1b", "a\r\nb", "\u00e4"])
def test_a_token_that_no_message_can_carry_is_refused(token: str) -> None:
    with pytest.raises(IncompleteCredentials) as caught:
        new_client("OAUTHBEARER", token).start()
    assert not token or token not in caught.value.text


def test_a_user_is_needed_where_the_message_names_one() -> None:
    with pytest.raises(IncompleteCredentials):
        new_client("XOAUTH2", user="")
    assert new_client("OAUTHBEARER", user="").start() == b"n,,\1host=h\1auth=Bearer T0ken\1\1"
    with pytest.raises(IncompleteCredentials):
        new_client("OAUTHBEARER", user="a\1auth=Bearer x")


# The function that gives tokens.


class Issuer:
    """Gives one token after another, and counts."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.tokens.pop(0)


def test_a_function_is_asked_once_for_all_logons() -> None:
    issuer = Issuer("T0ken", "never")
    credentials = Token("alice", issuer)
    for _ in range(3):
        client = Client("XOAUTH2", service="imap", host="h", credentials=credentials, external_ssf=TLS)
        authenticate(client, new_server("XOAUTH2"))
    assert issuer.asked == 1


@pytest.mark.parametrize("mechanism", BOTH)
def test_an_expired_token_is_followed_by_another(mechanism: str) -> None:
    issuer = Issuer("expired", "T0ken", "never")
    client, server = new_client(mechanism, issuer), new_server(mechanism)
    with pytest.raises(TokenRefused, match="is asked for another one"):
        client.step(server.step(client.start()))
    assert client.fail()
    authenticate(client.again(), server.again())
    assert issuer.asked == 2


def test_another_token_of_the_wrong_scope_is_not_asked_for() -> None:
    issuer = Issuer("T0ken", "never")
    client, server = new_client("OAUTHBEARER", issuer, "bob"), new_server("OAUTHBEARER")
    with pytest.raises(TokenRefused, match="with that scope"):
        client.step(server.step(client.start()))
    assert not client.fail()
    assert issuer.asked == 1


def test_a_refusal_without_a_reason_costs_a_token_that_an_earlier_logon_had() -> None:
    issuer = Issuer("one", "two")
    client = new_client("XOAUTH2", issuer)
    client.start()
    assert not client.fail()  # it is as new as can be
    later = client.again()
    later.start()
    assert later.fail()
    assert b"two" in (later.again().start() or b"")


def test_logons_at_once_ask_once() -> None:
    """Whoever finds that another thread has got a new token meanwhile takes that one."""
    issuer = Issuer("expired", "T0ken", "never")
    credentials = Token("alice", issuer)
    first = [credentials.current()[0] for _ in range(8)]
    assert set(first) == {"expired"}
    barrier, found = threading.Barrier(8), []

    def renew() -> None:
        barrier.wait()
        credentials.give_up("expired")
        found.append(credentials.current()[0])

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["T0ken"] * 8
    assert issuer.asked == 2


@pytest.mark.parametrize("answer", [None, b"octets", ""])
def test_a_function_that_gives_no_token_is_told_of(answer: Any) -> None:
    with pytest.raises(NoCredentials, match="the function that gives tokens gave"):
        new_client("XOAUTH2", lambda: answer).start()


def test_a_function_that_fails_is_told_of() -> None:
    def fail() -> str:
        raise ConnectionError("no network")

    with pytest.raises(NoCredentials, match="failed with ConnectionError: no network"):
        new_client("XOAUTH2", fail).start()


def test_a_token_is_not_shown() -> None:
    token = Token("alice", "S3cret")
    assert "S3cret" not in repr(token)
    assert "S3cret" not in repr(Question("alice", "", (Secret.TOKEN,), token="S3cret"))
    assert "S3cret" not in repr(BearerMessage.of("S3cret", "a", ""))
    assert pickle.loads(pickle.dumps(token)) == copy.deepcopy(token) == token
    assert len({token, Token("alice", "S3cret")}) == 1
    with pytest.raises(InvalidParameter):
        Token("alice", b"S3cret")  # type: ignore[arg-type]
