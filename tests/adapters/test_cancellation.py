"""A server's task that is cancelled, wherever it waits, leaves nothing behind; and nothing blocks the loop.

Every adapter under asyncio serves one logon again and again. Each time the n-th wait of all the tasks that it starts is
cancelled, n from the first on, until a run comes to its end untouched. After each run no task is left, no thread is in
the middle of an exchange, whatever was begun has its one record in the audit log, and the next client is served.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from aiosmtpd.handlers import Sink

from saslsspi import Account, MemoryAuthority, Policy, Question, Server
from saslsspi.accounts import Throttle
from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor
from saslsspi.adapters.mail.protocols.imap import IMAP
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.adapters.mail.protocols.sieve import SIEVE
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.adapters.mail.server import SaslService
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.authd.crowd import Crowd
from saslsspi.authd.exchanges import Door
from saslsspi.authd.service import PROTOCOLS, _accepting
from saslsspi.services.settings import ListenerSettings, ServiceLimits
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.mail import server_of
from testbed.raw_ldap import request, sasl_bind

POLICY = Policy(allow_plaintext=True)
PEOPLE = MemoryAuthority({"alice": "wonderland"})
PATIENCE = 20.0


class Blocking:
    """An authority that blocks its thread, and is never asked in the loop's."""

    def __init__(self) -> None:
        self.loop_thread = threading.get_ident()
        self.inside = 0

    def lookup(self, question: Question) -> Account | None:
        assert threading.get_ident() != self.loop_thread, "the loop is blocked"
        self.inside += 1
        try:
            threading.Event().wait(0.002)
            return PEOPLE.lookup(question)
        finally:
            self.inside -= 1


class Awaited(Blocking):
    """One whose lookup is awaited by the loop."""

    async def lookup(self, question: Question) -> Account | None:  # type: ignore[override]
        self.inside += 1
        try:
            await asyncio.sleep(0.002)
            return PEOPLE.lookup(question)
        finally:
            self.inside -= 1


