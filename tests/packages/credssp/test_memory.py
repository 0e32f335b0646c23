"""Contexts leave nothing behind: not in Python, and not in OpenSSL, whose memory only the process's size shows."""

from __future__ import annotations

import gc
import logging
import os
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from packages.credssp.ours import TARGET, TELLS, TOLD, client_side, logged_on, server_side
from packages.schannel.stream import Side
from saslsspi import errors

STATUS = Path("/proc/self/statm")
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0

pytestmark = pytest.mark.slow


def _whole(client: Side, server: Side, _: Side) -> None:
    logged_on(client, server)
    assert server.read(client.encrypt(b"hello")) == b"hello"


def _refused(_: Side, server: Side, stranger: Side) -> None:
    with pytest.raises(errors.LogonDenied):
        logged_on(stranger, server)


def _abandoned(client: Side, server: Side, _: Side) -> None:
    client.step(server.step(client.step()))


@pytest.fixture(autouse=True)
def _unrecorded(caplog: pytest.LogCaptureFixture) -> None:
    """What is logged stays in pytest's own hands, and is no part of this."""
    caplog.set_level(logging.CRITICAL, "saslsspi.audit")


@pytest.fixture(params=[_whole, _refused, _abandoned])
def once(request: pytest.FixtureRequest) -> Callable[[], None]:
    client, stranger, server = client_side(), client_side(password="wrong"), server_side()

    def run() -> None:
        sides = (Side(client.credential, TOLD, TARGET), Side(server.credential, TELLS))
        request.param(*sides, Side(stranger.credential, TOLD, TARGET))

    return run


def test_nothing_of_a_context_stays_in_python(once: Callable[[], None]) -> None:
    """What stays grows in every round; what Python caches by the way, in one of them."""
    tracemalloc.start()
    try:
        sizes = [_traced_after(once) for _ in range(4)]
    finally:
        tracemalloc.stop()
    grown = [after - before for before, after in pairwise(sizes)]
    assert min(grown) < 10_000, f"{grown} octets after 100 exchanges each"


@pytest.mark.skipif(not STATUS.exists(), reason="the size of the process is read from /proc")
def test_nothing_of_a_context_waits_for_the_collector(once: Callable[[], None]) -> None:
    """A TLS connection has some 50 KiB outside Python; in a cycle it would live until the collector comes by."""
    for _ in range(150):
        once()
    gc.collect()
    gc.disable()
    try:
        sizes = [_resident_after(once) for _ in range(3)]
    finally:
        gc.enable()
    grown = [after - before for before, after in pairwise(sizes)]
    assert min(grown) < 3_000_000, f"{grown} octets after 200 exchanges each"


def _traced_after(once: Callable[[], None]) -> int:
    for _ in range(100):
        once()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _resident_after(once: Callable[[], None]) -> int:
    for _ in range(200):
        once()
    return int(STATUS.read_text().split()[1]) * PAGE
