"""Our ldap3 connection against OpenLDAP over a bad network: split, joined, and cut at every step."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPException, LDAPMaximumRetriesError

from interop.ldap_client import (
    AUTH_INT,
    RC4,
    RESTARTING,
    STRATEGIES,
    TIMEOUT,
    Wanted,
    bind,
    connection,
    search,
    who_am_i,
)
from interop.people import PEOPLE
from interop.proxy import Cutter, Network, Proxy, Shredder
from interop.slapd import Slapd
from saslsspi import Password
from saslsspi.adapters.ldap import ConnectionPool
from saslsspi.adapters.ldap.connection import BindRefused, Connection

pytestmark = pytest.mark.interop

STRATEGY = pytest.mark.parametrize("strategy", STRATEGIES)
LAYER = pytest.mark.parametrize("wanted", [AUTH_INT, RC4], ids=lambda wanted: wanted.qop)
ENDS = (LDAPException, OSError)


class Recorder(Network):
    """Notes after how many octets each message ended; the exchange is lock-step, so pieces are messages."""

    def __init__(self) -> None:
        self.ends: list[int] = [0]

    def pieces(self, octets: bytes) -> Iterator[bytes]:
        self.ends.append(self.ends[-1] + len(octets))
        yield octets


@pytest.fixture(scope="module")
def steps(slapd: Slapd) -> dict[str, list[int]]:
    """For each direction, the octets at which the interesting cuts of an exchange lie."""
    to_server, to_client = Recorder(), Recorder()
    with (
        Proxy(slapd.port, lambda _: (to_server, to_client)) as proxy,
        connection(slapd, port=proxy.port, policy=RC4.policy) as client,
    ):
        assert bind(client)
        points = {"to server": to_server.ends[:3], "to client": to_client.ends[:3]}
    # Before, within and just behind each message; before the first one stands for a connection cut at once.
    return {
        name: sorted({p for end in ends for p in (end - 1, end, end + 1) if p > 0}) for name, ends in points.items()
    }


def cut_at(where: str, size: int, cuts: int = 1) -> Callable[[int], tuple[Network, Network]]:
    """Cut the first connections after size octets of one direction; leave later ones alone."""

    def behaviour(number: int) -> tuple[Network, Network]:
        if number >= cuts:
            return Network(), Network()
        return (Cutter(size), Network()) if where == "to server" else (Network(), Cutter(size))

    return behaviour


def bind_and_ask(client: Connection) -> None:
    """Bind, and use the connection, where the cut lies behind the exchange."""
    client.bind()
    who_am_i(client)


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """No test here waits for longer than its time-outs, and none leaves a thread behind that goes on reading."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 6 * TIMEOUT
    for thread in threading.enumerate():
        if type(thread).__name__ == "_Receiver":
            thread.join(5)
            assert not thread.is_alive()


@STRATEGY
@LAYER
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_however_the_stream_is_split(slapd: Slapd, strategy: str, wanted: Wanted, seed: int) -> None:
    def shred(number: int) -> tuple[Network, Network]:
        return Shredder(seed + 2 * number), Shredder(seed + 2 * number + 1)

    with (
        Proxy(slapd.port, shred) as proxy,
        connection(slapd, port=proxy.port, client_strategy=strategy, policy=wanted.policy) as client,
    ):
        for name in ("alice", "bob", "jörg"):
            client.rebind(credentials=Password(name, PEOPLE[name].password))
            assert client.bound
            assert who_am_i(client) == f"dn:{slapd.user(name).dn}"
            found = search(client, slapd.many_base, paged_size=300)
            assert len({entry["dn"] for entry in found}) == 300
        assert proxy.accepted == 1


