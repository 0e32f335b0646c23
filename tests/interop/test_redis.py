"""The shared memory of nonces on a real Redis: whatever becomes of Redis, nothing is taken twice."""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interop.redis_server import RedisServer
from saslsspi import Account, Client, MemoryAuthority, Password, Policy, Server
from saslsspi.accounts import FailureLimits, RedisFailures, RedisNonceStore, SharedRedis, Throttle
from saslsspi.accounts.failures import MemoryFailures
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.adapters.http import HttpAcceptor, HttpDecision, HttpRequest
from saslsspi.adapters.http.inbound import Inbound
from saslsspi.engine.environment import Environment
from saslsspi.engine.policy import HttpDigestPolicy
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.digest.http.remembered import ServerSession

pytestmark = pytest.mark.interop
SECRET = b"the servers' own secret"
PEOPLE = MemoryAuthority([Account(username="alice", password="wonderland", groups=("tea",))])


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.client.flushall()
    return running


def a_store(server: RedisServer, secret: bytes = SECRET, **options: Any) -> RedisNonceStore:
    """What one server process has."""
    shared = SharedRedis.at(server.url, secret, timeout=20)
    shared._pause = 0.0
    return RedisNonceStore(shared, **options)


def record(owner: str, issued: float, session: bytes | None = None) -> NonceRecord:
    return NonceRecord(issued, session, owner)


