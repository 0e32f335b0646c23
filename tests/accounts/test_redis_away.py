"""A Redis that does not answer: nothing is accepted, nobody waits twice, and the log says it once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from saslsspi import InvalidParameter, MemoryAuthority
from saslsspi.accounts import RedisNonceStore, SharedRedis
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.adapters.http import HttpAcceptor, HttpRequest

redis = pytest.importorskip("redis")
SECRET = b"the servers' own secret"


class _Encoder:
    decode_responses = False


class Client:
    """A client of redis-py, as far as the library knows it."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Any = redis.ConnectionError("nobody there")

    def get_encoder(self) -> _Encoder:
        return _Encoder()

    def register_script(self, lua: str) -> Any:
        def run(keys: list[bytes], args: list[bytes]) -> Any:
            self.asked += 1
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return run


@pytest.fixture(params=[redis.ConnectionError, redis.TimeoutError, redis.ResponseError, OSError])
def client(request: pytest.FixtureRequest) -> Client:
    made = Client()
    made.answer = request.param("")
    return made


def record(**more: Any) -> NonceRecord:
    return NonceRecord(1.0, None, "alice@r", **more)


def test_nothing_is_accepted(client: Client) -> None:
    store = RedisNonceStore(SharedRedis(client, SECRET, pause=0))
    assert not store.remember(b"n", record())
    assert store.find(b"n") is None
    assert not store.advance(b"n", 2)
    store.forget(b"n")


def test_it_is_left_alone_for_a_moment_and_the_log_says_so_once(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    store = RedisNonceStore(SharedRedis(client, SECRET, pause=1.0, monotonic=lambda: now[0]))
    with caplog.at_level(logging.INFO, "saslsspi.redis"):
        for _ in range(50):
            store.find(b"n")
        assert client.asked == 1
        now[0] += 1.0
        store.find(b"n")
        assert client.asked == 2
        assert len(caplog.records) == 1
        now[0] += 1.0
        client.answer = b"epoch"
        store.key(b"")
    assert [entry.message.partition(":")[0] for entry in caplog.records] == [
        "Redis does not answer, clients are challenged anew",
        "Redis answers again",
    ]


def test_a_nonce_made_while_it_was_away_is_never_taken(client: Client) -> None:
    store = RedisNonceStore(SharedRedis(client, SECRET, pause=0))
    key = store.key(b"drawn")
    client.answer = b"epoch"
    assert store.key(b"drawn") != key
    client.answer = 1
    assert not store.remember(b"n", record(store_key=key))
    assert store.remember(b"n", record(store_key=store.key(b"drawn")))


def test_http_digest_challenges_anew(client: Client) -> None:
    acceptor = HttpAcceptor.of(
        MemoryAuthority({"alice": "wonderland"}), realm="r", nonce_store=RedisNonceStore(SharedRedis(client, SECRET))
    )
    decision = acceptor.judge(HttpRequest(method="GET", targets=("/",)))
    assert decision.status == 401
    assert decision.headers[0][1].startswith("Digest ")


@pytest.mark.parametrize("secret", ["text of 16 letters", b"", b"fifteen octets."])
def test_a_secret_is_octets_and_enough_of_them(secret: Any) -> None:
    with pytest.raises(InvalidParameter, match="at least 16"):
        SharedRedis(Client(), secret)


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="decode_responses"):
        SharedRedis(redis.Redis(decode_responses=True), SECRET)