class Waits:
    """Counts the waits of all tasks that are started, and cancels the task of one."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.count = 0
        self.tasks: set[asyncio.Task[Any]] = set()

    def task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        made = asyncio.Task(self._run(_Counted(coroutine, self)), loop=loop, **more)
        self.tasks.add(made)
        made.add_done_callback(self.tasks.discard)
        return made

    async def _run(self, counted: _Counted) -> Any:
        return await counted

    def one_more(self) -> None:
        self.count += 1
        if self.count == self._at:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()


class _Counted:
    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits: Waits) -> None:
        self._coroutine, self._waits = coroutine, waits

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, thrown = self._coroutine.__await__(), None
        while True:
            try:
                waited_for = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            self._waits.one_more()
            thrown = None
            try:
                yield waited_for
            except BaseException as error:
                thrown = error


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Talk = Callable[[Streams], Awaitable[bool]]
Serve = Callable[[Any], contextlib.AbstractAsyncContextManager[int]]


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


PLAIN = b64(b"\0alice\0wonderland")
SCRAM = b64(b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL")


async def line_with(streams: Streams, *beginnings: bytes) -> bool:
    """Read until a line begins so; whether the first of them did."""
    while line := await streams[0].readline():
        if line.startswith(beginnings):
            return line.startswith(beginnings[0])
    return False


def dialogue(*lines: bytes, good: bytes, bad: tuple[bytes, ...], greeting: bytes) -> Talk:
    async def talk(streams: Streams) -> bool:
        if not await line_with(streams, greeting):
            return False
        for line in lines[:-1]:
            streams[1].write(line + b"\r\n")
            if not await line_with(streams, b"250 "):
                return False
        streams[1].write(lines[-1] + b"\r\n")
        return await line_with(streams, good, *bad)

    return talk


SMTP_TALK = dialogue(b"EHLO me", b"AUTH PLAIN " + PLAIN, good=b"235", bad=(b"4", b"5"), greeting=b"220")
IMAP_TALK = dialogue(b"a AUTHENTICATE PLAIN " + PLAIN, good=b"a OK", bad=(b"a ", b"* BYE"), greeting=b"* OK")
POP3_TALK = dialogue(b"AUTH PLAIN " + PLAIN, good=b"+OK", bad=(b"-ERR",), greeting=b"+OK")
SIEVE_TALK = dialogue(b'AUTHENTICATE "PLAIN" "' + PLAIN + b'"', good=b"OK", bad=(b"NO", b"BYE"), greeting=b"OK")


async def slow_smtp_talk(streams: Streams) -> bool:
    """The response in a message of its own: the server waits in the middle of an exchange."""
    if not await line_with(streams, b"220"):
        return False
    for line, reply in ((b"EHLO me", b"250 "), (b"AUTH PLAIN", b"334"), (PLAIN, b"235")):
        streams[1].write(line + b"\r\n")
        if not await line_with(streams, reply, b"4", b"5"):
            return False
    return True


async def ldap_talk(streams: Streams) -> bool:
    streams[1].write(request(1, sasl_bind("PLAIN", b"\0alice\0wonderland")))
    answer = await streams[0].read(4096)
    return b"\x0a\x01\x00" in answer


async def dovecot_talk(streams: Streams) -> bool:
    streams[1].write(b"VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp=" + PLAIN + b"\n")
    return await line_with(streams, b"OK", b"FAIL")


async def saslauthd_talk(streams: Streams) -> bool:
    words = (b"alice", b"wonderland", b"smtp", b"")
    streams[1].write(b"".join(len(word).to_bytes(2) + word for word in words))
    return (await streams[0].read(64))[2:4] == b"OK"


async def http_talk(streams: Streams) -> bool:
    streams[1].write(b"ask\n")
    return await line_with(streams, b"401")


@contextlib.asynccontextmanager
async def aiosmtpd(authority: Any) -> AsyncIterator[int]:
    service = SaslService(service="smtp", host="h", authority=authority, policy=POLICY, throttle=Throttle())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SaslSmtpProtocol(Sink(), sasl=service, loop=loop), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def embedded(protocol: Any) -> Serve:
    @contextlib.asynccontextmanager
    async def serve(authority: Any) -> AsyncIterator[int]:
        async with server_of(protocol)(authority=authority, policy=POLICY) as server:
            yield server.port
            assert not server._channels or await drained(lambda: not server._channels)

    return serve


@contextlib.asynccontextmanager
async def ldap(authority: Any) -> AsyncIterator[int]:
    async with LdapServer(authority=authority, policy=POLICY) as server:
        yield server.port


def authd(protocol: str) -> Serve:
    @contextlib.asynccontextmanager
    async def serve(authority: Any) -> AsyncIterator[int]:
        limits = ServiceLimits(failure_delay=0)
        listener = ListenerSettings(protocol=protocol, port=1, host=("h",))
        connections = Crowd(limits.connections)
        door = Door(listener, authority, POLICY, limits, Throttle(limits=limits.failures()))
        assert protocol in PROTOCOLS
        async with await asyncio.start_server(_accepting(door, connections), "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
            assert await drained(lambda: not connections)

    return serve


@contextlib.asynccontextmanager
async def asgi(authority: Any) -> AsyncIterator[int]:
    """The smallest server of ASGI: a request of HTTP Digest for each line."""
    application = AsgiAuthentication(None, HttpAcceptor.of(authority, realm="r"))  # type: ignore[arg-type]
    credentials = (
        'Digest username="alice", realm="r", nonce="n", uri="/", algorithm=SHA-256, qop=auth, nc=00000001, '
        f'cnonce="c", response="{"0" * 64}"'
    )
    headers = [(b"authorization", credentials.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "scheme": "http"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                writer.write(b"%d\n" % message["status"])
                await writer.drain()

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(writer):
            await reader.readline()
            await application(dict(scope), receive, send)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


ADAPTERS: dict[str, tuple[Serve, Talk]] = {
    "aiosmtpd": (aiosmtpd, SMTP_TALK),
    "aiosmtpd, slowly": (aiosmtpd, slow_smtp_talk),
    "asgi": (asgi, http_talk),
    "authd dovecot": (authd("dovecot"), dovecot_talk),
    "authd saslauthd": (authd("saslauthd"), saslauthd_talk),
    "testbed smtp": (embedded(SMTP), SMTP_TALK),
    "testbed smtp, slowly": (embedded(SMTP), slow_smtp_talk),
    "testbed imap": (embedded(IMAP), IMAP_TALK),
    "testbed pop3": (embedded(POP3), POP3_TALK),
    "testbed sieve": (embedded(SIEVE), SIEVE_TALK),
    "testbed ldap": (ldap, ldap_talk),
}


async def drained(done: Callable[[], bool]) -> bool:
    """Give tasks their turns until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.001)
    return True


async def ask(port: int, talk: Talk) -> bool:
    """Be one client; whether it was served to the end."""
    try:
        async with asyncio.timeout(PATIENCE):
            streams = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await talk(streams)
            finally:
                streams[1].close()
                with contextlib.suppress(OSError):
                    await streams[1].wait_closed()
    except ConnectionError:
        return False