def test_a_nonce_is_used_for_the_first_time_by_one_of_many(server: RedisServer) -> None:
    stores = [a_store(server) for _ in range(4)]
    taken: list[bool] = []
    counted: list[bool] = []
    barrier = threading.Barrier(8)

    def use(store: RedisNonceStore) -> None:
        barrier.wait()
        taken.append(store.remember(b"n", record("alice", 1.0)))
        barrier.wait()
        counted.append(store.advance(b"n", 2))

    threads = [threading.Thread(target=use, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(counted) == [False] * 7 + [True]
    assert [stores[0].advance(b"n", count) for count in (2, 4, 1, 3, 3)] == [False, False, False, True, False]


def test_a_session_comes_back_sealed_and_only_with_the_secret(server: RedisServer) -> None:
    account = Account(username="alice", groups=("tea",))
    session = ServerSession(ALGORITHMS[b"md5"], b"ab" * 16, "alice", b"alice", b"r", account)
    store = a_store(server)
    assert store.remember(b"a nonce", NonceRecord(12.25, session, "alice@\0r"))
    found = a_store(server).find(b"a nonce")
    assert found is not None
    assert (found.issued, found.owner, found.session_as(ServerSession)) == (12.25, "alice@\0r", session)
    assert a_store(server, b"another secret, as long").find(b"a nonce") is None
    everything = b"".join(server.client.dump(key) for key in server.client.keys("*"))
    for shown in (b"alice", b"abab", b"a nonce", b"tea"):
        assert shown not in everything


def test_a_record_that_was_moved_or_changed_is_none(server: RedisServer) -> None:
    store = a_store(server)
    for nonce in (b"one", b"two"):
        assert store.remember(nonce, record("alice", float(len(nonce)) + nonce[0], b"session"))
    (records,) = server.client.keys("*:records")
    one, two = (store._named(b"nonce", nonce) for nonce in (b"one", b"two"))
    sealed = server.client.hget(records, one)
    server.client.hset(records, two, sealed)
    server.client.hset(records, one, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert store.find(b"one") is store.find(b"two") is None
    server.client.hset(records, one, sealed[:36] + b"\x02" + sealed[37:])
    assert store.find(b"one") is None, "another version"
    server.client.hset(records, one, b"")
    assert store.find(b"one") is None


def test_what_was_dropped_stays_used_and_younger_nonces_are_taken(server: RedisServer) -> None:
    store = a_store(server, size=2)
    for number in range(4):
        assert store.remember(b"%d" % number, record("alice", float(number)))
    assert store.find(b"0") is None
    for number in range(4):
        assert not store.remember(b"%d" % number, record("alice", float(number)))
    assert not store.remember(b"unused", record("alice", 0.5)), "below the watermark nobody can tell"
    assert store.remember(b"new", record("alice", 4.0))
    assert store.remember(b"hers", record("bob", 0.5)), "the watermark is alice's"
    store.forget(b"hers")
    store.forget(b"hers")
    assert not store.remember(b"hers", record("bob", 0.5))
    assert not store.advance(b"hers", 2)


def test_who_has_most_makes_room(server: RedisServer) -> None:
    store = a_store(server, size=10)
    for number in range(3):
        store.remember(b"alice %d" % number, record("alice", float(number)))
    for number in range(100):
        assert store.remember(b"mallory %d" % number, record("mallory", float(number)))
    assert all(store.find(b"alice %d" % number) for number in range(3))
    assert [number for number in range(100) if store.find(b"mallory %d" % number)] == list(range(93, 100))


def test_it_is_bounded_whatever_the_number_of_owners_and_nothing_is_taken_twice(server: RedisServer) -> None:
    draw = random.Random(2831)
    store = a_store(server, size=8)
    taken: list[tuple[bytes, NonceRecord]] = []
    for number in range(600):
        nonce, made = b"%d" % number, record(f"user {draw.randrange(40)}", float(number))
        assert store.remember(nonce, made), "younger than all that was dropped"
        taken.append((nonce, made))
        if draw.random() < 0.1:
            store.forget(draw.choice(taken)[0])
        assert not store.remember(*draw.choice(taken))
    sizes = {
        key.rpartition(b":")[2]: (server.client.hlen if server.client.type(key) == b"hash" else server.client.zcard)(
            key
        )
        for key in server.client.keys("*:*:*")
    }
    assert set(sizes) == {b"uses", b"records", b"expiry", b"held", b"owners", b"marks"}
    assert all(size <= 10 for size in sizes.values()), sizes
    assert sizes[b"uses"] == sizes[b"records"] == sizes[b"expiry"] == sizes[b"held"]
    assert not any(store.remember(*used) for used in taken)


def test_expiry_bounds_it_and_leaves_a_watermark_for_everybody(server: RedisServer) -> None:
    store = a_store(server, keep=0.000001)
    for number in range(50):
        assert store.remember(b"%d" % number, record("alice", float(number)))
    (uses,) = server.client.keys("*:uses")
    assert server.client.hlen(uses) == 2
    for owner in ("alice", "bob"):
        assert not any(store.remember(b"%d" % number, record(owner, float(number))) for number in range(49))
    assert store.remember(b"new", record("bob", 50.0))


def test_everything_that_stands_in_redis_expires(server: RedisServer) -> None:
    store = a_store(server, keep=600)
    store.remember(b"n", record("alice", 1.0))
    lifetimes = [server.client.ttl(key) for key in server.client.keys("*")]
    assert len(lifetimes) == 7
    assert all(1200 < seconds <= 1260 for seconds in lifetimes)


def lose_all(server: RedisServer) -> None:
    server.client.flushall()


def lose_one_key(server: RedisServer) -> None:
    server.client.delete(server.client.keys("*:expiry")[0])


def lose_the_epoch(server: RedisServer) -> None:
    server.client.delete(*[key for key in server.client.keys("*") if key.endswith(b":epoch")])


@pytest.mark.parametrize("lose", [lose_all, lose_one_key, lose_the_epoch])
def test_what_is_lost_ends_the_epoch_and_with_it_every_nonce(
    server: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    stores = [a_store(server), a_store(server)]
    key = stores[0].key(b"")
    assert stores[1].key(b"other") == key
    made = NonceRecord(1.0, b"session", "alice", key)
    assert stores[0].remember(b"n", made)
    lose(server)
    assert all(store.find(b"n") is None for store in stores)
    assert not any(store.remember(b"n", made) for store in stores)
    assert not any(store.advance(b"n", 2) for store in stores)
    (new,) = {store.key(b"") for store in stores}
    assert new != key
    assert stores[1].remember(b"n", made._replace(store_key=new))
    assert not stores[0].remember(b"n", made._replace(store_key=new))


class Browser:
    """A client of HTTP Digest, computed here."""

    def __init__(self) -> None:
        self.nonce, self.opaque, self.count = "", "", 0

    def told(self, decision: HttpDecision) -> None:
        challenge = dict(decision.headers)["WWW-Authenticate"]
        self.nonce, self.opaque = (re.search(rf'\b{name}="([^"]*)"', challenge)[1] for name in ("nonce", "opaque"))  # type: ignore[index]
        self.count = 0

    def request(self, password: str = "wonderland") -> HttpRequest:
        self.count += 1
        ha1, ha2 = md5("alice", "r", password), md5("GET", "/")
        right = md5(ha1, self.nonce, f"{self.count:08x}", "c", "auth", ha2)
        text = (
            f'Digest username="alice", realm="r", nonce="{self.nonce}", uri="/", algorithm=MD5, qop=auth, '
            f'nc={self.count:08x}, cnonce="c", opaque="{self.opaque}", response="{right}"'
        )
        return HttpRequest(method="GET", targets=("/",), credentials=text)


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def site(server: RedisServer, ahead: float = 0.0) -> HttpAcceptor:
    """One server process of HTTP, with a clock that is ahead."""
    environment = Environment(
        authority=PEOPLE,
        nonce_store=a_store(server),
        clock=lambda: time.time() + ahead,
        policy=Policy(http_digest=HttpDigestPolicy(algorithms=("MD5",))),
    )
    return HttpAcceptor({"Digest": Inbound("WDigest", environment)}, realm="r")


def taken(decision: HttpDecision) -> bool:
    return decision.user is not None


def stale(decision: HttpDecision) -> bool:
    return "stale=true" in dict(decision.headers)["WWW-Authenticate"]


NOBODY = HttpRequest(method="GET", targets=("/",))


def test_a_request_passes_once_whichever_process_it_comes_to(server: RedisServer) -> None:
    one, other = site(server), site(server)
    browser = Browser()
    browser.told(one.judge(NOBODY))
    first, second = browser.request(), browser.request()
    decision = other.judge(first)
    assert decision.user is not None
    assert decision.user.groups == ("tea",)
    assert stale(one.judge(first))
    assert stale(other.judge(first))
    later = one.judge(second)
    assert later.user is not None
    assert later.user.groups == ("tea",), "of the session, which the other process has written down"
    assert stale(other.judge(second))
    assert stale(one.judge(second))


def test_the_challenge_that_a_loss_costs_is_one(server: RedisServer) -> None:
    acceptor, browser = site(server), Browser()
    browser.told(acceptor.judge(NOBODY))
    assert taken(acceptor.judge(browser.request()))
    server.client.flushall()
    browser.told(acceptor.judge(browser.request()))
    assert taken(acceptor.judge(browser.request()))


@pytest.mark.parametrize("away", [False, True])
def test_redis_that_is_killed_and_comes_back_makes_no_request_pass_again(server: RedisServer, away: bool) -> None:
    sites = [site(server), site(server)]
    browser = Browser()
    browser.told(sites[0].judge(NOBODY))
    first, second, unused = browser.request(), browser.request(), browser.request()
    assert taken(sites[0].judge(first))
    assert taken(sites[1].judge(second))
    server.kill()
    if away:
        assert stale(sites[0].judge(first)), "it is away: who knows the password is challenged anew"
        assert stale(sites[1].judge(unused))
    server.start()
    for each in sites:
        assert not any(taken(each.judge(request)) for request in (first, second, unused))
    browser.told(sites[1].judge(unused))
    assert taken(sites[0].judge(browser.request()))


def test_redis_that_comes_back_with_what_it_had_written_down_long_before_has_lost_its_memory() -> None:
    with RedisServer(save="3600 1") as server:
        sites = [site(server), site(server)]
        browser = Browser()
        browser.told(sites[0].judge(NOBODY))
        requests = [browser.request() for _ in range(3)]
        assert taken(sites[0].judge(requests[0]))
        server.client.save()
        assert taken(sites[0].judge(requests[1]))
        server.kill()
        server.start()
        assert len(server.client.keys("*")) == 7, "what it had written down is there, count 1 of the nonce with it"
        assert not any(taken(each.judge(request)) for each in sites for request in requests)


def test_redis_that_evicts_keys_has_lost_its_memory() -> None:
    with RedisServer(**{"maxmemory": "3mb", "maxmemory-policy": "allkeys-random"}) as server:
        acceptor, browser = site(server), Browser()
        browser.told(acceptor.judge(NOBODY))
        requests = [browser.request() for _ in range(2)]
        assert taken(acceptor.judge(requests[0]))
        before = set(server.client.keys("{saslsspi}*"))
        number = 0
        while before <= set(server.client.keys("{saslsspi}*")):
            number += 1
            server.client.set(f"somebody else's {number}", b"x" * 20000)
            assert number < 5000
        assert not any(taken(acceptor.judge(request)) for request in requests)


def test_a_redis_that_is_full_accepts_nothing_unchecked() -> None:
    with RedisServer(maxmemory="1", **{"maxmemory-policy": "noeviction"}) as server:
        acceptor, browser = site(server), Browser()
        browser.told(acceptor.judge(NOBODY))
        assert not taken(acceptor.judge(browser.request()))


def test_a_slow_redis_is_waited_for_once(server: RedisServer) -> None:
    shared = SharedRedis.at(server.url, SECRET, timeout=0.05)
    now = [0.0]
    shared._monotonic = lambda: now[0]
    store = RedisNonceStore(shared)
    assert store.remember(b"n", record("alice", 1.0))
    asked: list[object] = []
    server.client.client_pause(2000)
    advance = shared._client.execute_command
    shared._client.execute_command = lambda *words, **more: asked.append(words) or advance(*words, **more)  # type: ignore[method-assign]
    assert not any(store.advance(b"n", 2) for _ in range(20))
    assert len(asked) == 1
    server.client.client_unpause()


@pytest.mark.parametrize("ahead", [[0.0, 50.0], [50.0, 0.0], [-50.0, 50.0]])
def test_clocks_that_are_apart_take_each_other_s_nonces_once(server: RedisServer, ahead: list[float]) -> None:
    sites = [site(server, by) for by in ahead]
    for issuer in (0, 1):
        browser = Browser()
        browser.told(sites[issuer].judge(NOBODY))
        requests = [browser.request() for _ in range(3)]
        assert all(taken(sites[number % 2].judge(request)) for number, request in enumerate(requests))
        assert not any(taken(each.judge(request)) for each in sites for request in requests)


def test_a_clock_that_is_too_far_ahead_is_told_and_its_nonces_are_taken_by_nobody(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    fast, right = site(server, ahead=90.0), site(server)
    browser = Browser()
    browser.told(fast.judge(NOBODY))
    request = browser.request()
    assert stale(fast.judge(request))
    assert stale(right.judge(request))
    assert "clock is ahead of Redis's by more than 60 s" in caplog.text
    browser.told(right.judge(NOBODY))
    assert taken(right.judge(browser.request()))


def digest_md5(server: RedisServer) -> Server:
    return Server(
        "DIGEST-MD5", service="imap", host="h", authority=PEOPLE, realm="r", nonce_store=a_store(server),
        policy=Policy(max_ssf=0),
    )  # fmt: skip


def test_subsequent_authentication_of_digest_md5_goes_on_at_another_process_and_only_once(server: RedisServer) -> None:
    client = Client(
        "DIGEST-MD5", service="imap", host="h", credentials=Password("alice", "wonderland"), policy=Policy(max_ssf=0)
    )
    first = digest_md5(server)
    assert client.start() is None
    client.succeed(first.step(client.step(first.step(None) or b"")))
    again = client.again()
    response = again.start()
    assert response is not None
    second = digest_md5(server)
    again.succeed(second.step(response))
    assert second.done
    assert second.security.account is not None
    assert (second.security.authcid, second.security.account.groups) == ("alice", ("tea",))
    for each in (digest_md5(server), second.again(), first.again()):
        assert each.step(response) is not None
        assert not each.done
    third = client.again()
    response = third.start()
    server.client.flushall()
    for each in (digest_md5(server), second.again()):
        each.step(response)
        assert not each.done, "challenged anew"


def a_throttle(server: RedisServer) -> Throttle:
    limits = FailureLimits(window=900, by_account=2, by_address=4, delay=1, longest=10, jitter=0)
    return Throttle(RedisFailures(SharedRedis.at(server.url, SECRET, timeout=20)), limits)


def test_failures_count_at_whichever_process_they_happen(server: RedisServer) -> None:
    processes = [a_throttle(server), a_throttle(server)]
    assert [processes[number % 2].failed("alice", "192.0.2.7:1") for number in range(6)] == [1, 1, 2, 4, 8, 10]
    assert processes[1].failed("bob", "192.0.2.7:9") == 8, "by address: seven, four of which cost no more"
    assert [each.failures_of("alice") for each in processes] == [6, 6]
    keys = server.client.keys("*")
    assert len(keys) == 3
    assert all(0 < server.client.ttl(key) <= 900 for key in keys)
    assert not any(b"alice" in key or b"192" in key for key in keys)


def test_failures_slide_out_of_the_window_by_the_clock_of_redis(server: RedisServer) -> None:
    failures = RedisFailures(SharedRedis.at(server.url, SECRET, timeout=20), meanwhile=MemoryFailures(size=1))
    assert failures.add("alice", 900) == 1
    (key,) = server.client.keys("*")
    seconds, micros = server.client.time()
    now = seconds * 1_000_000 + micros
    server.client.zadd(key, {b"long ago": now - 901_000_000, b"just now": now})
    assert failures.count("alice", 900) == 2
    for _ in range(1100):
        failures.add("alice", 900)
    assert server.client.zcard(key) == 1024


def test_failures_are_counted_while_redis_is_away(server: RedisServer) -> None:
    throttle = a_throttle(server)
    assert [throttle.failed("alice", "") for _ in range(3)] == [1, 1, 2]
    server.kill()
    assert throttle.failed("alice", "") == 4, "by this process"
    server.start()
