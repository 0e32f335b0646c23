"""Which server is asked first: a list's order, DNS's order, and those that do not answer last."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest

from gateway.world import LIMITS, SEALED
from saslsspi import InvalidParameter, Policy
from saslsspi.errors import LogonDenied, NoAuthenticatingAuthority
from saslsspi.gateway.ldap.upstream import LdapUpstream
from saslsspi.gateway.servers import ServerAddress, ServerList
from saslsspi.gateway.settings import AuthoritySettings, Tls
from testbed.ldap_fixtures import ldap_server


def listed(*servers: str, protocol: str = "ldap", tls: Tls = Tls.NONE) -> ServerList:
    return ServerList(AuthoritySettings(name="there", servers=servers, tls=tls), protocol)


@pytest.mark.parametrize(
    ("text", "protocol", "tls", "host", "port"),
    [
        ("dc", "ldap", Tls.NONE, "dc", 389),
        ("dc", "ldap", Tls.STARTTLS, "dc", 389),
        ("dc", "ldap", Tls.IMMEDIATE, "dc", 636),
        ("dc:3268", "ldap", Tls.NONE, "dc", 3268),
        ("[::1]", "imap", Tls.IMMEDIATE, "::1", 993),
        ("[::1]:143", "imap", Tls.NONE, "::1", 143),
        ("mail", "smtp", Tls.STARTTLS, "mail", 587),
        ("mail", "pop3", Tls.NONE, "mail", 110),
        ("bücher.example", "smtp", Tls.IMMEDIATE, "xn--bcher-kva.example", 465),
    ],
)
def test_servers_as_people_write_them(text: str, protocol: str, tls: Tls, host: str, port: int) -> None:
    assert asyncio.run(ordered(listed(text, protocol=protocol, tls=tls))) == [(host, port)]


@pytest.mark.parametrize("text", ["", ":389", "dc:", "dc:x", "dc:0", "dc:65536", "dc:٣", "dc:" + "9" * 5000])
def test_what_is_no_server_is_told(text: str) -> None:
    with pytest.raises(InvalidParameter, match="HOST:PORT"):
        listed(text)


async def ordered(servers: ServerList) -> list[tuple[str, int]]:
    return [tuple(one) for one in await servers.ordered()]  # type: ignore[misc]  # pairs


def test_one_that_does_not_answer_is_asked_last_for_a_while() -> None:
    servers, asked = listed("a", "b", "c"), []

    async def attempt(server: ServerAddress) -> str:
        asked.append(server.host)
        if server.host == "a":
            raise ConnectionRefusedError("nobody")
        return server.host

    async def run() -> None:
        assert await servers.first(attempt, 5) == "b"
        assert await servers.first(attempt, 5) == "b"
        assert asked == ["a", "b", "b"]
        assert [host for host, _ in await ordered(servers)] == ["b", "c", "a"]

    asyncio.run(run())


def test_one_that_decides_is_followed_by_none_and_one_that_is_away_is() -> None:
    servers, asked = listed("a", "b", "c"), []

    async def attempt(server: ServerAddress) -> None:
        asked.append(server.host)
        if server.host == "a":
            await asyncio.sleep(3600)
        if server.host == "b":
            raise NoAuthenticatingAuthority("busy")
        raise LogonDenied("no")

    with pytest.raises(LogonDenied):
        asyncio.run(servers.first(attempt, 0.05))
    assert asked == ["a", "b", "c"]


RECORDS = [
    "10 60 389 dc1.example.test.",
    "10 40 390 dc2.example.test.",
    "20 0 391 dc3.example.test.",
    "0 0 392 dc.elsewhere.test.",
    "0 0 393 example.test.",
]


@contextlib.contextmanager
def name_server(records: list[str], asked: list[str]) -> Iterator[Any]:
    """A resolver that asks a DNS server of ours, over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    octets, client = server.recvfrom(4096)
                except TimeoutError:
                    continue
                query = dns.message.from_wire(octets)
                question = query.question[0]
                asked.append(question.name.to_text())
                reply = dns.message.make_response(query)
                if records:
                    reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SRV", *records))
                server.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = server.getsockname()[1]
        resolver.lifetime = 5
        yield resolver
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("protocol", "tls", "query"),
    [
        ("ldap", Tls.NONE, "_ldap._tcp.example.test."),
        ("ldap", Tls.IMMEDIATE, "_ldaps._tcp.example.test."),
        ("smtp", Tls.STARTTLS, "_submission._tcp.example.test."),
        ("imap", Tls.IMMEDIATE, "_imaps._tcp.example.test."),
    ],
)
def test_dns_names_the_servers_of_a_domain(protocol: str, tls: Tls, query: str) -> None:
    asked: list[str] = []
    authority = AuthoritySettings(name="there", domain="example.test", tls=tls)
    with name_server(RECORDS, asked) as resolver:
        for draw, second in ((0.99, 389), (0.01, 390)):
            servers = ServerList(authority, protocol, resolver=resolver, draw=lambda draw=draw: draw)  # type: ignore[misc]
            found = asyncio.run(ordered(servers))
            # By priority, and by lot within one (RFC 2782); a name outside the domain could be anybody's.
            assert [port for _, port in found] == [393, second, 779 - second, 391]
    assert asked == [query, query]


@pytest.mark.parametrize("records", [[], ["0 0 389 dc.elsewhere.test."]])
def test_a_domain_without_servers_is_told(records: list[str]) -> None:
    with name_server(records, []) as resolver:
        servers = ServerList(AuthoritySettings(name="there", domain="example.test"), "ldap", resolver=resolver)

        async def attempt(server: ServerAddress) -> None:
            raise AssertionError(server)

        with pytest.raises(NoAuthenticatingAuthority, match="servers"):
            asyncio.run(servers.first(attempt, 5))


def test_a_logon_at_the_first_server_of_a_domain_that_answers() -> None:
    async def run(port: int, resolver: Any) -> str:
        authority = AuthoritySettings(name="there", domain="localhost", mechanisms=("DIGEST-MD5",))
        servers = ServerList(authority, "ldap", resolver=resolver)
        stream, security = await LdapUpstream(authority, SEALED, LIMITS, servers).log_on("alice", "wonderland")
        await stream.end()
        return security.mechanism

    with ldap_server(policy=Policy(min_ssf=56)) as server:
        records = ["0 0 1 localhost.", f"1 0 {server.port} localhost."]
        with name_server(records, []) as resolver:
            assert asyncio.run(run(server.port, resolver)) == "DIGEST-MD5"
