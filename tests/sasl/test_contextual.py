"""What a mechanism over a context tells of it: the package that was negotiated, and sizes that nobody named."""

from __future__ import annotations

import pytest

from pair import authenticate
from saslsspi import Client, MemoryAuthority, NegotiatePolicy, Password, Policy, Server, errors


def pair(mechanism: str, **policy: int) -> tuple[Client, Server]:
    limits = Policy(negotiate=NegotiatePolicy(packages="ntlm"), **policy)  # type: ignore[arg-type]
    return (
        Client(mechanism, service="imap", host="h.example", credentials=Password("alice", "wonderland"), policy=limits),
        Server(
            mechanism,
            service="imap",
            host="h.example",
            authority=MemoryAuthority({"alice": "wonderland"}),
            policy=limits,
        ),
    )


@pytest.mark.parametrize(
    ("mechanism", "package", "negotiated"),
    [("GSS-SPNEGO", "Negotiate", "NTLM"), ("CREDSSP", "CREDSSP", "NTLM"), ("NTLM", "NTLM", "")],
)
def test_the_package_that_negotiate_chose_is_told_on_both_sides(mechanism: str, package: str, negotiated: str) -> None:
    client, server = pair(mechanism)
    authenticate(client, server)
    for side in (client, server):
        assert (side.security.package, side.security.negotiated) == (package, negotiated)


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "NTLM"])
def test_what_is_taken_where_nothing_is_said_about_sizes_is_the_policys(mechanism: str) -> None:
    client, server = pair(mechanism, max_buffer=1000, max_unannounced=2000)
    authenticate(client, server)
    assert client.security.max_receive == server.security.max_receive == 2000
    assert client.layer is not None
    assert server.layer is not None
    assert client.layer.unwrap(server.layer.wrap(bytes(5000))) == bytes(5000)
    for size, expected in ((2000, False), (2001, True)):
        announced = size.to_bytes(4, "big")
        if expected:
            with pytest.raises(errors.InvalidToken, match="2001"):
                client.layer.unwrap(announced)
        else:
            assert client.layer.unwrap(announced) == b""
            client.layer._deframer.pending.clear()


@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "NTLM"])
def test_no_less_is_taken_than_max_buffer_and_nothing_above_three_octets(mechanism: str) -> None:
    client, server = pair(mechanism, max_buffer=5000, max_unannounced=0)
    authenticate(client, server)
    assert client.security.max_receive == 5000
    client, server = pair(mechanism)
    authenticate(client, server)
    assert client.security.max_receive == 0xFFFFFF
    with pytest.raises(errors.InvalidParameter):
        Policy(max_unannounced=1 << 24)