@STRATEGY
@pytest.mark.parametrize("where", ["to server", "to client"])
def test_a_cut_at_any_step_of_the_exchange_is_an_error_or_healed(
    slapd: Slapd, steps: dict[str, list[int]], strategy: str, where: str
) -> None:
    assert len(steps[where]) >= 7
    for size in steps[where]:
        with (
            Proxy(slapd.port, cut_at(where, size)) as proxy,
            connection(slapd, port=proxy.port, client_strategy=strategy, policy=RC4.policy) as client,
        ):
            if strategy in RESTARTING:
                assert bind(client), size
                assert who_am_i(client) == f"dn:{slapd.user('alice').dn}"
                assert proxy.accepted == 2
            else:
                with pytest.raises(ENDS) as caught:
                    bind_and_ask(client)
                assert str(caught.value)
                assert not client.bound
                # The object is as good as new.
                assert bind(client)
                assert who_am_i(client) == f"dn:{slapd.user('alice').dn}"


@STRATEGY
@LAYER
def test_a_cut_within_results_is_an_error_or_healed(slapd: Slapd, strategy: str, wanted: Wanted) -> None:
    for size in (5_000, 70_000, 123_457):
        with (
            Proxy(slapd.port, cut_at("to client", size)) as proxy,
            connection(slapd, port=proxy.port, client_strategy=strategy, policy=wanted.policy) as client,
        ):
            assert bind(client)
            if strategy in RESTARTING:
                assert len(search(client, slapd.many_base, paged_size=2000)) == 2000
                assert client.layer is not None
                assert proxy.accepted == 2
            else:
                with pytest.raises(ENDS):
                    search(client, slapd.many_base, paged_size=2000)
                assert not client.bound


@pytest.mark.parametrize("strategy", RESTARTING)
@pytest.mark.parametrize("size", [1, 300])
def test_a_network_that_always_cuts_is_given_up(slapd: Slapd, strategy: str, size: int) -> None:
    with (
        Proxy(slapd.port, cut_at("to server", size, cuts=100)) as proxy,
        connection(slapd, port=proxy.port, client_strategy=strategy) as client,
    ):
        with pytest.raises((LDAPMaximumRetriesError, *ENDS)):
            bind(client)
        assert not client.bound
        assert proxy.accepted <= 5


@pytest.mark.parametrize("strategy", RESTARTING)
def test_a_restart_starts_tls_again_before_it_binds(slapd: Slapd, strategy: str) -> None:
    with (
        Proxy(slapd.port) as proxy,
        connection(slapd, port=proxy.port, client_strategy=strategy, tls=ldap3.Tls()) as client,
    ):
        client.start_tls()
        assert bind(client)
        proxy.cut_all()
        assert who_am_i(client) == f"dn:{slapd.user('alice').dn}"
        assert client.tls_started
        assert proxy.accepted == 2


@pytest.mark.parametrize("strategy", RESTARTING)
def test_a_restart_whose_bind_is_refused_ends_there(slapd: Slapd, strategy: str) -> None:
    with (
        Proxy(slapd.port) as proxy,
        connection(slapd, port=proxy.port, client_strategy=strategy, policy=RC4.policy) as client,
    ):
        assert bind(client)
        client.logon = dataclasses.replace(client.logon, credentials=Password("alice", "changed"))
        proxy.cut_all()
        with pytest.raises(BindRefused):
            who_am_i(client)
        assert not client.bound
        assert proxy.accepted == 2


def test_the_pool_heals_its_connections(slapd: Slapd) -> None:
    options: dict[str, Any] = {"mechanism": "DIGEST-MD5", "credentials": Password("alice", "wonderland")}
    with (
        Proxy(slapd.port) as proxy,
        ConnectionPool(
            ldap3.Server(slapd.host, proxy.port, get_info=ldap3.NONE), size=2, receive_timeout=TIMEOUT, **options
        ) as pool,
    ):
        for _ in range(3):
            with pool.connection() as first, pool.connection() as second:
                for client in (first, second):
                    client.strategy.restartable_sleep_time = 0.01
                    assert who_am_i(client) == f"dn:{slapd.user('alice').dn}"
            proxy.cut_all()
        assert proxy.accepted == 6
