"""`saslsspi gateway` between a client and a directory that demands sealing, beside a client that seals by itself.

    python benchmarks/gateway.py                   slapd with 10,000 entries, DIGEST-MD5 with rc4
    python benchmarks/gateway.py --mechanism GSS-SPNEGO --testbed

What is measured: from the connection to the first entry of a search (a logon is in it), entries a second of a search
for all of them, and what a connection costs the gateway in memory, idle behind its logon. Client, gateway and directory
share the machine. Every contender has its turn in each round, and its best round counts.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from interop.gateway import GatewayProcess  # noqa: E402
from interop.slapd import Slapd  # noqa: E402
from saslsspi import Client, MemoryAuthority, NegotiatePolicy, Password, Policy  # noqa: E402
from saslsspi.adapters.ldap.message_heads import read_head  # noqa: E402
from saslsspi.der import element, enumerated, integer, octet_string, sequence  # noqa: E402
from saslsspi.gateway.ldap.questions import ResultMessage, read_answer, sasl_request, unbind  # noqa: E402
from saslsspi.sasl.layer import Layer  # noqa: E402
from saslsspi.testbed import loopback  # noqa: E402
from saslsspi.testbed.ldap.server import LdapServer, Limits  # noqa: E402

ENTRIES = 10_000
BASE = "ou=many,dc=example,dc=test"
SEALED = Policy(min_ssf=56, negotiate=NegotiatePolicy(packages="ntlm"))
_ENTRY, _DONE = 0x64, 0x65


class Talk:
    """A client of LDAP that is in nobody's way: it counts messages by their heads."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("localhost", port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.layer: Layer | None = None
        self._plain = bytearray()
        self._number = 0

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets if self.layer is None else self.layer.wrap(octets))

    def message(self) -> tuple[int, bytes]:
        """Return the next message: its operation, and its octets."""
        while (head := read_head(self._plain)) is None or len(self._plain) < head.size:
            octets = self.socket.recv(1 << 16)
            if not octets:
                raise ConnectionError("the server has closed")
            self._plain += octets if self.layer is None else self.layer.unwrap(octets)
        octets = bytes(self._plain[: head.size])
        del self._plain[: head.size]
        return head.operation, octets

    def simple(self, name: str, password: str) -> None:
        self._number += 1
        bind = element(0x60, integer(3), octet_string(name.encode()), element(0x80, password.encode()))
        self.send(sequence(integer(self._number), bind))
        answer = read_answer(self.message()[1])
        assert isinstance(answer, ResultMessage)
        assert answer.code == 0, answer

    def sealed(self, mechanism: str, name: str, password: str) -> None:
        client = Client(
            mechanism, service="ldap", host="localhost", credentials=Password(name, password), policy=SEALED
        )
        token = client.start()
        while True:
            self._number += 1
            self.send(sasl_request(self._number, mechanism, token))
            answer = read_answer(self.message()[1])
            assert isinstance(answer, ResultMessage)
            if answer.code == 0:
                client.succeed(answer.credentials)
                self.layer = client.layer
                return
            assert answer.code == 14, answer
            token = client.step(answer.credentials or b"") or b""

    def search(self) -> Iterator[float]:
        """Search for all, and yield the time of each entry."""
        self._number += 1
        asked = element(
            0x63, octet_string(BASE.encode()), enumerated(1), enumerated(0), integer(0), integer(0),
            element(0x01, b"\0"), element(0x87, b"objectClass"), sequence(),
        )  # fmt: skip
        self.send(sequence(integer(self._number), asked))
        while self.message()[0] == _ENTRY:
            yield time.perf_counter()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.send(unbind(self._number + 1))
        self.socket.close()


def first_entry(port: int, log_on: Callable[[Talk], None]) -> float:
    """Seconds from the connection to the first entry."""
    began = time.perf_counter()
    talk = Talk(port)
    log_on(talk)
    took = next(talk.search()) - began
    talk.close()
    return took


def whole_search(port: int, log_on: Callable[[Talk], None]) -> float:
    """Seconds for all entries, behind the logon."""
    talk = Talk(port)
    log_on(talk)
    began = time.perf_counter()
    count = sum(1 for _ in talk.search())
    took = time.perf_counter() - began
    talk.close()
    assert count == ENTRIES, count
    return took


def memory_of(process: int) -> int:
    """The process's own memory, in octets."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    private = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(words[1]) for words in private) * 1024


def each_connection(gateway: GatewayProcess, log_on: Callable[[Talk], None], count: int) -> float:
    """Octets that a connection costs the worker, idle behind its logon."""
    (worker,) = gateway.workers
    warm = [Talk(gateway.port) for _ in range(20)]
    for talk in warm:
        log_on(talk)
    before = memory_of(worker)
    more = [Talk(gateway.port) for _ in range(count)]
    for talk in more:
        log_on(talk)
    cost = (memory_of(worker) - before) / count
    for talk in (*warm, *more):
        talk.close()
    return cost


@contextlib.contextmanager
def testbed() -> Iterator[int]:
    """Our own server in a process of its own."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


def serve() -> None:
    server = LdapServer(
        authority=MemoryAuthority({"alice": "wonderland"}), policy=Policy(min_ssf=56), realm="example.test",
        entries=ENTRIES, limits=Limits(connections=2000),
    )  # fmt: skip
    with loopback.running(server) as running:
        print(running.port, flush=True)
        sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mechanism", default="DIGEST-MD5")
    parser.add_argument("--testbed", action="store_true", help="our own server in slapd's place")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    with contextlib.ExitStack() as stack:
        if arguments.testbed:
            port = stack.enter_context(testbed())
        else:
            slapd = stack.enter_context(Slapd(sasl_secprops="noanonymous", extra="security ssf=56\n", entries=ENTRIES))
            port = slapd.port
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = f'servers = ["localhost:{port}"]\nmechanisms = ["{arguments.mechanism}"]\n'
        gateway = stack.enter_context(GatewayProcess(folder, authority))
        contenders: dict[str, tuple[int, Callable[[Talk], None]]] = {
            "sealed by the client": (port, lambda talk: talk.sealed(arguments.mechanism, "alice", "wonderland")),
            "through the gateway": (gateway.port, lambda talk: talk.simple("alice", "wonderland")),
        }
        first = dict.fromkeys(contenders, 1000000000.0)
        whole = dict.fromkeys(contenders, 1000000000.0)
        for _ in range(arguments.rounds):
            for name, (there, log_on) in contenders.items():
                first[name] = min(first[name], first_entry(there, log_on))
                whole[name] = min(whole[name], whole_search(there, log_on))
        print(f"| {arguments.mechanism} | first entry ms | entries a second |\n|---|---|---|")
        for name in contenders:
            print(f"| {name} | {first[name] * 1000:.1f} | {ENTRIES / whole[name]:,.0f} |")
        cost = each_connection(gateway, contenders["through the gateway"][1], arguments.connections)
        print(f"\neach connection: {cost / 1024:.0f} KiB, idle behind its logon ({arguments.connections} of them)")


if __name__ == "__main__":
    main()
