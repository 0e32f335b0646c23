"""What a fuzzer is given: a name, something that takes any octets, and octets to begin with.

Octets stand for a conversation: messages one behind the other, each after two octets that give its length; a length
of 65535 stands for no message at all. Both ends of an exchange run with a clock that stands and random octets that are
the same in every run, so that what was recorded once is understood again, and a change to it reaches the last step.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from saslsspi import Policy
from saslsspi.engine.environment import Environment

__all__ = ["Finding", "Target", "environment", "joined", "parted"]

_NONE: Final = 0xFFFF
_MOST: Final = 16  # messages of a conversation


class Finding(AssertionError):
    """Something was taken that must not be."""


@dataclass(frozen=True)
class Target:
    """One thing to fuzz.

    Attributes:
        name: Lower case, words joined by hyphens: "server-scram-sha-256".
        run: Takes any octets. It may end in nothing; any error that comes out of it is a finding.
        seeds: Good octets, from recorded exchanges.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]] = field(default=lambda: (b"",))


def joined(messages: Sequence[bytes | None]) -> bytes:
    """Return a conversation as octets."""
    return b"".join(
        _NONE.to_bytes(2) if message is None else len(message).to_bytes(2) + message for message in messages
    )


def parted(octets: bytes) -> list[bytes | None]:
    """Return the messages of a conversation; whatever the octets are, they are one."""
    messages: list[bytes | None] = []
    at = 0
    while at < len(octets) and len(messages) < _MOST:
        size = int.from_bytes(octets[at : at + 2])
        at += 2
        if size == _NONE:
            messages.append(None)
            continue
        messages.append(octets[at : at + size])
        at += size
    return messages


def environment(policy: Policy) -> Environment:
    """Return surroundings that are the same in every run."""
    numbers = itertools.count()

    def random(size: int) -> bytes:
        blocks = (hashlib.sha256(next(numbers).to_bytes(8)).digest() for _ in range((size + 31) // 32))
        return b"".join(blocks)[:size]

    return Environment(clock=lambda: 1_700_000_000.0, random=random, policy=policy)
