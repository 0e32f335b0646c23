from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pair import authenticate
from saslsspi import Anonymous, Client, Password, Policy, Property, SaslError, Server, offer
from saslsspi.errors import InvalidParameter, InvalidToken, LogonDenied, SecurityQosFailed, UnknownCredentials

OPEN = Policy(allow_anonymous=True)


def new_client(trace: str | None = None, **options: Any) -> Client:
    credentials = None if trace is None else Anonymous(trace)
    return Client("ANONYMOUS", service="imap", host="h", **({"credentials": credentials} | options))


def new_server(policy: Policy = OPEN) -> Server:
    return Server("ANONYMOUS", service="imap", host="h", policy=policy)


@pytest.mark.requirement("RFC4505-2-01", "RFC4505-2-02")
@pytest.mark.parametrize("initial_response", [True, False])
@pytest.mark.parametrize("trace", ["", "sirhc", "chris@example.com", "\u00e4" * 255, "\U0001f408" * 255])
def test_the_trace_arrives_and_means_nothing(trace: str, initial_response: bool) -> None:
    client, server = new_client(trace), new_server()
    sent = authenticate(client, server, initial_response=initial_response)
    assert sent[-1].octets == trace.encode()
    assert (server.security.trace, server.security.authcid, server.security.account) == (trace, "anonymous", None)
    assert client.security.authcid == "anonymous"


@pytest.mark.requirement("RFC4505-2-03")
def test_nothing_personal_is_sent_unasked() -> None:
    assert new_client().start() == b""
    with pytest.raises(UnknownCredentials):
        new_client(credentials=Password("alice", "wonderland"))
    with pytest.raises(InvalidParameter):
        new_client(authzid="alice")


@pytest.mark.requirement("RFC4505-2-01")
@pytest.mark.parametrize("trace", ["x" * 256, "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "x" * 1020 + "@b"])
def test_what_is_neither_address_nor_token_is_refused_on_both_sides(trace: str) -> None:
    with pytest.raises(InvalidParameter):
        new_client(trace)
    with pytest.raises(InvalidToken):
        new_server().step(trace.encode())


@pytest.mark.requirement("RFC4505-2-04")
@pytest.mark.parametrize(
    "trace",
    ["a\nb", "\0", "\x7f", "\u0085", "\ue000", "\ufdd0", "\ufffd", "\u202a", "\U000e0041", "\u06271", "\u0627a\u0628"],
)
def test_the_trace_profile_is_kept_on_both_sides(trace: str) -> None:
    with pytest.raises(InvalidParameter):
        new_client(trace)
    with pytest.raises(InvalidToken):
        new_server().step(trace.encode())


@pytest.mark.requirement("RFC4505-2-04")
def test_a_surrogate_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        new_client("\ud800")
    with pytest.raises(InvalidToken):
        new_server().step(b"\xed\xa0\x80")


@pytest.mark.requirement("RFC4505-2-04")
@pytest.mark.parametrize("trace", ["\u00a0", "I\u00adX", "\u2168", "\u0221", "\u2ff0", "\u06271\u0628"])
def test_the_trace_profile_maps_nothing(trace: str) -> None:
    server = new_server()
    authenticate(new_client(trace), server)
    assert server.security.trace == trace


@pytest.mark.requirement("RFC4505-2-05")
def test_nobody_comes_in_anonymously_unless_the_policy_says_so() -> None:
    with pytest.raises(LogonDenied):
        authenticate(new_client(), new_server(Policy()))
    assert "ANONYMOUS" not in offer(Policy()).names
    assert "ANONYMOUS" in offer(OPEN).names
    assert offer(OPEN).names[-1] == "ANONYMOUS"


def test_a_policy_can_demand_that_somebody_is_authenticated() -> None:
    with pytest.raises(SecurityQosFailed, match="NO_ANONYMOUS"):
        new_client(policy=Policy(properties=Property.NO_ANONYMOUS))


@given(st.binary(max_size=30))
def test_any_message_is_taken_or_refused_with_our_error(message: bytes) -> None:
    server = new_server()
    try:
        server.step(message)
    except SaslError:
        assert not server.done
    else:
        assert server.security.trace.encode() == message
