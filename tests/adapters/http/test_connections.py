"""What is remembered of connections: bounded, timed, and forgotten when it is taken."""

from saslsspi.adapters.http import ConnectionMemory


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_is_found_and_what_is_taken_is_gone() -> None:
    memory: ConnectionMemory[str] = ConnectionMemory(10, Clock())
    memory.keep("a", "alice")
    assert (memory.find("a"), memory.take("a"), memory.take("a"), memory.find("a")) == ("alice", "alice", None, None)


def test_values_end_when_they_were_not_used_for_their_lifetime() -> None:
    clock = Clock()
    memory: ConnectionMemory[str] = ConnectionMemory(10, clock)
    memory.keep("a", "alice")
    memory.keep("b", "bob")
    clock.now = 8
    assert memory.find("a") == "alice"
    clock.now = 17
    assert (memory.find("a"), memory.find("b"), len(memory)) == ("alice", None, 1)
    clock.now = 30
    assert (memory.take("a"), len(memory)) == (None, 0)


def test_the_least_recently_used_makes_room() -> None:
    memory: ConnectionMemory[int] = ConnectionMemory(10, Clock(), size=3)
    for number in range(3):
        memory.keep(number, number)
    memory.find(0)
    memory.keep(3, 3)
    assert [memory.take(number) for number in range(4)] == [0, None, 2, 3]


def test_keeping_again_replaces() -> None:
    memory: ConnectionMemory[str] = ConnectionMemory(10, Clock(), size=2)
    memory.keep("a", "x")
    memory.keep("b", "y")
    memory.keep("a", "z")
    memory.forget("b")
    assert (len(memory), memory.find("a"), memory.find("b")) == (1, "z", None)
