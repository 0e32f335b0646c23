"""Servers, and people in the middle, that do what they must not: each ends in our error, quickly, and nothing hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from ldap3.core.exceptions import LDAPException, LDAPSessionTerminatedByServerError

from adapters.ldap.scripted import (
    AUTH,
    AUTH_CONF,
    AUTH_INT,
    IN_PROGRESS,
    NOTICE_OF_DISCONNECTION,
    STRATEGIES,
    SUCCESS,
    TIMEOUT,
    Peer,
    bind_response,
    connected,
    message,
    scripted,
    who_am_i,
    who_am_i_response,
)
from saslsspi import Layer, Policy, SaslError
from saslsspi.adapters.stream import Truncated
from saslsspi.errors import (
    ContextMisuse,
    InvalidToken,
    LogonDenied,
    MessageAltered,
    MutualAuthFailed,
    OutOfSequence,
    QopNotSupported,
)

STRATEGY = pytest.mark.parametrize("strategy", STRATEGIES)
LAYER = pytest.mark.parametrize("policy", [AUTH_INT, AUTH_CONF], ids=["auth-int", "auth-conf"])
RESTARTING = ("RESTARTABLE", "SAFE_RESTARTABLE")


@pytest.fixture(autouse=True)
def _quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < TIMEOUT


def wrong_proof(peer: Peer) -> None:
    request, proof, _ = peer.challenge()
    peer.send(bind_response(request.id, SUCCESS, proof[:-1] + (b"1" if proof.endswith(b"0") else b"0")))


def no_proof(peer: Peer) -> None:
    request, _, _ = peer.challenge()
    peer.send(bind_response(request.id, SUCCESS))


def empty_proof(peer: Peer) -> None:
    request, _, _ = peer.challenge()
    peer.send(bind_response(request.id, SUCCESS, b""))


def success_at_once(peer: Peer) -> None:
    peer.send(bind_response(peer.receive().id, SUCCESS))


def endless(peer: Peer) -> None:
    request, proof, _ = peer.challenge()
    while True:
        peer.send(bind_response(request.id, IN_PROGRESS, proof))
        request = peer.receive()


def another_response(peer: Peer) -> None:
    request, _, _ = peer.challenge()
    peer.send(message(request.id, 0x65, SUCCESS))


def unknown_code(peer: Peer) -> None:
    peer.send(bind_response(peer.receive().id, 200))


def no_ldap(peer: Peer) -> None:
    peer.receive()
    peer.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def huge_length(peer: Peer) -> None:
    peer.receive()
    peer.send_raw(b"\x30\x88" + b"\xff" * 8)


def long_challenge(peer: Peer) -> None:
    challenge = b'nonce="' + b"n" * 2100 + b'",algorithm=md5-sess'
    peer.send(bind_response(peer.receive().id, IN_PROGRESS, challenge))


def weaker_offer(peer: Peer) -> None:
    challenge = b'nonce="abcdefghijkl",qop="auth",algorithm=md5-sess,charset=utf-8'
    peer.send(bind_response(peer.receive().id, IN_PROGRESS, challenge))


@STRATEGY
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (wrong_proof, LogonDenied),
        (no_proof, MutualAuthFailed),
        (empty_proof, (LogonDenied, MutualAuthFailed)),
        (success_at_once, MutualAuthFailed),
        (endless, (ContextMisuse, InvalidToken)),
        (another_response, InvalidToken),
        (unknown_code, InvalidToken),
        (no_ldap, InvalidToken),
        (huge_length, InvalidToken),
        (long_challenge, InvalidToken),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.requirement("LDAP4511-4.2.2-03", "LDAP4513-5.2.1.5-04")
def test_an_exchange_that_goes_wrong_is_raised_and_ends_the_session(
    strategy: str, script: Callable[[Peer], None], error: type[SaslError] | tuple[type[SaslError], ...]
) -> None:
    with scripted(script) as server, connected(server, client_strategy=strategy) as client:
        with pytest.raises(error):
            client.bind()
        assert not client.bound
        assert client.closed
        assert client.security is None
        assert server.connections == 1
        with pytest.raises((SaslError, LDAPException)):  # nor does auto_bind let it pass
            connected(server, client_strategy=strategy, auto_bind=True).__enter__()


@STRATEGY
def test_a_shortened_offer_is_not_answered(strategy: str) -> None:
    with scripted(weaker_offer) as server, connected(server, client_strategy=strategy, policy=AUTH_CONF) as client:
        with pytest.raises(QopNotSupported):
            client.bind()
        assert len(server.binds) == 1
        assert client.closed


@STRATEGY
@LAYER
@pytest.mark.requirement("LDAP4513-5.2.1.4-01")
def test_clear_text_behind_the_success_is_never_taken_for_an_answer(strategy: str, policy: Policy) -> None:
    def script(peer: Peer) -> None:
        request, proof, _ = peer.challenge(policy)
        forged = who_am_i_response(request.id + 1, "dn:cn=root")
        peer.send_raw(bind_response(request.id, SUCCESS, proof) + forged)
        peer.receive()

    with scripted(script) as server, connected(server, client_strategy=strategy, policy=policy) as client:
        client.bind()
        with pytest.raises(SaslError):
            who_am_i(client)
        assert not client.bound


@STRATEGY
@LAYER
def test_a_protected_notice_right_behind_the_success_is_read_under_the_layer(strategy: str, policy: Policy) -> None:
    def script(peer: Peer) -> None:
        request, proof, server = peer.challenge(policy)
        assert server.layer is not None
        peer.send_raw(bind_response(request.id, SUCCESS, proof) + server.layer.wrap(NOTICE_OF_DISCONNECTION))
        peer.layer = server.layer
        peer.receive()

    def again(peer: Peer) -> None:
        peer.bind(policy)
        peer.answer_who_am_i()

    with scripted(script, again) as server, connected(server, client_strategy=strategy, policy=policy) as client:
        client.bind()
        if strategy in RESTARTING:
            assert who_am_i(client) == "dn:uid=alice"
        else:
            with pytest.raises(LDAPSessionTerminatedByServerError):
                who_am_i(client)


def flipped(layer: Layer, answer: bytes) -> bytes:
    wire = bytearray(layer.wrap(answer))
    wire[6] ^= 1
    return bytes(wire)


def replayed(layer: Layer, answer: bytes) -> bytes:
    wire = layer.wrap(answer[:3])
    return wire + wire


def dropped(layer: Layer, answer: bytes) -> bytes:
    layer.wrap(answer)
    return layer.wrap(answer)


def oversize(layer: Layer, answer: bytes) -> bytes:
    return b"\xff\xff\xff\xfc" + layer.wrap(answer)


def clear(layer: Layer, answer: bytes) -> bytes:
    return answer


@STRATEGY
@LAYER
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (flipped, MessageAltered),
        (replayed, OutOfSequence),
        (dropped, OutOfSequence),
        (oversize, InvalidToken),
        (clear, InvalidToken),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_answer_that_was_tampered_with_ends_the_connection(
    strategy: str, policy: Policy, change: Callable[[Layer, bytes], bytes], error: type[SaslError]
) -> None:
    def script(peer: Peer) -> None:
        peer.bind(policy)
        assert peer.layer is not None
        peer.send_raw(change(peer.layer, who_am_i_response(peer.receive().id, "dn:cn=root")))
        peer.receive()

    with scripted(script) as server, connected(server, client_strategy=strategy, policy=policy) as client:
        client.bind()
        with pytest.raises(error):
            who_am_i(client)
        assert client.closed
        assert not client.bound
        assert server.connections == 1


@STRATEGY
@LAYER
@pytest.mark.parametrize("size", [1, 4, 10, -1])
def test_a_connection_closed_within_a_buffer_is_a_truncation(strategy: str, policy: Policy, size: int) -> None:
    def script(peer: Peer) -> None:
        peer.bind(policy)
        request = peer.receive()
        assert peer.layer is not None
        peer.send_raw(peer.layer.wrap(who_am_i_response(request.id, "dn:cn=root"))[:size])

    with scripted(script) as server, connected(server, client_strategy=strategy, policy=policy) as client:
        client.bind()
        with pytest.raises(Truncated):
            who_am_i(client)
        assert not client.bound
        # Only a restarting strategy asks again, once.
        assert server.connections == (2 if strategy in RESTARTING else 1)


@STRATEGY
def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(strategy: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.receive()

    with (
        scripted(script) as server,
        connected(server, client_strategy=strategy, receive_timeout=1) as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("ldap3.utils.config._RESPONSE_WAITING_TIMEOUT", 1)
        with pytest.raises((OSError, LDAPException)):
            client.bind()
        assert not client.bound
        assert client.closed


@STRATEGY
def test_nothing_but_the_bind_response_is_read_before_the_layer_is_decided(strategy: str) -> None:
    """Without a layer, what follows the success is read as before."""

    def script(peer: Peer) -> None:
        request, proof, _ = peer.challenge(AUTH)
        peer.send_raw(bind_response(request.id, SUCCESS, proof) + NOTICE_OF_DISCONNECTION)

    def again(peer: Peer) -> None:
        peer.bind()
        peer.answer_who_am_i()

    with scripted(script, again) as server, connected(server, client_strategy=strategy) as client:
        client.bind()
        assert client.security is not None
        if strategy in RESTARTING:
            assert who_am_i(client) == "dn:uid=alice"
        else:
            with pytest.raises((LDAPException, OSError)):
                who_am_i(client)
