"""What threads may share: a credential, and the two directions of an established context, in both faces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from saslsspi import Context as Face
from saslsspi import Password, Policy
from sspi_context import ACCEPT_SEAL, PEOPLE, SEAL, TARGET, Context, client_credential, run, server_credential

THREADS, ROUNDS = 8, 6
TEXTS = [bytes([number]) * (number + 1) for number in range(200)]


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Switch threads as often as can be: what is not guarded shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def both_ways(there: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(lambda way=way: [way(text) for text in TEXTS]) for way in (there, back))
        assert one.result() == other.result() == TEXTS


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_contexts_of_many_threads_share_their_credentials(package: str) -> None:
    ours, theirs = client_credential(package), server_credential(package)

    def exchange() -> bytes:
        client, server = Context(ours, SEAL, TARGET), Context(theirs, ACCEPT_SEAL)
        run(client, server)
        return server.unwrap(client.wrap(b"hello"))

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [future.result() for future in [pool.submit(exchange) for _ in range(THREADS * ROUNDS)]]
    assert answers == [b"hello"] * (THREADS * ROUNDS)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_one_thread_encrypts_while_another_decrypts(package: str) -> None:
    client = Context(client_credential(package), SEAL, TARGET)
    server = Context(server_credential(package), ACCEPT_SEAL)
    run(client, server)
    both_ways(lambda text: server.unwrap(client.wrap(text)), lambda text: client.unwrap(server.wrap(text)))


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_one_thread_wraps_while_another_unwraps(package: str) -> None:
    policy = Policy(min_ssf=2)
    client = Face.initiate(package, target=TARGET, credentials=Password("alice", "wonderland"), policy=policy)
    server = Face.accept(package, authority=PEOPLE, policy=policy)
    reply = server.step(client.step())
    while reply is not None:
        token = client.step(reply)
        reply = None if token is None else server.step(token)
    both_ways(lambda text: server.unwrap(client.wrap(text)), lambda text: client.unwrap(server.wrap(text)))
