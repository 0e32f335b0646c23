"""Logons of DIGEST-MD5 that are taken up again: at any worker, at any machine, and once."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from interop.authd import Authd, Talk
from interop.redis_server import RedisServer
from saslsspi import Client, Password, Policy
from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived

pytestmark = pytest.mark.interop
REALM = "example.test"


@pytest.fixture
def store(tmp_path: Path) -> str:
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write(
        {"alice": derived("alice", "wonderland", kinds=[Secret.HA1, Secret.SCRAM_SHA_256], realms=[REALM])}
    )
    return place


def shared(redis: RedisServer, folder: Path) -> str:
    secret = folder / "secret"
    secret.write_bytes(b"the servers' own secret")
    secret.chmod(0o600)
    return f'[shared]\nredis = "{redis.url}"\nsecret_file = "{secret}"\n'


def begin(talk: Talk, response: bytes | None) -> list[str]:
    """Begin an exchange of DIGEST-MD5, and return what comes."""
    words = ["AUTH", "1", "DIGEST-MD5", "service=smtp"]
    talk.send("\t".join([*words, f"resp={b64encode(response).decode()}"] if response is not None else words))
    return talk.line()


def finish(talk: Talk, client: Client, reply: list[str]) -> str:
    """Go on until it is over; returns the word that ends it."""
    while reply[0] == "CONT":
        said = None if client.done else client.step(b64decode(reply[2]))
        talk.send(f"CONT\t1\t{b64encode(said or b'').decode()}")
        reply = talk.line()
    return reply[0]


def new_client() -> Client:
    return Client(
        "DIGEST-MD5",
        service="smtp",
        host="localhost",
        credentials=Password("alice", "wonderland"),
        policy=Policy(max_ssf=0),
    )


def at_another(service: Authd, worker: int) -> Talk:
    """Return a connection to a worker that is not this one."""
    deadline = time.monotonic() + 30
    while True:
        talk = Talk(service.dovecot)
        if talk.worker != worker:
            return talk
        talk.__exit__()
        assert time.monotonic() < deadline


def test_a_logon_is_taken_up_at_another_worker_and_only_once(store: str, tmp_path: Path) -> None:
    with RedisServer() as redis, Authd(tmp_path, [store], workers=3, more=shared(redis, tmp_path)) as service:
        client = new_client()
        with Talk(service.dovecot) as talk:
            assert finish(talk, client, begin(talk, client.start())) == "OK"
            first = talk.worker
        client = client.again()
        response = client.start()
        assert response is not None, "the client takes its session up again"
        with at_another(service, first) as talk:
            reply = begin(talk, response)
            assert b64decode(reply[2]).startswith(b"rspauth="), "no challenge: it was taken up"
            assert finish(talk, client, reply) == "OK"
            second = talk.worker
        # The same octets once more: at the worker that took them, at the one of the first logon, at the third.
        for worker in (second, first):
            with at_another(service, worker) as talk:
                reply = begin(talk, response)
                assert reply[0] == "CONT"
                assert b'nonce="' in b64decode(reply[2]), "a challenge, and no rspauth"
        redis.client.flushall()
        client = client.again()
        with Talk(service.dovecot) as talk:
            reply = begin(talk, client.start())
            assert b'nonce="' in b64decode(reply[2]), "what was lost is asked for anew"
            assert finish(talk, client, reply) == "OK"


def test_while_redis_is_away_nothing_is_taken_up_and_everybody_may_log_on(store: str, tmp_path: Path) -> None:
    with RedisServer() as redis, Authd(tmp_path, [store], workers=2, more=shared(redis, tmp_path)) as service:
        client = new_client()
        with Talk(service.dovecot) as talk:
            assert finish(talk, client, begin(talk, client.start())) == "OK"
        redis.kill()
        client = client.again()
        with Talk(service.dovecot) as talk:
            reply = begin(talk, client.start())
            assert b"rspauth" not in b64decode(reply[2])
            assert finish(talk, client, reply) == "OK"
        assert "Redis does not answer" in service.log


def test_without_redis_nothing_is_taken_up(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store]) as service:
        client = new_client()
        with Talk(service.dovecot) as talk:
            assert finish(talk, client, begin(talk, client.start())) == "OK"
        client = client.again()
        with Talk(service.dovecot) as talk:
            assert b"rspauth" not in b64decode(begin(talk, client.start())[2])
