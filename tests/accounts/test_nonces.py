"""The memory of nonces: what was dropped from it is not unused, and nobody pushes out another's."""

from __future__ import annotations

import random
import threading

import pytest

from saslsspi import MemoryNonceStore
from saslsspi.accounts.nonces import NonceRecord


def record(owner: str, issued: float) -> NonceRecord:
    return NonceRecord(issued, None, owner)


def test_a_nonce_is_used_for_the_first_time_by_one_caller() -> None:
    store, taken = MemoryNonceStore(), []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        taken.append(store.remember(b"n", record("alice", 1.0)))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_what_was_dropped_stays_used_and_younger_nonces_are_taken() -> None:
    store = MemoryNonceStore(size=2)
    for number in range(4):
        assert store.remember(b"%d" % number, record("alice", float(number)))
    assert store.find(b"0") is None
    for number in range(4):
        assert not store.remember(b"%d" % number, record("alice", float(number)))
    assert not store.remember(b"unused", record("alice", 0.5)), "below the watermark nobody can tell"
    assert store.remember(b"new", record("alice", 4.0))
    assert store.remember(b"hers", record("bob", 0.5)), "the watermark is alice's"


def test_forgetting_leaves_a_watermark_too() -> None:
    store = MemoryNonceStore()
    assert store.remember(b"n", record("alice", 1.0))
    store.forget(b"n")
    store.forget(b"n")
    assert len(store) == 0
    assert not store.remember(b"n", record("alice", 1.0))
    assert not store.advance(b"n", 2)


def test_who_has_most_makes_room() -> None:
    store = MemoryNonceStore(size=10)
    for number in range(3):
        store.remember(b"alice %d" % number, record("alice", float(number)))
    for number in range(100):
        assert store.remember(b"mallory %d" % number, record("mallory", float(number)))
    assert len(store) == 10
    assert all(store.find(b"alice %d" % number) for number in range(3))
    assert [number for number in range(100) if store.find(b"mallory %d" % number)] == list(range(93, 100))


def test_the_memory_is_bounded_whatever_the_number_of_owners_and_nothing_is_taken_twice() -> None:
    """Watermarks are bounded as well: what one cannot keep becomes everybody's."""
    draw = random.Random(2831)
    store = MemoryNonceStore(size=8)
    taken: list[tuple[bytes, NonceRecord]] = []
    for number in range(2000):
        owner = f"user {draw.randrange(40)}"
        nonce, made = b"%d" % number, record(owner, float(number))
        assert store.remember(nonce, made), "younger than all that was dropped"
        taken.append((nonce, made))
        if draw.random() < 0.1:
            store.forget(draw.choice(taken)[0])
        assert not store.remember(*draw.choice(taken))
        assert len(store) <= 8
        assert len(store._dropped) <= 8
        held = store._owners
        assert sorted(nonce for nonces in held._nonces.values() for nonce in nonces) == sorted(store._records)
        assert {owner: len(nonces) for owner, nonces in held._nonces.items()} == {
            owner: count for count, owners in held._by_count.items() for owner in owners
        }
        assert held._most == max(held._by_count, default=0)
    assert not any(store.remember(*used) for used in taken)


@pytest.mark.parametrize("size", [1, 2])
def test_a_count_is_used_by_one_caller_and_in_order(size: int) -> None:
    store = MemoryNonceStore(size)
    store.remember(b"n", record("alice", 1.0))
    assert [store.advance(b"n", count) for count in (1, 3, 2, 2, 3)] == [False, False, True, False, True]


def test_one_memory_has_one_key_the_first_that_was_drawn() -> None:
    store = MemoryNonceStore()
    assert [store.key(b"one"), store.key(b"other")] == [b"one", b"one"]
    assert MemoryNonceStore().key(b"other") == b"other"
