"""The asyncio stream that carries a layer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from adapters.ldap.test_layered_socket import layers
from interop.certificate import make_server_certificate
from saslsspi.adapters.stream import LayeredStream, Truncated
from saslsspi.errors import InvalidToken, SaslError

TIMEOUT = 5
Side = Callable[[LayeredStream], Awaitable[None]]


def run(server_side: Side, client_side: Side) -> None:
    """Run both ends of a connection; the time is bounded, and what the server's end raises is raised."""

    async def both() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            stream = LayeredStream(reader, writer)
            try:
                await server_side(stream)
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
            finally:
                stream.close()
                await stream.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            stream = LayeredStream(*await asyncio.open_connection(*server.sockets[0].getsockname()))
            try:
                await client_side(stream)
            finally:
                stream.close()
                await stream.wait_closed()
            await done

    asyncio.run(asyncio.wait_for(both(), TIMEOUT))


def test_it_passes_through_until_a_layer_is_installed() -> None:
    ours, theirs = layers()

    async def server(stream: LayeredStream) -> None:
        assert await stream.readline() == b"hello\r\n"
        assert await stream.readexactly(3) == b"abc"
        stream.write(b"ok\n")
        await stream.drain()
        stream.install(theirs)
        assert await stream.readexactly(70_000) == b"x" * 70_000
        assert await stream.readline() == b"line\n"
        stream.write(b"bye")
        await stream.drain()

    async def client(stream: LayeredStream) -> None:
        stream.write(b"hello\r\n")
        stream.write(b"abc")
        assert await stream.read() == b"ok\n"
        stream.install(ours)
        stream.write(b"x" * 70_000)
        stream.write(b"line\n")
        await stream.drain()
        assert await stream.read(2) == b"by"
        assert await stream.read() == b"e"
        assert await stream.read() == b""

    run(server, client)


def expect(error: type[SaslError], action: Side) -> Side:
    async def side(stream: LayeredStream) -> None:
        with pytest.raises(error):
            await action(stream)

    return side


async def nothing(stream: LayeredStream) -> None:
    """Close at once."""


@pytest.mark.parametrize("size", [1, 4, 9])
def test_an_end_within_a_buffer_is_a_truncation(size: int) -> None:
    ours, theirs = layers()

    async def server(stream: LayeredStream) -> None:
        stream.write(theirs.wrap(b"half of it")[:size])

    async def client(stream: LayeredStream) -> None:
        stream.install(ours)
        await stream.read()

    run(server, expect(Truncated, client))


def test_an_end_within_a_line_or_a_block_is_a_truncation() -> None:
    async def server(stream: LayeredStream) -> None:
        stream.write(b"hal")

    async def line(stream: LayeredStream) -> None:
        await stream.readline()

    async def block(stream: LayeredStream) -> None:
        await stream.readexactly(4)

    run(server, expect(Truncated, line))
    run(server, expect(Truncated, block))

    async def end(stream: LayeredStream) -> None:
        assert await stream.readline() == b""

    run(nothing, end)


def test_a_line_is_bounded() -> None:
    async def server(stream: LayeredStream) -> None:
        stream.write(b"x" * 99 + b"\n" + b"y" * 100 + b"\n")
        await stream.drain()
        await stream.read()

    async def client(stream: LayeredStream) -> None:
        assert await stream.readline(100) == b"x" * 99 + b"\n"
        with pytest.raises(InvalidToken):
            await stream.readline(100)

    run(server, client)


def test_unread_clear_text_refuses_a_layer_or_fails_under_it() -> None:
    async def server(stream: LayeredStream) -> None:
        stream.write(b"done\ninjected clear text")
        await stream.drain()
        await stream.read()

    async def had(stream: LayeredStream) -> None:
        await stream.readline()
        stream.install(layers()[0])

    async def not_yet(stream: LayeredStream) -> None:
        stream.install(layers()[0])
        await stream.read()

    run(server, expect(InvalidToken, had))
    run(server, expect(SaslError, not_yet))


def test_tls_begins_below_a_layer_and_not_over_octets_that_came_too_early(tmp_path: Path) -> None:
    made = make_server_certificate(tmp_path)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(made.certificate_file, made.key_file)
    ours, theirs = layers()

    async def server(stream: LayeredStream) -> None:
        stream.install(theirs)
        await stream.start_tls(serving)
        assert stream.get_extra_info("ssl_object") is not None
        assert await stream.readline() == b"inside both\n"
        stream.write(b"so is this\n")
        await stream.drain()

    async def client(stream: LayeredStream) -> None:
        stream.install(ours)
        await stream.start_tls(_trusting(made.ca_file))
        stream.write(b"inside both\n")
        assert await stream.readline() == b"so is this\n"

    run(server, client)

    async def eager(stream: LayeredStream) -> None:
        stream.write(b"STARTTLS\ninjected\n")
        await stream.drain()
        await stream.read()

    async def careful(stream: LayeredStream) -> None:
        assert await stream.readline() == b"STARTTLS\n"
        await stream.start_tls(serving)

    run(expect(InvalidToken, careful), eager)

    async def late(stream: LayeredStream) -> None:
        stream.write(b"STARTTLS\n")
        await stream.drain()
        assert await stream.readline() == b"go\n"
        stream.write(b"injected\n")
        await stream.drain()
        await stream.read()

    async def slow(stream: LayeredStream) -> None:
        assert await stream.readline() == b"STARTTLS\n"
        stream.write(b"go\n")
        await stream.drain()
        while not stream._reader._buffer:  # type: ignore[attr-defined]  # received, and nobody has read it
            await asyncio.sleep(0)
        await stream.start_tls(serving)

    run(expect(InvalidToken, slow), late)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    return context
