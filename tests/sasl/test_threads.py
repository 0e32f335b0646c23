"""What threads and tasks may share: again() of one session, and the two directions of one layer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pair import authenticate
from saslsspi import Client, MemoryAuthority, MemoryNonceStore, Password, Policy, Server

THREADS, ROUNDS = 8, 12
LAYERS = {
    "DIGEST-MD5": Policy(min_ssf=2, ciphers=("rc4",)),
    "NTLM": Policy(min_ssf=1),
    "CREDSSP": Policy(min_ssf=2),
}


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Switch threads as often as can be: what is not guarded shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def sides(mechanism: str, policy: Policy, store: MemoryNonceStore | None = None) -> tuple[Client, Server]:
    credentials, authority = Password("alice", "wonderland"), MemoryAuthority({"alice": "wonderland"})
    return (
        Client(mechanism, service="ldap", host="h", credentials=credentials, policy=policy, external_ssf=256),
        Server(
            mechanism, service="ldap", host="h", realm="r", authority=authority, policy=policy, external_ssf=256,
            nonce_store=store,
        ),
    )  # fmt: skip


def in_threads(work: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(THREADS * ROUNDS)]]


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256", "NTLM", "PLAIN", "GSS-SPNEGO"])
def test_one_client_and_one_server_serve_the_exchanges_of_many_threads(mechanism: str) -> None:
    client, server = sides(mechanism, Policy(max_ssf=0, min_iterations=1))

    def exchange() -> str:
        first, second = client.again(), server.again()
        authenticate(first, second)
        return second.security.authcid

    assert in_threads(exchange) == ["alice"] * (THREADS * ROUNDS)


def test_no_nonce_count_is_used_twice_by_threads_that_take_one_session_up_again() -> None:
    client, server = sides("DIGEST-MD5", Policy(max_ssf=0), MemoryNonceStore())
    authenticate(client, server)

    responses = in_threads(lambda: client.again().start())
    assert None not in responses
    assert len(set(responses)) == THREADS * ROUNDS


@pytest.mark.parametrize("mechanism", LAYERS)
def test_one_thread_wraps_while_another_unwraps(mechanism: str) -> None:
    client, server = sides(mechanism, LAYERS[mechanism])
    authenticate(client, server)
    ours, theirs = client.layer, server.layer
    assert ours is not None
    assert theirs is not None
    texts = [bytes([number]) * (number + 1) for number in range(200)]
    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(lambda: [theirs.unwrap(ours.wrap(text)) for text in texts])
        back = pool.submit(lambda: [ours.unwrap(theirs.wrap(text)) for text in texts])
        assert there.result() == back.result() == texts


def test_tasks_share_a_server_as_threads_do() -> None:
    client, server = sides("DIGEST-MD5", Policy(max_ssf=0))

    async def exchange() -> bool:
        first, second = client.again(), server.again()
        challenge = second.step(first.start())
        await asyncio.sleep(0)
        response = first.step(challenge)
        await asyncio.sleep(0)
        first.succeed(second.step(response))
        return first.done and second.done

    async def together() -> list[bool]:
        return await asyncio.gather(*(exchange() for _ in range(50)))

    assert all(asyncio.run(together()))


def test_the_docstrings_say_so() -> None:
    for kind, said in ((Client, "again"), (Server, "again")):
        assert "One thread or task at a time" in (kind.__doc__ or "")
        assert said in (kind.__doc__ or "")
