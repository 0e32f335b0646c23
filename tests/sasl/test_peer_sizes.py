"""A peer's size bounds what a message costs us: below Policy.min_peer_buffer nobody gets a layer."""

from __future__ import annotations

import pytest

from pair import authenticate
from saslsspi import Client, MemoryAuthority, Password, Policy, Server, errors
from saslsspi.engine.exchange import Outcome, Qop
from saslsspi.engine.security import check_outcome

TEXT = bytes(20_000)


def layered(mechanism: str, size: int, ours: Policy) -> Server:
    """Return a server whose client takes size octets at once."""
    theirs = Policy(max_buffer=size, min_ssf=1, max_ssf=1)
    client = Client(mechanism, service="ldap", host="h", credentials=Password("alice", "wonderland"), policy=theirs)
    authority = MemoryAuthority({"alice": "wonderland"})
    server = Server(mechanism, service="ldap", host="h", authority=authority, policy=ours)
    authenticate(client, server)
    return server


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "CREDSSP"])
@pytest.mark.parametrize("size", [17, 30, 64, 255])
def test_a_tiny_buffer_is_refused_and_the_policy_named(mechanism: str, size: int) -> None:
    with pytest.raises(errors.QopNotSupported, match="octets"):
        layered(mechanism, size, Policy())


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "CREDSSP"])
def test_at_the_floor_a_text_grows_little(mechanism: str) -> None:
    server = layered(mechanism, 256, Policy())
    assert server.layer is not None
    assert len(server.layer.wrap(TEXT)) < 2 * len(TEXT)


def test_the_floor_is_the_policys_and_never_above_our_own_size() -> None:
    assert layered("DIGEST-MD5", 64, Policy(min_peer_buffer=64)).layer is not None
    assert layered("DIGEST-MD5", 64, Policy(max_buffer=64)).layer is not None
    with pytest.raises(errors.InvalidParameter):
        Policy(min_peer_buffer=-1)


def test_every_outcome_with_a_layer_is_held_to_it() -> None:
    small = Outcome(qop=Qop.AUTH_INT, ssf=1, max_send=100)
    with pytest.raises(errors.QopNotSupported, match="min_peer_buffer"):
        check_outcome("ANY", small, Policy())
    check_outcome("ANY", small._replace(ssf=0, qop=Qop.AUTH), Policy())
    check_outcome("ANY", small._replace(max_send=0), Policy())  # a stream, which names no size
