"""Four server processes and one Redis: nothing is taken twice, and nobody who is right is refused.

    python benchmarks/replay.py --logons 100000 --restart

Clients of HTTP Digest and DIGEST-MD5 log on again and again, each time at any of the processes. Twenty logons bring an
attack: a request that was taken is repeated, at another process; two requests of a client overtake one another; the
same request comes twice at once; somebody without the password takes the next count. With --restart Redis is killed in
the middle, is away for a while, and comes back empty. The seed is fixed; which process comes first is not.

It ends with status 1 where an attack was taken, or a right logon refused; one that is challenged anew is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

import redis

from saslsspi import MemoryAuthority, Policy, SaslError, Server
from saslsspi.accounts import RedisNonceStore, SharedRedis
from saslsspi.adapters.http import HttpAcceptor, HttpRequest
from saslsspi.engine.policy import HttpDigestPolicy

SECRET = b"the servers' own secret"
REALM = "r"
CLIENTS = 256
ATTACKS = 0.05
MOST_TRIES = 4
POLICY = Policy(max_ssf=0, http_digest=HttpDigestPolicy(algorithms=("MD5",)))


class Request(NamedTuple):
    """What goes to a server process: HTTP credentials, or a message of DIGEST-MD5 in a numbered exchange."""

    carrier: str
    exchange: int
    message: bytes


class Reply(NamedTuple):
    """What comes back.

    Attributes:
        verdict: taken, anew (here is a challenge), or refused.
    """

    verdict: str
    challenge: bytes = b""


def password(user: str) -> str:
    return f"the password of {user}"


def serve(url: str, pipe: Connection) -> None:
    """Be one server process: batches of requests come, batches of replies go."""
    shared = SharedRedis.at(url, SECRET, timeout=5)
    store = RedisNonceStore(shared)
    people = MemoryAuthority({f"u{number}": password(f"u{number}") for number in range(CLIENTS)})
    site = HttpAcceptor.of(people, realm=REALM, policy=POLICY, nonce_store=store)
    mail = Server(
        "DIGEST-MD5", service="imap", host="h", authority=people, realm=REALM, policy=POLICY, nonce_store=store
    )
    exchanges: dict[int, Server] = {}

    def http(request: Request) -> Reply:
        decision = site.judge(HttpRequest(method="GET", targets=("/",), credentials=request.message.decode()))
        if decision.user is not None:
            return Reply("taken")
        challenge = dict(decision.headers).get("WWW-Authenticate", "").encode()
        anew = not request.message or b"stale=true" in challenge
        return Reply("anew" if anew else "refused", challenge)

    def sasl(request: Request) -> Reply:
        server = exchanges.pop(request.exchange, None) or mail.again()
        try:
            challenge = server.step(request.message or None)
        except SaslError:
            return Reply("refused")
        if server.done:
            return Reply("taken")
        exchanges[request.exchange] = server
        return Reply("anew", challenge or b"")

    answer = {"http": http, "sasl": sasl}
    while batch := pipe.recv():
        pipe.send([answer[request.carrier](request) for request in batch])


class Client(Protocol):
    """One who logs on again and again; it makes its requests by itself, and needs nothing of the library."""

    at: int | None

    def next(self) -> Request:
        """Return the next request."""

    def stolen(self) -> Request | None:
        """Return what somebody without the password makes of the next count."""

    def told(self, challenge: bytes) -> None:
        """Take a challenge."""

    def taken(self) -> None:
        """The request was taken."""


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def field(challenge: bytes, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', challenge.decode())
    assert found is not None, challenge
    return found[1]


class HttpClient:
    """RFC 2617 with MD5; any process takes each request."""

    def __init__(self, number: int) -> None:
        self.user, self.at = f"u{number}", None
        self.nonce, self.opaque, self.count = "", "", 0

    def next(self) -> Request:
        return self._request(self.count + 1, password(self.user))

    def stolen(self) -> Request | None:
        return self._request(self.count + 1, "a guess") if self.nonce else None

    def _request(self, count: int, secret: str) -> Request:
        if not self.nonce:
            return Request("http", 0, b"")
        right = md5(md5(self.user, REALM, secret), self.nonce, f"{count:08x}", "c", "auth", md5("GET", "/"))
        text = (
            f'Digest username="{self.user}", realm="{REALM}", nonce="{self.nonce}", uri="/", algorithm=MD5, '
            f'qop=auth, nc={count:08x}, cnonce="c", opaque="{self.opaque}", response="{right}"'
        )
        return Request("http", 0, text.encode())

    def told(self, challenge: bytes) -> None:
        self.nonce, self.opaque, self.count = field(challenge, "nonce"), field(challenge, "opaque"), 0

    def taken(self) -> None:
        self.count += 1


class SaslClient:
    """RFC 2831 at qop=auth; an exchange stays at its process, a new one begins with the next count anywhere."""

    def __init__(self, number: int) -> None:
        self.user, self.at, self.number, self.exchange = f"u{number}", None, number << 32, 0
        self.nonce, self.count = "", 0

    def next(self) -> Request:
        return self._request(self.count + 1, password(self.user))

    def stolen(self) -> Request | None:
        return self._request(self.count + 1, "a guess") if self.count else None

    def _request(self, count: int, secret: str) -> Request:
        if self.at is None:
            self.number += 1
        if not self.nonce:
            return Request("sasl", self.number, b"")
        ha1 = hashlib.md5(hashlib.md5(f"{self.user}:{REALM}:{secret}".encode()).digest() + f":{self.nonce}:c".encode())
        right = md5(ha1.hexdigest(), self.nonce, f"{count:08x}", "c", "auth", md5("AUTHENTICATE", "imap/h"))
        text = (
            f'charset=utf-8,username="{self.user}",realm="{REALM}",nonce="{self.nonce}",nc={count:08x},cnonce="c",'
            f'digest-uri="imap/h",response={right},qop=auth'
        )
        return Request("sasl", self.number, text.encode())

    def told(self, challenge: bytes) -> None:
        self.nonce, self.count = field(challenge, "nonce"), 0

    def taken(self) -> None:
        self.count += 1


class Run:
    """The clients, the processes, and what is counted."""

    def __init__(self, pipes: list[Connection], seed: int) -> None:
        self.pipes, self.draw = pipes, random.Random(seed)
        self.clients: list[HttpClient | SaslClient] = [
            (HttpClient, SaslClient)[number % 2](number) for number in range(CLIENTS)
        ]
        self.tries = [0] * CLIENTS
        self.counts: Counter[str] = Counter()
        self.seen: set[bytes] = set()
        self.old: list[Request] = []

    def round(self, *, away: bool) -> None:
        """Let every client send one request, and some attacks beside them."""
        sent: list[tuple[int, Request, int | None, str]] = []
        for number, client in enumerate(self.clients):
            at = self._anywhere() if client.at is None else client.at
            request = client.next()
            if request.message and self.draw.random() < ATTACKS:
                sent += self._attack(client, request)
            sent.append((at, request, number, "logon"))
        self.draw.shuffle(sent)
        for (at, request, number, kind), reply in zip(sent, self._exchange(sent), strict=True):
            first = request.message not in self.seen
            if reply.verdict == "taken":
                self.seen.add(request.message)
                self.counts["taken twice"] += not first
            if number is None:
                self.counts[kind] += 1
                # One of two at once is the right one, whichever comes first.
                wrong = reply.verdict == "taken" and kind not in ("both at once", "ahead of its turn")
                self.counts["attacks taken"] += wrong
                continue
            self._result(number, at, request, reply, away=away)

    def _result(self, number: int, at: int, request: Request, reply: Reply, *, away: bool) -> None:
        client = self.clients[number]
        client.at = None
        if reply.verdict == "taken":
            client.taken()
            self.old.append(request)
            self.counts[f"logons of {request.carrier}"] += 1
            self.counts["logons"] += 1
            self.tries[number] = 0
            return
        if reply.verdict == "refused":
            self.counts["right logons refused"] += 1
            return
        if request.message:
            self.counts["challenged anew" + (" while Redis was away" if away else "")] += 1
            self.tries[number] += not away
            self.counts["right logons refused"] += self.tries[number] > MOST_TRIES
        client.told(reply.challenge)
        if request.carrier == "sasl":
            client.at = at

    def _attack(self, client: HttpClient | SaslClient, request: Request) -> Iterator[tuple[int, Request, None, str]]:
        kind = self.draw.choice(("repeated", "stolen", "both at once", "ahead of its turn"))
        if kind == "repeated" and self.old:
            yield self._anywhere(), self._strange(self.draw.choice(self.old[-4096:])), None, kind
        elif kind == "stolen" and (wrong := client.stolen()) is not None:
            yield self._anywhere(), self._strange(wrong), None, kind
        elif kind == "both at once" and client.at is None:
            yield self._anywhere(), self._strange(request), None, kind
        elif kind == "ahead of its turn" and client.at is None:
            client.count += 1
            ahead = client.next()
            client.count -= 1
            yield self._anywhere(), self._strange(ahead), None, kind

    def _strange(self, request: Request) -> Request:
        """Return a request as somebody else sends it, in an exchange of his own."""
        return request._replace(exchange=-self.draw.getrandbits(60))

    def _anywhere(self) -> int:
        return self.draw.randrange(len(self.pipes))

    def _exchange(self, sent: list[tuple[int, Request, int | None, str]]) -> list[Reply]:
        """Send each process its requests, to all of them at once."""
        mine = [[place for place, item in enumerate(sent) if item[0] == at] for at in range(len(self.pipes))]
        for pipe, places in zip(self.pipes, mine, strict=True):
            if places:
                pipe.send([sent[place][1] for place in places])
        replies: dict[int, Reply] = {}
        for pipe, places in zip(self.pipes, mine, strict=True):
            if places:
                replies |= dict(zip(places, pipe.recv(), strict=True))
        return [replies[place] for place in range(len(sent))]


class Redis:
    """A Redis of this run, which writes nothing down."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self._folder = f"redis://127.0.0.1:{self.port}/0", folder

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            for _ in range(1000):
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(0.01)
        raise RuntimeError("redis-server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> int:
    """Run it and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logons", type=int, default=100_000, help="how many are to succeed")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=2831)
    parser.add_argument("--restart", action="store_true", help="kill Redis in the middle")
    asked = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("error: there is no redis-server; on Debian: apt-get install redis-server")
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="replay-") as folder, contextlib.ExitStack() as end:
        server = Redis(folder)
        server.start()
        end.callback(server.kill)
        pipes = []
        for _ in range(asked.processes):
            ours, theirs = spawning.Pipe()
            worker = spawning.Process(target=serve, args=(server.url, theirs))
            worker.start()
            end.callback(worker.join)
            end.callback(ours.send, [])
            pipes.append(ours)
        run, began = Run(pipes, asked.seed), time.monotonic()
        while run.counts["logons"] < asked.logons // 2:
            run.round(away=False)
        if asked.restart:
            server.kill()
            for _ in range(3):
                run.round(away=True)
            server.start()
            time.sleep(1.2)  # for so long a Redis that was away is left alone
        while run.counts["logons"] < asked.logons:
            run.round(away=False)
        seconds = time.monotonic() - began
    wrong = ("attacks taken", "taken twice", "right logons refused")
    for name in (*sorted(run.counts.keys() - {*wrong, "logons"}), "logons", *wrong):
        print(f"{name:40}{run.counts[name]:>9}")
    print(f"{asked.processes} processes, seed {asked.seed}, {seconds:.0f} s")
    return int(any(run.counts[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
