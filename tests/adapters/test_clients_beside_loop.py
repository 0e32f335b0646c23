"""No client under asyncio takes a step of an exchange in its loop: a server names the count of SCRAM, up to millions.

The clients are found by reading the adapters, so that a new one has to be tried here.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import saslsspi
from adapters.http.browser import acceptor
from adapters.mail_world import ALICE, PROTOCOLS, SMTP, serving
from saslsspi import Policy
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.httpx import HttpxAuth
from saslsspi.adapters.mail.asyncio_stream import LineClient, authenticate_stream
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.stream import LayeredStream

ROOT = Path(saslsspi.__file__).parent
# What a client's exchange begins with, whatever carries it.
BEGINNINGS = {
    "saslsspi.adapters.mail.logon",
    "saslsspi.adapters.http.client.logon",
    "saslsspi.context",
    "saslsspi.sasl.client",
    "saslsspi.sasl.logon",
}
EXCHANGES = ("saslsspi.crypto", "saslsspi.packages", "saslsspi_mechanisms", "saslsspi.sasl.client")
POLICY = Policy(allow_plaintext=True, max_ssf=0)  # messages under a layer are the loop's
MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "DIGEST-MD5", "NTLM")


@contextmanager
def watched() -> Iterator[set[str]]:
    """Note which functions of exchanges run in this thread, the loop's."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith(EXCHANGES) and frame.f_code.co_name != "<module>":
            found.add(f"{module}.{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


async def by_aiosmtplib() -> None:
    with serving(SMTP, policy=POLICY) as (server, _):
        for mechanism in MECHANISMS:
            client = SaslAsyncSMTP(hostname="127.0.0.1", port=server.port, start_tls=False)
            await client.connect()
            await tried(client.authenticate_sasl(mechanism, credentials=ALICE, policy=POLICY))
            await client.quit()


async def by_streams() -> None:
    for protocol in PROTOCOLS:
        words = LINE_PROTOCOLS[protocol.name]
        with serving(protocol, policy=POLICY) as (server, _):
            for mechanism in MECHANISMS:
                async with await LineClient.connect(words, "127.0.0.1", server.port) as client:
                    await tried(client.authenticate_sasl(mechanism, credentials=ALICE, policy=POLICY))
            stream = LayeredStream(*await asyncio.open_connection("127.0.0.1", server.port))
            await stream.readline()
            if protocol is SMTP:
                stream.write(b"EHLO me\r\n")
                while (await stream.readline())[3:4] == b"-":
                    pass
            logon = authenticate_stream(stream, words, ["SCRAM-SHA-256"], host="h", credentials=ALICE)
            await tried(logon)
            stream.close()
            await stream.wait_closed()


async def by_httpx() -> None:
    async def tea(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"tea"})

    site = AsgiAuthentication(tea, acceptor("Digest"))
    transport = httpx.ASGITransport(app=site)
    async with httpx.AsyncClient(transport=transport, auth=HttpxAuth(ALICE)) as client:

        async def twice() -> None:
            for _ in range(2):
                answer = await client.get("http://localhost/")
                assert answer.status_code == 200

        await tried(twice())


async def tried(logon: Awaitable[Any]) -> None:
    with watched() as found:
        await logon
    assert found == set()


TRIALS: dict[str, Callable[[], Awaitable[None]]] = {
    "saslsspi/adapters/mail/aiosmtplib.py": by_aiosmtplib,
    "saslsspi/adapters/mail/asyncio_stream.py": by_streams,
    "saslsspi/adapters/http/client/httpx.py": by_httpx,
}


def begins_exchanges(path: Path) -> bool:
    """Whether a module has a coroutine, and what a client's exchange begins with."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return bool(imported & BEGINNINGS) and any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)


def test_every_client_under_asyncio_is_tried() -> None:
    found = {
        str(path.relative_to(ROOT.parent))
        for room in ("adapters", "compat")
        for path in (ROOT / room).rglob("*.py")
        if begins_exchanges(path)
    }
    assert found == set(TRIALS)


def test_a_step_in_this_thread_is_noticed() -> None:
    with watched() as found:
        saslsspi.Client("SCRAM-SHA-256", service="smtp", host="h", credentials=ALICE).start()
    assert found


@pytest.mark.parametrize("client", TRIALS)
def test_no_step_is_taken_in_the_loop(client: str) -> None:
    asyncio.run(TRIALS[client]())  # type: ignore[arg-type]  # they are coroutines


def test_a_server_that_names_a_high_count_stops_nobody_else() -> None:
    """Not by time: the loop goes round while the keys are derived, which waits for it."""
    import hashlib

    async def run(port: int) -> None:
        loop, derive, round_again = asyncio.get_running_loop(), hashlib.pbkdf2_hmac, threading.Event()

        def waiting(*arguments: Any, **more: Any) -> bytes:
            loop.call_soon_threadsafe(round_again.set)
            assert round_again.wait(20), "the loop is blocked"
            return derive(*arguments, **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("hashlib.pbkdf2_hmac", waiting)
            client = SaslAsyncSMTP(hostname="127.0.0.1", port=port, start_tls=False)
            await client.connect()
            await client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)
            await client.quit()

    with serving(SMTP) as (server, _):
        asyncio.run(run(server.port))
