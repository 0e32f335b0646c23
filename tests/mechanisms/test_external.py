from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pair import authenticate
from saslsspi import Account, Client, MemoryAuthority, Password, Policy, SaslError, Server, offer
from saslsspi.errors import InvalidParameter, InvalidToken, LogonDenied, NoImpersonation, UnknownCredentials

AUTHORITY = MemoryAuthority([Account(username="alice", password="x", may_act_as=frozenset({"admin", "\u00e4"}))])


def new_client(**options: Any) -> Client:
    return Client("EXTERNAL", service="imap", host="h", **options)


def new_server(identity: str | None = "alice", **options: Any) -> Server:
    options = {"authority": AUTHORITY} | options
    return Server("EXTERNAL", service="imap", host="h", external_identity=identity, **options)


@pytest.mark.requirement("RFC4422-EXT-A.1-01", "RFC4422-EXT-A.1-04", "RFC4422-EXT-A.1-06")
@pytest.mark.requirement("RFC4422-EXT-A.1-02")
@pytest.mark.parametrize("initial_response", [True, False])
@pytest.mark.parametrize(("authzid", "octets"), [("", b""), ("admin", b"admin"), ("\u00e4", "\u00e4".encode())])
def test_the_channel_logs_the_client_on(initial_response: bool, authzid: str, octets: bytes) -> None:
    client, server = new_client(authzid=authzid), new_server()
    sent = authenticate(client, server, initial_response=initial_response)
    assert sent[-1].octets == octets
    assert (server.security.authcid, server.security.authzid) == ("alice", authzid)
    assert client.security.authzid == authzid


@pytest.mark.requirement("RFC4422-EXT-A.1-03", "RFC4422-3-03", "RFC4422-5-01")
def test_without_an_initial_response_the_server_asks_with_an_empty_challenge() -> None:
    server = new_server()
    assert server.step(None) == b""
    assert not server.done
    assert server.step(b"") is None
    assert server.done


@pytest.mark.requirement("RFC4422-EXT-A.1-07", "RFC4422-EXT-A.1-08")
@pytest.mark.parametrize("identity", [None, ""])
def test_a_channel_that_knows_nobody_lets_nobody_in(identity: str | None) -> None:
    with pytest.raises(LogonDenied):
        authenticate(new_client(), new_server(identity))
    assert "EXTERNAL" in offer(Policy(), ["EXTERNAL"]).reasons
    assert offer(Policy(), ["EXTERNAL"], external_identity="alice").names == ("EXTERNAL",)


@pytest.mark.requirement("RFC4422-EXT-A.1-09", "RFC4422-3.6-04")
def test_an_identity_that_the_authority_does_not_know_is_refused() -> None:
    with pytest.raises(LogonDenied):
        authenticate(new_client(), new_server("eve"))


def test_without_an_authority_one_is_only_oneself() -> None:
    for authzid in ("", "alice"):
        server = new_server(authority=None)
        authenticate(new_client(authzid=authzid), server)
        assert server.security.authcid == "alice"
    with pytest.raises(NoImpersonation):
        authenticate(new_client(authzid="admin"), new_server(authority=None))


@pytest.mark.requirement("RFC4422-EXT-A.1-11")
def test_a_forbidden_identity_is_refused() -> None:
    with pytest.raises(NoImpersonation):
        authenticate(new_client(authzid="root"), new_server())


@pytest.mark.requirement("RFC4422-3.4.1-01")
def test_nul_is_refused_on_both_sides() -> None:
    with pytest.raises(InvalidParameter):
        new_client(authzid="a\0")
    with pytest.raises(InvalidToken):
        new_server().step(b"a\0")


@pytest.mark.requirement("RFC4422-EXT-A.1-05")
@pytest.mark.parametrize("message", [b"\xff", b"x" * 5000])
def test_what_is_no_identity_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_server().step(message)


def test_a_password_has_no_business_here() -> None:
    with pytest.raises(UnknownCredentials):
        new_client(credentials=Password("alice", "x"))


@given(st.binary(max_size=30))
def test_any_message_is_taken_or_refused_with_our_error(message: bytes) -> None:
    server = new_server()
    try:
        server.step(message)
    except SaslError:
        assert not server.done


@pytest.mark.requirement("RFC4422-EXT-A.1-12")
def test_the_client_does_not_claim_to_know_which_credentials_the_server_used() -> None:
    client = Client("EXTERNAL", service="imap", host="h")
    client.start()
    client.succeed()
    assert client.security.authcid == ""