class Audit(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def one_run(serve: Serve, talk: Talk, authority: Any, at: int, audit: Audit) -> int:
    """Cancel the at-th wait, look around, and return how many waits there were."""
    loop, waits = asyncio.get_running_loop(), Waits(at)
    asked: list[Question] = []
    lookup = authority.lookup
    authority.lookup = lambda question: asked.append(question) or lookup(question)
    async with serve(authority) as port:
        loop.set_task_factory(waits.task)  # type: ignore[arg-type]  # typeshed wants keywords by name
        served = await ask(port, talk)
        assert served or waits.count >= at
        loop.set_task_factory(None)
        assert await drained(lambda: not waits.tasks), "a task is left"
        if serve is ldap:  # its lookups have a time limit of their own, and no exchange around them in their thread
            assert await drained(lambda: authority.inside == 0)
        assert authority.inside == 0, "somebody is still in the middle of an exchange"
        assert len(audit.records) == (1 if asked or served else len(audit.records)) <= 1
        audit.records.clear()
        assert await ask(port, talk), "the next client is served"
    authority.lookup = lookup
    return waits.count


@pytest.mark.parametrize("kind", [Blocking, Awaited])
@pytest.mark.parametrize("name", ADAPTERS)
def test_cancelled_at_each_wait_nothing_is_left(name: str, kind: type[Blocking]) -> None:
    serve, talk = ADAPTERS[name]
    audit, logger = Audit(), logging.getLogger("saslsspi.audit")
    level = logger.level
    logger.addHandler(audit)
    logger.setLevel(logging.INFO)

    async def walk() -> int:
        authority = kind()
        for at in range(1, 200):
            audit.records.clear()
            if await one_run(serve, talk, authority, at, audit) < at:
                return at
        raise AssertionError("the run does not end")

    try:
        assert asyncio.run(walk()) > 2
    finally:
        logger.removeHandler(audit)
        logger.setLevel(level)


def test_an_exchange_whose_client_was_asked_to_go_on_has_its_record_when_the_wait_is_cancelled() -> None:
    audit, logger = Audit(), logging.getLogger("saslsspi.audit")
    logger.addHandler(audit)

    async def run(serve: Serve) -> None:
        loop, waits = asyncio.get_running_loop(), Waits(0)
        async with serve(PEOPLE) as port:
            loop.set_task_factory(waits.task)  # type: ignore[arg-type]
            streams = await asyncio.open_connection("127.0.0.1", port)
            assert await line_with(streams, b"220")
            for line, reply in ((b"EHLO me", b"250 "), (b"AUTH SCRAM-SHA-256", b"334"), (SCRAM, b"334")):
                streams[1].write(line + b"\r\n")
                assert await line_with(streams, reply)
            loop.set_task_factory(None)
            for task in list(waits.tasks):
                task.cancel()
            assert await drained(lambda: not waits.tasks)
            streams[1].close()

    try:
        for serve in (aiosmtpd, embedded(SMTP)):
            asyncio.run(run(serve))
            (record,) = audit.records
            assert "gave up" in record.getMessage()
            audit.records.clear()
    finally:
        logger.removeHandler(audit)


def test_what_the_loop_awaits_for_a_cancelled_task_is_cancelled_at_once() -> None:
    class Never:
        async def lookup(self, question: Question) -> Account | None:
            asked.set()
            await asyncio.Event().wait()
            return None

    asked = threading.Event()

    async def run() -> None:
        server = Server("PLAIN", service="imap", host="h", authority=Never(), policy=POLICY)
        task = asyncio.create_task(beside_loop(server.step, b"\0alice\0wonderland"))
        await asyncio.to_thread(asked.wait, PATIENCE)
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([task])
        assert task.cancelled()
        assert not server.done

    asyncio.run(run())


def test_a_task_that_is_cancelled_waits_for_its_thread_and_not_for_the_authority_that_is_awaited() -> None:
    async def run() -> list[str]:
        said: list[str] = []
        go, inside = threading.Event(), threading.Event()

        def blocked() -> None:
            inside.set()
            go.wait(PATIENCE)
            said.append("thread")

        task = asyncio.create_task(beside_loop(blocked))
        await asyncio.to_thread(inside.wait, PATIENCE)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        said.append("task" if task.cancelled() else "not cancelled")
        return said

    assert asyncio.run(run()) == ["thread", "task"]
