from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pair import authenticate
from saslsspi import Account, Anonymous, Client, MemoryAuthority, Password, Policy, Property, SaslError, Server, offer
from saslsspi.accounts import derive_scram_keys
from saslsspi.errors import (
    IncompleteCredentials,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    MutualAuthFailed,
    NoCredentials,
    NoImpersonation,
    SecurityQosFailed,
    UnknownCredentials,
)

TLS = 256
AUTHORITY = MemoryAuthority(
    [
        Account(username="alice", password="wonderland", may_act_as=frozenset({"admin"})),
        Account(username="bob", scram={"SHA-256": derive_scram_keys("IX", iterations=4096)}),
        Account(username="IX", password="n\u2168ne"),
        Account(username="x" * 255, password="y" * 255, may_act_as=frozenset({"z" * 255})),
        Account(username="empty", password=""),
        Account(username="odd", password="\x07"),
    ]
)


def new_client(username: str = "alice", password: str = "wonderland", **options: Any) -> Client:
    options = {"external_ssf": TLS} | options
    return Client("PLAIN", service="imap", host="h", credentials=Password(username, password), **options)


def new_server(**options: Any) -> Server:
    return Server("PLAIN", service="imap", host="h", **({"authority": AUTHORITY, "external_ssf": TLS} | options))


@pytest.mark.requirement("RFC4422-3-02", "RFC4422-3.3-02")
@pytest.mark.requirement("RFC4616-2-01", "RFC4616-2-04", "RFC4422-3.4.1-03")
@pytest.mark.parametrize("initial_response", [True, False])
def test_one_message_logs_on(initial_response: bool) -> None:
    client, server = new_client(), new_server()
    sent = authenticate(client, server, initial_response=initial_response)
    assert sent[-1].octets == b"\0alice\0wonderland"
    assert client.done
    assert (server.security.authcid, server.security.authzid) == ("alice", "")


@pytest.mark.requirement("RFC4616-2-01")
def test_the_client_sends_utf_8_as_it_was_typed() -> None:
    assert new_client("j\u00f6rg", "\u2168", authzid="\u00e4").start() == "\u00e4\0j\u00f6rg\0\u2168".encode()


@pytest.mark.requirement("RFC4616-2-12")
@pytest.mark.parametrize("external_ssf", [0, 1])
def test_nothing_begins_where_the_password_could_be_read(external_ssf: int) -> None:
    with pytest.raises(SecurityQosFailed, match="in clear"):
        new_client(external_ssf=external_ssf)
    with pytest.raises(SecurityQosFailed, match="in clear"):
        new_server(external_ssf=external_ssf)
    assert "PLAIN" not in offer(Policy(), ["PLAIN"], external_ssf=external_ssf).names


@pytest.mark.requirement("RFC4616-2-12")
def test_a_policy_can_permit_it() -> None:
    policy = Policy(allow_plaintext=True)
    server = new_server(external_ssf=0, policy=policy)
    authenticate(new_client(external_ssf=0, policy=policy), server)
    assert server.done
    assert offer(policy, ["PLAIN"]).names == ("PLAIN",)


def test_a_policy_can_forbid_it_even_under_tls() -> None:
    with pytest.raises(SecurityQosFailed, match="NO_PLAINTEXT"):
        new_client(policy=Policy(properties=Property.NO_PLAINTEXT))


