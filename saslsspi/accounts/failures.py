"""How often somebody failed lately, by account and by address, and how long the next refusal is held back for it.

A window slides: each failure counts for so long, and then no more. Whoever fails more often than people do who mistype
waits twice as long each time. Nobody is locked out, since whoever wants to lock somebody out would only have to fail in
his name; LockOut does it where that is wanted.
"""

from __future__ import annotations

import ipaddress
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from saslsspi.accounts.account import Account, AccountLookup, Question
from saslsspi.accounts.authority import Delegating
from saslsspi.errors import InvalidParameter

__all__ = ["FailureLimits", "FailureMemory", "LockOut", "MemoryFailures", "Throttle"]

_MOST: Final = 1024
"""Failures of one name that are counted; more of them change nothing."""

_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLimits:
    """What failures cost.

    Attributes:
        window: How long a failure counts, in seconds.
        by_account: Failures of one account in a window that cost the first delay and no more.
        by_address: The same of one address (IPv6: of one /64); more people than one may be behind it.
        delay: How long a refusal is held back, in seconds; each failure beyond those doubles it.
        longest: The longest delay, in seconds.
        jitter: The part by which a delay is longer or shorter, at random: 0.25 is a quarter.
    """

    window: float = 900.0
    by_account: int = 5
    by_address: int = 20
    delay: float = 1.0
    longest: float = 30.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if self.window <= 0 or min(self.delay, self.longest, self.by_account, self.by_address) < 0:
            raise InvalidParameter("limits are not negative, and a window takes time")
        if not 0 <= self.jitter <= 1:
            raise InvalidParameter("jitter is a part between 0 and 1")


class FailureMemory(Protocol):
    """Counts failures by name. Bounded, and safe under threads; it may block."""

    def add(self, name: str, window: float) -> int:
        """Count a failure and return how many there were in the window, in seconds, this one among them."""

    def count(self, name: str, window: float) -> int:
        """Return how many there were."""


class MemoryFailures:
    """Counts failures in one process.

    Args:
        size: How many names are remembered; the one that failed least lately makes room.
        monotonic: Seconds that only go up.
    """

    def __init__(self, size: int = 65536, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._names: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, window: float) -> int:
        """Count a failure; see FailureMemory.add."""
        with self._lock:
            times = self._names.pop(name, None) or deque(maxlen=_MOST)
            while len(self._names) >= self._size:
                del self._names[next(iter(self._names))]
            self._names[name] = times
            times.append(self._monotonic())
            return self._counted(times, window)

    def count(self, name: str, window: float) -> int:
        """Return how many there were."""
        with self._lock:
            times = self._names.get(name)
            return 0 if times is None else self._counted(times, window)

    def _counted(self, times: deque[float], window: float) -> int:
        oldest = self._monotonic() - window
        while times and times[0] <= oldest:
            times.popleft()
        return len(times)


class Throttle:
    """Says how long refusals are held back.

    Args:
        failures: Where they are counted; None: in this process. Several processes share a RedisFailures.
        limits: What they cost.
        draw: Returns a number from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        failures: FailureMemory | None = None,
        limits: FailureLimits | None = None,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.failures: FailureMemory = MemoryFailures() if failures is None else failures
        self.limits = limits or FailureLimits()
        self._draw = draw

    def failed(self, username: str, peer: str) -> float:
        """Count a failed logon and return for how many seconds its refusal is to be held back. It may block.

        Args:
            username: Who the client said it is; "" where it said nothing.
            peer: Where it is, as the carrier writes it, with a port or without; "" where that is not known.
        """
        limits, excess = self.limits, 0
        if username:
            excess = self.failures.add(_account(username), limits.window) - limits.by_account
        if address := _network(peer):
            excess = max(excess, self.failures.add(f"address {address}", limits.window) - limits.by_address)
        delay = min(limits.longest, limits.delay * 2.0 ** min(max(excess, 0), _DOUBLINGS))
        return delay * (1 + limits.jitter * (2 * self._draw() - 1))

    def failures_of(self, username: str) -> int:
        """Return how often somebody failed in a name lately."""
        return self.failures.count(_account(username), self.limits.window)


class LockOut(Delegating):
    """An authority whose users are unknown for as long as too many failed in their names.

    Whoever knows a name can shut its owner out so: it is for where that is the smaller evil. What it may ask can block,
    as an authority may. With an authority that is to be awaited it is asked first.

    Args:
        authority: Who may log on otherwise.
        throttle: That of the server, which counts.
        after: Failures in its window.
    """

    def __init__(self, authority: AccountLookup, throttle: Throttle, *, after: int = 20) -> None:
        super().__init__(authority)
        self._throttle = throttle
        self._after = after

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return what the other authority knows, or None."""
        if self._throttle.failures_of(question.username) >= self._after:
            return None
        return super().lookup(question)


def _account(username: str) -> str:
    return f"account {username.casefold()}"


def _network(peer: str) -> str:
    """Return a peer's address without its port, of IPv6 the network; "" for what is none, such as a socket's path."""
    host, _, port = peer.rpartition(":")
    for text in (host.strip("[]"), peer.strip("[]")) if port.isdecimal() else (peer.strip("[]"),):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            mapped = address.ipv4_mapped
            if mapped is None:
                return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
            address = mapped
        return str(address)
    return ""
