"""How much is read of a client whose logon runs, and how its leaving ends that."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from gateway.world import limited
from saslsspi.errors import LogonDenied
from saslsspi.gateway.service import make_room
from saslsspi.gateway.streams import CarriedStream
from saslsspi.gateway.watch import Watch, unless_gone

BOUND = 1 << 16


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[CarriedStream, asyncio.StreamWriter]]:
    """A client's stream, and the client's end of it."""
    ours, theirs = socket.socketpair()
    client = CarriedStream(*await asyncio.open_connection(sock=ours, limit=BOUND))
    _, writer = await asyncio.open_connection(sock=theirs)
    try:
        yield client, writer
    finally:
        writer.transport.abort()
        client.abort()
        await asyncio.sleep(0)


def test_so_much_is_read_ahead_and_no_more() -> None:
    async def run() -> None:
        async with pair() as (client, writer):
            writer.write(bytes(20 * BOUND))
            going = asyncio.Event()
            running = asyncio.create_task(unless_gone(client, going.wait()))
            for _ in range(100):
                await asyncio.sleep(0.005)
                assert client.waiting <= 2 * BOUND
            going.set()
            assert await running
            assert len(await client.readexactly(20 * BOUND)) == 20 * BOUND  # and nothing is lost

    asyncio.run(run())


def test_a_client_that_leaves_ends_its_logon() -> None:
    async def run() -> None:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        async with pair() as (client, writer):
            writer.write(b"more")
            writer.close()
            with pytest.raises(LogonDenied, match="gone"):
                await unless_gone(client, work())
            assert ended.is_set()

    asyncio.run(run())


def test_a_logon_that_fails_is_told_and_what_came_meanwhile_is_there() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        raise LogonDenied("no")

    async def run() -> None:
        async with pair() as (client, writer):
            writer.write(b"more")
            with pytest.raises(LogonDenied, match="no"):
                await unless_gone(client, fail())
            assert await client.readexactly(4) == b"more"

    asyncio.run(run())


def test_whoever_cancels_beside_a_watch_is_heard() -> None:
    async def run(mine: bool) -> tuple[bool, str]:
        started = asyncio.Event()
        watches = []

        async def serve() -> bool:
            watches.append(Watch(limited()))
            started.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                watches[0].stop()
                return watches[0].took_note()
            return False

        task = asyncio.create_task(serve())
        await started.wait()
        watches[0].end("over")
        if not mine:
            task.cancel()
        return await task, watches[0].why

    assert asyncio.run(run(True)) == (True, "over")
    assert asyncio.run(run(False)) == (False, "over")


def test_there_are_file_descriptors_for_all_clients() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        make_room(150)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(364, before[1])
        make_room(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(364, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
