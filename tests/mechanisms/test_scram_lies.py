"""SCRAM against ends that lie: nonces, iteration counts, signatures, errors, extensions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from saslsspi import ChannelBindings, Client, Password, Policy, SaslError
from saslsspi.errors import (
    BadBindings,
    ContextMisuse,
    DowngradeDetected,
    InsufficientMemory,
    InvalidParameter,
    InvalidToken,
    MutualAuthFailed,
)
from saslsspi.status import SecurityStatus
from scram_world import fields, new_client, new_server
from scripted_scram import ScriptedClient, ScriptedServer

# Nonces


@pytest.mark.requirement("RFC5802-5.1-13")
def test_nonces_of_both_sides_never_repeat() -> None:
    ours = {fields((new_client().start() or b"")[3:])["r"] for _ in range(1000)}
    server = new_server()
    theirs = {fields(server.again().step(b"n,,n=bob,r=x"))["r"] for _ in range(1000)}
    assert len(ours) == len(theirs) == 1000
    assert all(len(nonce) >= 24 for nonce in ours)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda nonce: "x" + nonce + "y", marks=pytest.mark.requirement("RFC5802-5.1-14")),
        pytest.param(lambda nonce: nonce[:-1], marks=pytest.mark.requirement("RFC5802-5.1-14")),
        pytest.param(lambda nonce: nonce, marks=pytest.mark.requirement("RFC5802-5.1-15")),
    ],
)
def test_the_client_refuses_a_nonce_that_is_not_its_own_and_more(change: Callable[[str], str]) -> None:
    client = new_client()
    nonce = fields((client.start() or b"")[3:])["r"]
    with pytest.raises(InvalidToken, match="nonce"):
        client.step(f"r={change(nonce)},s=QUJD,i=4096".encode())


@pytest.mark.requirement("RFC5802-5.1-16")
@pytest.mark.parametrize("altered", [b"clientnonce", b"other"])
def test_the_server_refuses_another_nonce_in_the_final_message(altered: bytes) -> None:
    server, peer = new_server(), ScriptedClient()
    challenge = server.step(peer.first()) or b""
    with pytest.raises(InvalidToken, match="nonce") as caught:
        server.step(peer.final(challenge, nonce=altered))
    assert caught.value.token == b"e=other-error"


# Iterations


@pytest.mark.requirement("RFC5802-5.1-21")
@pytest.mark.parametrize(
    ("count", "error"), [("1", DowngradeDetected), ("4095", DowngradeDetected), ("2147483647", InvalidToken)]
)
def test_the_client_bounds_the_iterations(count: str, error: type[SaslError]) -> None:
    client = new_client()
    nonce = fields((client.start() or b"")[3:])["r"]
    with pytest.raises(error, match="iterations") as caught:
        client.step(f"r={nonce}x,s=QUJD,i={count}".encode())
    assert caught.value.token is None


@pytest.mark.requirement("RFC5802-5.1-21")
def test_the_policy_moves_the_bounds() -> None:
    peer = ScriptedServer(iterations=b"10")
    client = new_client(policy=Policy(min_iterations=5, max_iterations=10))
    client.succeed(peer.final(client.step(peer.first(client.start() or b"")) or b""))
    assert client.done
    with pytest.raises(InvalidParameter):
        Policy(min_iterations=0)
    with pytest.raises(InvalidParameter):
        Policy(min_iterations=10, max_iterations=9)


@pytest.mark.requirement("RFC5802-5.1-20", "RFC7677-3-02")
def test_the_server_announces_no_fewer_iterations_than_the_policy_wants() -> None:
    challenge = new_server(policy=Policy(min_iterations=20000)).step(b"n,,n=bob,r=x")
    assert int(fields(challenge)["i"]) == 20000


# The server's proof


@pytest.mark.requirement("RFC5802-5.1-24")
def test_the_client_takes_the_signature_of_an_independent_server() -> None:
    client, peer = new_client(), ScriptedServer()
    final = client.step(peer.first(client.start() or b"")) or b""
    assert client.step(peer.final(final)) is None
    assert client.done


@pytest.mark.requirement("RFC5802-5.1-24")
@pytest.mark.parametrize("signature", [b"v=QUJD", b"v=" + b"A" * 43 + b"="])
def test_the_client_refuses_a_wrong_signature(signature: bytes) -> None:
    client, peer = new_client(), ScriptedServer()
    client.step(peer.first(client.start() or b""))
    with pytest.raises(MutualAuthFailed):
        client.step(signature)
    assert not client.done
    with pytest.raises(MutualAuthFailed):
        client.succeed()


@pytest.mark.requirement("RFC5802-5.1-25")
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_success_without_the_signature_is_refused(steps: int) -> None:
    client, peer = new_client(), ScriptedServer()
    message = client.start() if steps else b""
    if steps == 2:
        client.step(peer.first(message or b""))
    with pytest.raises(MutualAuthFailed):
        client.succeed()
    assert not client.done


def test_nothing_comes_after_the_signature() -> None:
    client, peer = new_client(), ScriptedServer()
    client.step(peer.final(client.step(peer.first(client.start() or b"")) or b""))
    with pytest.raises(InvalidToken):
        client.step(b"v=QUJD")


@pytest.mark.requirement("RFC5802-5.1-26")
def test_a_failure_without_a_last_message_leaves_the_client_undone() -> None:
    client, peer = new_client(), ScriptedServer()
    client.step(peer.first(client.start() or b""))
    client.abort()
    assert not client.done
    with pytest.raises(ContextMisuse):
        client.step(b"v=QUJD")


@pytest.mark.requirement("RFC5802-7-02")
@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("invalid-encoding", SecurityStatus.SEC_E_INVALID_TOKEN),
        ("extensions-not-supported", SecurityStatus.SEC_E_INVALID_TOKEN),
        ("invalid-proof", SecurityStatus.SEC_E_LOGON_DENIED),
        ("channel-bindings-dont-match", SecurityStatus.SEC_E_BAD_BINDINGS),
        ("server-does-support-channel-binding", SecurityStatus.SEC_E_DOWNGRADE_DETECTED),
        ("channel-binding-not-supported", SecurityStatus.SEC_E_BAD_BINDINGS),
        ("unsupported-channel-binding-type", SecurityStatus.SEC_E_BAD_BINDINGS),
        ("unknown-user", SecurityStatus.SEC_E_LOGON_DENIED),
        ("invalid-username-encoding", SecurityStatus.SEC_E_LOGON_DENIED),
        ("no-resources", SecurityStatus.SEC_E_INSUFFICIENT_MEMORY),
        ("other-error", SecurityStatus.SEC_E_LOGON_DENIED),
        ("sun-in-the-eyes", SecurityStatus.SEC_E_LOGON_DENIED),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_the_client_understands_each_error_value(value: str, status: SecurityStatus, early: bool) -> None:
    client, peer = new_client(), ScriptedServer()
    message = client.start() or b""
    if not early:
        client.step(peer.first(message))
    with pytest.raises(SaslError) as caught:
        client.step(f"e={value},x=1".encode())
    assert caught.value.status is status
    assert "sun-in-the-eyes" not in str(caught.value)


def test_a_refusal_over_the_type_of_the_bindings_names_the_type_and_does_not_advise_to_go_without() -> None:
    credentials, bindings = Password("user", "pencil"), ChannelBindings.tls_unique(b"finished")
    client = Client("SCRAM-SHA-256-PLUS", service="imap", host="h", credentials=credentials, bindings=bindings)
    client.start()
    with pytest.raises(BadBindings, match="tls-unique; pass bindings of another type") as caught:
        client.step(b"e=unsupported-channel-binding-type")
    assert "without" not in str(caught.value)
    assert issubclass(InsufficientMemory, SaslError)


# Extensions


@pytest.mark.requirement("RFC5802-5.1-30")
def test_unknown_extensions_are_ignored_and_covered_by_the_proofs() -> None:
    server, peer = new_server(), ScriptedClient(bare=b"n=alice,r=clientnonce,x=1,Z=a=b")
    challenge = server.step(peer.first()) or b""
    assert server.step(peer.final(challenge, extensions=b",y=2")) == peer.expected
    client, scripted = new_client(), ScriptedServer(iterations=b"4096")
    scripted.first(client.start() or b"")
    scripted.server_first += b",x=1"
    client.succeed(scripted.final(client.step(scripted.server_first) or b"") + b",x=1")
    assert client.done


@pytest.mark.requirement("RFC5802-5.1-28", "RFC5802-5.1-29", "RFC5802-5.1-11")
def test_a_mandatory_extension_is_refused_by_name() -> None:
    with pytest.raises(InvalidToken) as caught:
        new_server().step(b"n,,m=ext,n=alice,r=x")
    assert caught.value.token == b"e=extensions-not-supported"
    client = new_client()
    nonce = fields((client.start() or b"")[3:])["r"]
    with pytest.raises(InvalidToken):
        client.step(f"m=ext,r={nonce}x,s=QUJD,i=4096".encode())