@pytest.mark.requirement("RFC4616-2-02")
@pytest.mark.parametrize("message", [b"\0a\0b\0c", b"\0\0a\0b", b"a\0b", b"a", b"", b"\0a\0b\0"])
def test_the_server_refuses_any_other_number_of_fields(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server().step(message)


@pytest.mark.requirement("RFC4616-2-02")
@pytest.mark.parametrize(
    ("username", "password", "authzid"), [("a\0", "b", ""), ("a", "b\0", ""), ("a", "b", "c\0"), ("\ud800", "b", "")]
)
def test_the_client_refuses_what_the_message_cannot_carry(username: str, password: str, authzid: str) -> None:
    with pytest.raises(InvalidParameter):
        new_client(username, password, authzid=authzid)


@pytest.mark.requirement("RFC4616-2-03")
def test_fields_of_255_octets_are_taken() -> None:
    server = new_server()
    authenticate(new_client("x" * 255, "y" * 255, authzid="z" * 255), server)
    assert server.security.authzid == "z" * 255


def test_the_message_is_bounded() -> None:
    with pytest.raises(InvalidToken):
        new_server().step(b"\0alice\0" + b"x" * 20000)


@pytest.mark.requirement("RFC4616-2-05")
@pytest.mark.parametrize("message", [b"\0alice\0", b"\0\0x", b"\0\0"])
def test_the_server_refuses_empty_fields(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server().step(message)


@pytest.mark.requirement("RFC4616-2-05")
@pytest.mark.parametrize(("username", "password"), [("", "x"), ("x", "")])
def test_the_client_sends_no_empty_fields(username: str, password: str) -> None:
    with pytest.raises(IncompleteCredentials):
        new_client(username, password)


@pytest.mark.requirement("RFC4616-2-06")
@pytest.mark.parametrize(
    ("username", "password"),
    [("alice", "wrong"), ("bob", "wrong"), ("nobody", "x"), ("empty", "x"), ("odd", "x"), ("Alice", "wonderland")],
)
def test_a_wrong_password_and_an_unknown_user_look_alike(username: str, password: str) -> None:
    server = new_server()
    with pytest.raises(LogonDenied, match="the user is unknown or the password is wrong"):
        authenticate(new_client(username, password), server)
    assert not server.done


@pytest.mark.parametrize(("realms", "found"), [("here", True), ("elsewhere", False), (("here", "elsewhere"), False)])
def test_the_only_realm_of_the_server_is_that_of_its_users(realms: str | tuple[str, ...], found: bool) -> None:
    server = new_server(authority=MemoryAuthority([Account(username="u", realm="here", password="p")]), realm=realms)
    if found:
        authenticate(new_client("u", "p"), server)
        return
    with pytest.raises(LogonDenied):
        authenticate(new_client("u", "p"), server)


@pytest.mark.requirement("RFC4616-2-06")
def test_a_user_acts_only_as_whom_the_authority_permits() -> None:
    server = new_server()
    authenticate(new_client(authzid="admin"), server)
    assert (server.security.authcid, server.security.authzid) == ("alice", "admin")
    with pytest.raises(NoImpersonation):
        authenticate(new_client(authzid="root"), new_server())
    with pytest.raises(LogonDenied):
        authenticate(new_client(password="wrong", authzid="root"), new_server())


@pytest.mark.requirement("RFC4422-5-10")
@pytest.mark.requirement("RFC4616-2-07")
def test_equivalent_names_and_passwords_match() -> None:
    server = new_server()
    authenticate(new_client("\u2168", "nIXne"), server)
    assert server.security.authcid == "IX"


@pytest.mark.requirement("RFC4616-2-08")
@pytest.mark.parametrize("password", ["IX", "\u2168", "I\u00adX"])
def test_stored_scram_keys_are_those_of_the_prepared_password(password: str) -> None:
    server = new_server()
    authenticate(new_client("bob", password), server)
    assert server.done


@pytest.mark.requirement("RFC4616-2-09")
@pytest.mark.parametrize(
    "message", [b"\0alice\0\xc2\xad", b"\0\xc2\xad\0x", b"\0alice\0\x07", b"\0\x07\0x", b"\0empty\0\xc2\xad"]
)
def test_what_cannot_be_prepared_does_not_verify(message: bytes) -> None:
    with pytest.raises(LogonDenied) as caught:
        new_server().step(message)
    assert caught.value.requirement == "RFC4616-2-09", "it is refused before anybody is asked"


@pytest.mark.requirement("RFC4616-2-11")
@pytest.mark.parametrize("message", [b"\0alice\0\xff", b"\0\xc3\0x", b"\xed\xa0\x80\0a\0b"])
def test_the_server_refuses_what_is_not_utf_8(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server().step(message)


def test_a_challenge_that_is_not_empty_is_refused() -> None:
    with pytest.raises(InvalidToken):
        new_client().step(b"Password:")


def test_a_second_challenge_is_refused() -> None:
    client = new_client()
    client.start()
    with pytest.raises(InvalidToken):
        client.step(b"")


def test_success_counts_only_after_the_message() -> None:
    with pytest.raises(MutualAuthFailed):
        new_client().succeed()
    client = new_client()
    assert client.start()
    assert client.done  # with a message that still goes to the server
    client.succeed()
    assert client.security.authcid == "alice"


def test_data_with_success_are_refused() -> None:
    client = new_client()
    client.start()
    with pytest.raises(InvalidToken):
        client.succeed(b"data")


def test_the_client_takes_only_a_password() -> None:
    for credentials, error in ((None, NoCredentials), (Anonymous("x"), UnknownCredentials)):
        with pytest.raises(error):
            Client("PLAIN", service="imap", host="h", credentials=credentials, external_ssf=TLS)


@given(st.binary(max_size=40))
def test_any_message_is_taken_or_refused_with_our_error(message: bytes) -> None:
    server = new_server()
    try:
        server.step(message)
    except SaslError:
        assert not server.done


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8))
def test_a_wrong_password_never_shows_in_the_error(secret: str) -> None:
    with pytest.raises(SaslError) as caught:
        new_server().step(f"\0alice\0tell-tale{secret}".encode())
    assert "tell-tale" not in f"{caught.value} {caught.value!r}"
