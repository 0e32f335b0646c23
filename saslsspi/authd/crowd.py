"""The connections of a worker: no more than it takes, so somebody makes room; and the end of all of them.

Carriers keep connections for as long as they run, and use them now and then. So whoever holds one and says nothing is
no enemy, and still must not keep others out: where there is no room, the one with which least is lost is let go, and
its carrier comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Crowd", "Guest"]

_PATIENCE: Final = 5.0  # seconds for what runs when the worker ends
_QUIET: Final = 0.5  # seconds for which somebody has said nothing who is not about to
_LOOK: Final = 0.05


class Guest:
    """One connection.

    Attributes:
        idle: Whether nothing is lost with it.
    """

    def __init__(self, task: asyncio.Task[None], heard: Callable[[Guest], None]) -> None:
        self.task = task
        self.idle: Callable[[], bool] = lambda: False
        self.heard_at = 0.0
        self._heard = heard

    def heard(self) -> None:
        """It has said something."""
        self._heard(self)


class Crowd:
    """All connections of a worker.

    Args:
        most: How many there are at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._guests: dict[Guest, None] = {}  # who was heard last stands last
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def guest(self) -> Iterator[Guest]:
        """Be one while this runs; whoever makes room for it is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        made = Guest(task, self._heard)
        self._tasks.add(task)
        if len(self._guests) >= self._most:
            goes = next((guest for guest in self._guests if guest.idle()), next(iter(self._guests)))
            del self._guests[goes]
            goes.task.cancel()
        self._heard(made)
        try:
            yield made
        finally:
            self._guests.pop(made, None)
            self._tasks.discard(task)

    def _heard(self, guest: Guest) -> None:
        guest.heard_at = asyncio.get_running_loop().time()
        self._guests.pop(guest, None)
        self._guests[guest] = None

    async def end(self) -> None:
        """Let all go: each once nothing is lost with it, and everybody after some seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while self._guests and loop.time() < deadline:
            for guest in list(self._guests):
                if guest.idle() and loop.time() - guest.heard_at >= _QUIET:
                    guest.task.cancel()
            await asyncio.sleep(_LOOK)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
