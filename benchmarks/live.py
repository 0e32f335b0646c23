"""The line server of examples/ with four workers, and ten thousand clients that are logged on at once.

    python benchmarks/live.py --connections 10000 --workers 4

Half of the clients log on with SCRAM-SHA-256 and go on in clear, half with DIGEST-MD5 under its sealing layer; accounts
are in SQLite. All stay connected. Then each says something twice and takes it back, new ones come while all are there,
and all leave. What is told: how long it took, what a connection costs in memory, what was left behind, and errors.

It stays on loopback, opens no more than it is told, and is over after --seconds whatever happens. It ends with status 1
where anything failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy

from saslsspi import Client, Password, Policy
from saslsspi.accounts import SqlAuthority
from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived
from saslsspi.adapters.stream import LayeredStream

EXAMPLE = Path(__file__).parent.parent / "examples" / "line_server.py"
USERS = 64
REALM = "notes.example"
AT_ONCE = 100  # logons that each client process has running
CLIENTS = 2  # processes
NEW_ONES = 2 * CLIENTS * USERS  # so that each user has logged on with each mechanism
MECHANISMS = ("SCRAM-SHA-256", "DIGEST-MD5")
MOST = 50_000


class Phase(NamedTuple):
    """What a client process did in one phase.

    Attributes:
        seconds: How long it took.
        each: How long each took, in seconds.
        errors: By class.
    """

    seconds: float
    each: list[float]
    errors: Counter[str]


def open_files(wanted: int) -> None:
    """Permit this process so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def memory(process: int) -> int:
    """Return what a process has in memory, in octets."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def sockets(process: int) -> int:
    """Return how many sockets a process has open."""
    found = 0
    for entry in os.scandir(f"/proc/{process}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found += os.readlink(entry.path).startswith("socket:")
    return found


def work(accounts: str, port: int, backlog: int, ready: Connection) -> None:
    """Be one worker: the example's server on a port that the workers share."""
    open_files(MOST)
    spec = importlib.util.spec_from_file_location("line_server", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    async def serve() -> None:
        notes = example.NoteServer(SqlAuthority(sqlalchemy.create_engine(accounts)), policy=Policy())
        async with await asyncio.start_server(
            notes.serve, "127.0.0.1", port, reuse_port=True, backlog=backlog
        ) as server:
            ready.send(True)
            await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


class NoteClient:
    """One connection."""

    def __init__(self, stream: LayeredStream) -> None:
        self._stream = stream

    @classmethod
    async def logged_on(cls, port: int, client: Client) -> NoteClient:
        made = cls(LayeredStream(*await asyncio.open_connection("127.0.0.1", port)))
        try:
            await made._log_on(client)
        except BaseException:
            made.close()
            raise
        return made

    async def _log_on(self, client: Client) -> None:
        stream, message = self._stream, client.start()
        await stream.readline()
        verb = b"AUTH " + client.mechanism.name.encode()
        stream.write((verb if message is None else verb + b" " + b64encode(message)) + b"\r\n")
        while (line := await stream.readline()).startswith(b"+ "):
            stream.write(b64encode(client.step(b64decode(line[2:])) or b"") + b"\r\n")
        if not line.startswith(b"OK"):
            raise ConnectionRefusedError(line)
        words = line.split()
        client.succeed(b64decode(words[2]) if len(words) > 2 else None)
        if client.layer is not None:
            stream.install(client.layer, unread_is_protected=True)

    async def say(self, text: bytes) -> None:
        """Have the server keep a note, and take it back."""
        for command, answer in ((b"PUT " + text, b"OK"), (b"GET", b"OK")):
            self._stream.write(command + b"\r\n")
            line = await self._stream.readline()
            if not line.startswith(answer):
                raise ConnectionError(line)

    def close(self) -> None:
        self._stream.close()


class Crowd:
    """The clients of one process."""

    def __init__(self, port: int, count: int) -> None:
        self._port, self._count = port, count
        self._there: list[NoteClient] = []
        self._first = {
            (mechanism, user): Client(
                mechanism, service="notes", host="localhost", credentials=Password(f"u{user}", f"password {user}")
            )
            for mechanism in MECHANISMS
            for user in range(USERS)
        }

    async def come(self) -> Phase:
        return await self._all(self._one(number) for number in range(self._count))

    async def talk(self) -> Phase:
        return await self._all(client.say(b"a note of forty octets, or something lik") for client in self._there)

    async def more(self) -> Phase:
        return await self._all(self._one(number) for number in range(NEW_ONES // CLIENTS))

    async def leave(self) -> Phase:
        began = time.perf_counter()
        for client in self._there:
            client.close()
        await asyncio.sleep(0)
        return Phase(time.perf_counter() - began, [], Counter())

    async def _one(self, number: int) -> None:
        # Keys are derived once for each user, as a client that connects again does: the server is measured.
        first = self._first[MECHANISMS[number % 2], number // 2 % USERS]
        self._there.append(await NoteClient.logged_on(self._port, first.again()))

    async def _all(self, doing: Iterable[Any]) -> Phase:
        gate, each, errors = asyncio.Semaphore(AT_ONCE), list[float](), Counter[str]()

        async def one(what: Any) -> None:
            async with gate:
                began = time.perf_counter()
                try:
                    await what
                except Exception as error:
                    errors[type(error).__name__] += 1
                else:
                    each.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*map(one, doing))
        return Phase(time.perf_counter() - began, each, errors)


def visit(port: int, count: int, pipe: Connection) -> None:
    """Be one process of clients: a phase comes by name, and what was done goes back."""
    open_files(MOST)
    loop, crowd = asyncio.new_event_loop(), Crowd(port, count)
    while name := pipe.recv():
        pipe.send(loop.run_until_complete(getattr(crowd, name)()))
    loop.close()


def filled(folder: Path) -> str:
    """Return a database with the users."""
    place = f"sqlite:///{folder}/accounts.db"
    kinds = (Secret.SCRAM_SHA_256, Secret.HA1)
    store_at(place).write(
        {
            f"u{number}": derived(f"u{number}", f"password {number}", kinds=kinds, realms=[REALM])
            for number in range(USERS)
        }
    )
    return place


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Course:
    """The processes, and what is told of them."""

    def __init__(self, connections: int, workers: int, deadline: float) -> None:
        self._connections, self._deadline = connections, deadline
        self._workers, self._clients = list[BaseProcess](), list[BaseProcess]()
        self._pipes: list[Connection] = []
        self._wanted = workers
        self.errors: Counter[str] = Counter()

    def begin(self, folder: Path) -> None:
        making, port, accounts = multiprocessing.get_context("spawn"), free_port(), filled(folder)
        for _ in range(self._wanted):
            hearing, telling = making.Pipe(duplex=False)
            worker = making.Process(target=work, args=(accounts, port, 4096, telling), daemon=True)
            worker.start()
            self._workers.append(worker)
            self._hear(hearing)
        for _ in range(CLIENTS):
            here, there = making.Pipe()
            client = making.Process(target=visit, args=(port, self._connections // CLIENTS, there), daemon=True)
            client.start()
            self._clients.append(client)
            self._pipes.append(here)

    def phase(self, name: str) -> Phase:
        """Have all clients do something."""
        for pipe in self._pipes:
            pipe.send(name)
        done: list[Phase] = [self._hear(pipe) for pipe in self._pipes]
        errors = sum((one.errors for one in done), Counter[str]())
        self.errors += errors
        return Phase(max(one.seconds for one in done), [took for one in done for took in one.each], errors)

    def of_workers(self, what: Any) -> int:
        return sum(what(worker.pid) for worker in self._workers)

    def left(self, sockets_before: int) -> int:
        """Wait until the workers have seen all clients go, and return how many they have not."""
        for _ in range(200):
            left = self.of_workers(sockets) - sockets_before
            if left <= 0:
                break
            time.sleep(0.05)
        return left

    def end(self) -> None:
        for process in (*self._clients, *self._workers):
            process.terminate()
            process.join()

    def _hear(self, pipe: Connection) -> Any:
        if not pipe.poll(max(0.0, self._deadline - time.monotonic())):
            raise TimeoutError("the time is over")
        return pipe.recv()


def told(what: str, phase: Phase) -> None:
    each = sorted(phase.each) or [0.0]
    words = [
        f"{what:44} {phase.seconds:8.2f} s {len(phase.each) / max(phase.seconds, 1e-9):8.0f}/s",
        f"median {statistics.median(each) * 1000:6.1f} ms",
        f"99 of 100 within {each[len(each) * 99 // 100] * 1000:6.1f} ms",
        f"errors {sum(phase.errors.values())} {dict(phase.errors) or ''}",
    ]
    print("  ".join(words), flush=True)


def run(connections: int, workers: int, seconds: float) -> int:
    """Run the course; returns the exit status."""
    course = Course(connections, workers, time.monotonic() + seconds)
    with tempfile.TemporaryDirectory() as folder:
        try:
            course.begin(Path(folder))
            warm = course.phase("more")  # modules are loaded, and the keys of all users derived
            told("the first ones", warm)
            before, sockets_before = course.of_workers(memory), course.of_workers(sockets)
            told(f"{connections} log on", course.phase("come"))
            there = course.of_workers(sockets) - sockets_before
            held = course.of_workers(memory)
            print(f"{'connected at the workers':44} {there:8}")
            print(f"{'memory of the workers, MiB: before, with all':44} {before / 2**20:8.1f} {held / 2**20:8.1f}")
            print(f"{'memory for each connection, octets':44} {(held - before) / max(there, 1):8.0f}")
            told("each says something and takes it back", course.phase("talk"))
            told("and once more", course.phase("talk"))
            told(f"{NEW_ONES} more while all are there", course.phase("more"))
            told("all leave", course.phase("leave"))
            left = course.left(sockets_before - NEW_ONES)
            print(f"{'connections that are left at the workers':44} {left:8}")
            print(f"{'memory of the workers afterwards, MiB':44} {course.of_workers(memory) / 2**20:8.1f}")
        finally:
            course.end()
    complete = there == connections and not left and not course.errors
    print("complete" if complete else f"not complete: {dict(course.errors)}")
    return 0 if complete else 1


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=600.0, help="when it is over whatever happens")
    given = parser.parse_args()
    if not 2 <= given.connections <= MOST or not 1 <= given.workers <= 64:
        parser.error(f"2 to {MOST} connections, 1 to 64 workers")
    open_files(MOST)
    return run(given.connections // 2 * 2, given.workers, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
