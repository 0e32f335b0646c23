"""The asyncio clients: aiosmtplib, and a plain stream for every other."""

import asyncio
import socket
import ssl

import pytest

import saslsspi
from adapters.mail_world import ALICE, MESSAGE, PROTOCOLS, SMTP, MailProtocol, Peer, certificate, scripted, serving
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP
from saslsspi.adapters.mail.asyncio_stream import authenticate_stream
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.stream import LayeredStream
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, PackageNotFound, SaslError

LAYERS = [(0, 0), (1, 1), (128, 128)]


@pytest.mark.parametrize(("least", "most"), LAYERS, ids=["auth", "auth-int", "auth-conf"])
def test_aiosmtplib_sends_mail_under_each_layer(least: int, most: int) -> None:
    async def run(port: int) -> None:
        client = SaslAsyncSMTP(hostname="127.0.0.1", port=port, start_tls=False)
        await client.connect()
        policy = saslsspi.Policy(min_ssf=least, max_ssf=most)
        security = await client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=policy)
        assert security.ssf == most
        with pytest.raises(ContextMisuse):
            await client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)
        await client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
        await client.quit()

    with serving(SMTP) as (server, reports):
        asyncio.run(run(server.port))
        assert server.mailbox.messages == [MESSAGE]
        assert reports[0].security.ssf == most


def test_aiosmtplib_goes_on_after_a_wrong_password_and_over_tls() -> None:
    async def run(port: int, context: ssl.SSLContext) -> None:
        client = SaslAsyncSMTP(hostname="localhost", port=port, start_tls=True, tls_context=context)
        await client.connect()
        with pytest.raises(LogonDenied):
            await client.authenticate_sasl("SCRAM-SHA-256", credentials=saslsspi.Password("alice", "not hers"))
        security = await client.authenticate_sasl(credentials=ALICE)
        assert (security.mechanism, security.channel_binding) == ("SCRAM-SHA-512-PLUS", "tls-server-end-point")
        await client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
        connection = client.get_transport_info("socket")
        await client.quit()
        await asyncio.wait_for(_closed(connection), 10)

    tls = certificate()
    with serving(SMTP, certificate=tls.server, bindings=tls.bindings) as (server, _):
        asyncio.run(run(server.port, tls.client))
        assert server.mailbox.messages == [MESSAGE]


async def _closed(connection: socket.socket) -> None:
    """A transport over TLS is closed when the server's close_notify is here, which nothing in asyncio waits for."""
    while connection.fileno() != -1:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [b"334 %%%", b"235 ok", b"", b"hello"])
def test_aiosmtplib_is_closed_when_the_server_lies(answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hello")
        peer.hear()
        peer.say(b"250-here", b"250 AUTH DIGEST-MD5")
        peer.hear()
        if answer:
            peer.say(answer)
            if peer.hear() == b"*":
                peer.say(b"501 cancelled")

    async def run(port: int) -> None:
        client = SaslAsyncSMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=10)
        await client.connect()
        with pytest.raises(SaslError):
            await client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)
        assert not client.is_connected

    with scripted(script) as (port, _):
        asyncio.run(run(port))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize(("least", "most"), LAYERS, ids=["auth", "auth-int", "auth-conf"])
def test_a_stream_carries_each_layer(protocol: MailProtocol, least: int, most: int) -> None:
    words = LINE_PROTOCOLS[protocol.name]

    async def run(port: int) -> None:
        stream = LayeredStream(*await asyncio.open_connection("127.0.0.1", port))
        await stream.readline()
        if protocol is SMTP:
            stream.write(b"EHLO me\r\n")
            while (await stream.readline())[3:4] == b"-":
                pass
        policy = saslsspi.Policy(min_ssf=least, max_ssf=most)
        with pytest.raises(LogonDenied):
            await authenticate_stream(
                stream,
                words,
                ["DIGEST-MD5"],
                host="localhost",
                credentials=saslsspi.Password("alice", "not hers"),
            )
        security = await authenticate_stream(
            stream, words, ["DIGEST-MD5"], host="localhost", tag=b"again", credentials=ALICE, policy=policy
        )
        assert security.ssf == most
        stream.write(words.command(words.noop, b"a3"))
        assert (await stream.readline()).startswith((b"250", b"+OK", b"a3 OK"))
        stream.close()
        await stream.wait_closed()

    with serving(protocol) as (server, _):
        asyncio.run(run(server.port))


def test_a_stream_offers_no_initial_response_uninvited_and_closes_when_the_server_lies() -> None:
    def script(peer: Peer) -> None:
        assert peer.hear() == b"sasl1 AUTHENTICATE SCRAM-SHA-1"
        peer.say(b"* still alive", b"+ ")
        peer.hear()
        peer.say(b"+ cg==")
        assert peer.hear() == b"*"
        peer.say(b"sasl1 BAD cancelled")

    async def run(port: int) -> None:
        stream = LayeredStream(*await asyncio.open_connection("127.0.0.1", port))
        with pytest.raises(PackageNotFound):
            await authenticate_stream(stream, LINE_PROTOCOLS["imap"], [], host="localhost", credentials=ALICE)
        with pytest.raises(InvalidToken):
            await authenticate_stream(
                stream,
                LINE_PROTOCOLS["imap"],
                ["SCRAM-SHA-1"],
                host="localhost",
                credentials=ALICE,
                initial_response_invited=False,
            )
        await stream.wait_closed()

    with scripted(script) as (port, join):
        asyncio.run(run(port))
        assert join().heard[-1] == b"*"
