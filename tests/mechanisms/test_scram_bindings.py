"""SCRAM and the channel around it (RFC 5802 section 6)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from pair import authenticate
from saslsspi import (
    ChannelBindingPolicy,
    ChannelBindings,
    Client,
    MemoryAuthority,
    Password,
    Policy,
    SaslError,
    Server,
    choose,
    offer,
)
from saslsspi.errors import BadBindings, DowngradeDetected, InvalidToken, PackageNotFound
from scripted_scram import ScriptedClient

AUTHORITY = MemoryAuthority({"alice": "wonderland"})
UNIQUE = ChannelBindings.tls_unique(b"finished-msg")
EXPORTER = ChannelBindings.tls_exporter(bytes(32))
END_POINT = ChannelBindings(application_data=b"tls-server-end-point:" + bytes(range(32)))
REQUIRE = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
NEVER = Policy(channel_binding=ChannelBindingPolicy.NONE)
HASHES = ("SHA-1", "SHA-256", "SHA-512")
BOUND = [f"SCRAM-{name}-PLUS" for name in HASHES]
PLAIN_NAMES = [f"SCRAM-{name}" for name in HASHES]


def new_client(mechanism: str, **options: Any) -> Client:
    return Client(mechanism, service="imap", host="h", credentials=Password("alice", "wonderland"), **options)


def new_server(mechanism: str, **options: Any) -> Server:
    return Server(mechanism, service="imap", host="h", authority=AUTHORITY, **options)


@pytest.mark.requirement("RFC5802-6.1-01", "RFC5802-6.1-02", "RFC7677-3-01")
@pytest.mark.parametrize("mechanism", BOUND)
@pytest.mark.parametrize(
    ("kind", "bindings"),
    [("tls-unique", UNIQUE), ("tls-exporter", EXPORTER), ("tls-server-end-point", END_POINT)],
    ids=["tls-unique", "tls-exporter", "tls-server-end-point"],
)
def test_both_ends_bind_to_their_channel(mechanism: str, kind: str, bindings: ChannelBindings) -> None:
    client, server = new_client(mechanism, bindings=bindings), new_server(mechanism, bindings=bindings, policy=REQUIRE)
    sent = authenticate(client, server)
    assert sent[0].octets.startswith(f"p={kind},,".encode())
    c = b64encode(f"p={kind},,".encode() + bindings.type_data)
    assert sent[2].octets.startswith(b"c=" + c + b",r=")
    assert client.security.channel_binding == server.security.channel_binding == kind


@pytest.mark.requirement("RFC5802-6.1-04", "RFC5802-6-09", "RFC5801-5-01")
def test_the_server_binds_by_the_type_that_the_client_names() -> None:
    several = [EXPORTER, END_POINT]
    server = new_server("SCRAM-SHA-256-PLUS", bindings=several)
    authenticate(new_client("SCRAM-SHA-256-PLUS", bindings=END_POINT), server)
    assert server.security.channel_binding == "tls-server-end-point"
    with pytest.raises(BadBindings) as caught:
        authenticate(
            new_client("SCRAM-SHA-256-PLUS", bindings=UNIQUE), new_server("SCRAM-SHA-256-PLUS", bindings=several)
        )
    assert caught.value.token == b"e=unsupported-channel-binding-type"


@pytest.mark.requirement("RFC5802-6-10")
def test_another_channel_is_found_out() -> None:
    with pytest.raises(BadBindings) as caught:
        authenticate(
            new_client("SCRAM-SHA-256-PLUS", bindings=UNIQUE),
            new_server("SCRAM-SHA-256-PLUS", bindings=ChannelBindings.tls_unique(b"another one")),
        )
    assert caught.value.token == b"e=channel-bindings-dont-match"


@pytest.mark.requirement("RFC5802-6-10")
@pytest.mark.parametrize("c", [b"biws", b"eSws", b"QUJD"])
def test_the_server_compares_c_with_what_it_expects(c: bytes) -> None:
    server, peer = new_server("SCRAM-SHA-256-PLUS", bindings=UNIQUE), ScriptedClient(header=b"p=tls-unique,,")
    challenge = server.step(peer.first()) or b""
    with pytest.raises(BadBindings) as caught:
        server.step(peer.final(challenge, c=c))
    assert caught.value.token == b"e=channel-bindings-dont-match"


@pytest.mark.requirement("RFC5802-6-11", "RFC5802-6-08", "RFC5801-5-02")
@pytest.mark.parametrize(
    ("mechanism", "bindings", "header", "error", "token"),
    [
        ("SCRAM-SHA-256-PLUS", UNIQUE, b"n,,", BadBindings, b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256-PLUS", UNIQUE, b"y,,", DowngradeDetected, b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256", UNIQUE, b"y,,", DowngradeDetected, b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256", UNIQUE, b"p=tls-unique,,", BadBindings, b"e=channel-binding-not-supported"),
        ("SCRAM-SHA-256", None, b"p=tls-unique,,", BadBindings, b"e=channel-binding-not-supported"),
        ("SCRAM-SHA-256-PLUS", None, b"p=tls-unique,,", BadBindings, b"e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", UNIQUE, b"p=foo,,", BadBindings, b"e=unsupported-channel-binding-type"),
    ],
)
def test_a_flag_that_does_not_go_with_mechanism_and_channel_is_refused(
    mechanism: str, bindings: ChannelBindings | None, header: bytes, error: type[SaslError], token: bytes
) -> None:
    with pytest.raises(error) as caught:
        new_server(mechanism, bindings=bindings).step(ScriptedClient(header=header).first())
    assert caught.value.token == token


@pytest.mark.parametrize(("flag", "bindings"), [(b"n", UNIQUE), (b"n", None), (b"y", None)])
def test_the_server_takes_a_client_that_does_not_bind(flag: bytes, bindings: ChannelBindings | None) -> None:
    server, peer = new_server("SCRAM-SHA-256", bindings=bindings), ScriptedClient(header=flag + b",,")
    server.step(peer.final(server.step(peer.first()) or b""))
    assert server.done
    assert server.security.channel_binding == ""


def test_a_server_whose_policy_uses_no_bindings_takes_a_client_that_could() -> None:
    server = new_server("SCRAM-SHA-256", bindings=UNIQUE, policy=NEVER)
    authenticate(new_client("SCRAM-SHA-256", bindings=UNIQUE), server)
    assert server.security.channel_binding == ""


@pytest.mark.requirement("RFC5802-6-03")
def test_a_server_that_requires_bindings_refuses_a_client_without() -> None:
    with pytest.raises(BadBindings):
        new_server("SCRAM-SHA-256", bindings=UNIQUE, policy=REQUIRE).step(b"n,,n=alice,r=x")


@pytest.mark.requirement("RFC5802-6-04", "RFC5802-6-06")
@pytest.mark.parametrize(
    ("bindings", "policy", "flag"),
    [(UNIQUE, None, b"y,,"), (None, None, b"n,,"), (UNIQUE, NEVER, b"n,,"), (ChannelBindings(), None, b"n,,")],
)
def test_the_flag_says_whether_the_client_could_have_bound(
    bindings: ChannelBindings | None, policy: Policy | None, flag: bytes
) -> None:
    first = new_client("SCRAM-SHA-256", bindings=bindings, policy=policy).start() or b""
    assert first.startswith(flag + b"n=alice,")


@pytest.mark.requirement("RFC5802-6-07")
def test_a_client_that_requires_bindings_never_goes_without() -> None:
    with pytest.raises(BadBindings):
        new_client("SCRAM-SHA-256", bindings=UNIQUE, policy=REQUIRE)
    with pytest.raises(BadBindings):
        new_client("SCRAM-SHA-256-PLUS", policy=REQUIRE)
    with pytest.raises(BadBindings):
        new_client("SCRAM-SHA-256-PLUS", bindings=UNIQUE, policy=NEVER)
    first = new_client("SCRAM-SHA-256-PLUS", bindings=UNIQUE, policy=REQUIRE).start() or b""
    assert first.startswith(b"p=tls-unique,,")


@pytest.mark.requirement("RFC5802-6-04", "RFC5802-6-08")
def test_a_shortened_list_is_found_out() -> None:
    listed = offer(Policy(), bindings=UNIQUE).names
    shortened = [name for name in listed if not name.endswith("-PLUS")]
    mechanism = choose(shortened, Policy(), bindings=UNIQUE).mechanism.name
    with pytest.raises(DowngradeDetected) as caught:
        authenticate(new_client(mechanism, bindings=UNIQUE), new_server(mechanism, bindings=UNIQUE))
    assert caught.value.token == b"e=server-does-support-channel-binding"


@pytest.mark.requirement("RFC5802-6-05")
@pytest.mark.parametrize("preferred", [(), ("SCRAM-SHA-256",), ("scram-sha-256",)])
def test_the_client_takes_plus_where_it_is_offered(preferred: tuple[str, ...]) -> None:
    listed = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512"]
    choice = choose(listed, Policy(), preferred, bindings=UNIQUE)
    assert choice.mechanism.name == "SCRAM-SHA-256-PLUS"
    assert choose(listed, NEVER, preferred, bindings=UNIQUE).mechanism.name in {"SCRAM-SHA-512", "SCRAM-SHA-256"}


@pytest.mark.requirement("RFC5802-6-01", "RFC5802-6-02", "RFC5802-6-03")
def test_a_server_lists_what_its_channel_permits() -> None:
    over_tls = offer(Policy(), [*PLAIN_NAMES, *BOUND], bindings=[UNIQUE, END_POINT])
    assert set(over_tls.names) == {*PLAIN_NAMES, *BOUND}
    in_clear = offer(Policy(), [*PLAIN_NAMES, *BOUND])
    assert set(in_clear.names) == set(PLAIN_NAMES)
    assert set(in_clear.reasons) == set(BOUND)
    bound_only = offer(REQUIRE, [*PLAIN_NAMES, *BOUND], bindings=UNIQUE)
    assert set(bound_only.names) == set(BOUND)
    assert set(bound_only.reasons) == set(PLAIN_NAMES)


def test_a_client_that_requires_bindings_is_told_what_is_missing() -> None:
    with pytest.raises(PackageNotFound, match="SCRAM-SHA-256: it carries no channel bindings"):
        choose(["SCRAM-SHA-256"], REQUIRE, bindings=UNIQUE)


def test_untyped_bindings_are_no_use_to_scram() -> None:
    with pytest.raises(BadBindings):
        new_client("SCRAM-SHA-256-PLUS", bindings=ChannelBindings(application_data=b"untyped"))
    with pytest.raises(InvalidToken):
        new_server("SCRAM-SHA-256-PLUS", bindings=UNIQUE).step(b"p=,,n=a,r=x")
