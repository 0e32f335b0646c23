"""A password lives as long as its bind: no task of the gateway, and no object of its, has it afterwards."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import CoroutineType
from typing import Any

import pytest

from adapters.mail_world import IMAP, Wire, serving
from gateway.world import Started, gateway
from saslsspi import MemoryAuthority, Password, Policy
from testbed.ldap_fixtures import ldap_server
from testbed.raw_ldap import BAD_CREDENTIALS, SUCCESS, RawLdap, simple_bind

SECRET = "a password that stands nowhere else"


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The collector of circles does not run: what is kept in one stays for all to see."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> list[Password]:
    """The passwords that somebody still has."""
    return [one for one in gc.get_objects() if type(one) is Password and one.password == SECRET]


def held(started: Started) -> list[str]:
    """What has the secret in it of all that the gateway's tasks stand with: kind by kind."""
    loop = started.gateway._accepting[0].get_loop()

    async def look() -> list[str]:
        found = []
        own = asyncio.current_task()
        waiting: list[Any] = [task.get_coro() for task in asyncio.all_tasks() if task is not own]
        while waiting:
            for value in gc.get_referents(waiting.pop()):
                if isinstance(value, CoroutineType):
                    waiting.append(value)
                octets = value if isinstance(value, bytes | bytearray) else getattr(value, "octets", b"")
                if (isinstance(octets, bytes | bytearray) and SECRET.encode() in octets) or value == SECRET:
                    found.append(type(value).__name__)
        return found

    return asyncio.run_coroutine_threadsafe(look(), loop).result(20)


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "NTLM", "GSS-SPNEGO"])
@pytest.mark.parametrize("right", [True, False])
def test_of_a_bind(mechanism: str, right: bool) -> None:
    people = MemoryAuthority({"alice": SECRET if right else "another"})
    with (
        ldap_server(authority=people, policy=Policy(min_ssf=56)) as server,
        gateway("ldap", f"localhost:{server.port}", mechanisms=(mechanism,)) as started,
        RawLdap(started.port) as client,
    ):
        assert client.ask(simple_bind("alice", SECRET)).code == (SUCCESS if right else BAD_CREDENTIALS)
        assert held(started) == []
        assert left() == []


@pytest.mark.parametrize("right", [True, False])
def test_of_a_login(right: bool) -> None:
    people = MemoryAuthority({"alice": SECRET if right else "another"})
    with (
        serving(IMAP, authority=people, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway("imap", f"localhost:{server.port}", policy=Policy()) as started,
        Wire(started.port) as client,
    ):
        client.line()
        assert client.ask(f'a LOGIN alice "{SECRET}"'.encode()).startswith(b"a OK" if right else b"a NO")
        assert held(started) == []
        assert left() == []
