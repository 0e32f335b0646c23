"""How long a client's connection may last, and how it is ended from beside the task that serves it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from saslsspi.errors import LogonDenied
from saslsspi.gateway.settings import GatewayLimits
from saslsspi.gateway.streams import CarriedStream

__all__ = ["ABANDONED", "Watch", "unless_gone"]

ABANDONED: Final = "the client has gone before it was answered"
_MOST_AHEAD: Final = 1 << 16  # octets that are read of a client whose logon runs

_T = TypeVar("_T")


class Watch:
    """Looks at the clock for the task that makes it, and cancels it when its time is over.

    Attributes:
        why: Why the task was cancelled; "" where that was somebody else.
    """

    def __init__(self, limits: GatewayLimits) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.why = ""
        self._task = task
        self._limits = limits
        self._logged_on = False
        self._loop = asyncio.get_running_loop()
        self._began = self._active = self._loop.time()
        self._timer = self._loop.call_at(self._due(), self._look)

    def touch(self) -> None:
        """Note that something has crossed the connection."""
        self._active = self._loop.time()

    def changed(self, *, logged_on: bool) -> None:
        """Note whether somebody is logged on, or about to be: until then there is less time."""
        self._logged_on = logged_on
        self.touch()
        self._timer.cancel()  # it may be due sooner now
        self._timer = self._loop.call_at(self._due(), self._look)

    def end(self, why: str) -> None:
        """Cancel the task."""
        if not self.why:
            self.why = why
            self._task.cancel()

    def took_note(self) -> bool:
        """Whether a cancellation that the task has caught is this watch's, and no more than that."""
        return bool(self.why) and self._task.uncancel() == 0

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _due(self) -> float:
        silent = self._limits.idle_seconds if self._logged_on else self._limits.logon_seconds
        return min(self._active + silent, self._began + self._limits.session_seconds)

    def _look(self) -> None:
        due = self._due()
        if due <= self._loop.time():
            self.end("the time for this connection is over")
        else:
            self._timer = self._loop.call_at(due, self._look)


async def unless_gone(client: CarriedStream, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what a logon comes to; where its client leaves meanwhile it is cancelled.

    Raises:
        LogonDenied: the client has left.
    """
    running, reading = asyncio.create_task(work), None
    try:
        while not running.done():
            if reading is None and client.waiting < _MOST_AHEAD:
                reading = asyncio.create_task(client.more())
            await asyncio.wait({running, *([reading] if reading else [])}, return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading.done():
                if not reading.result():
                    raise LogonDenied(ABANDONED)
                reading = None
        return running.result()
    finally:
        for task in (reading, running):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
            if task is not None and not task.cancelled():
                with contextlib.suppress(BaseException):
                    task.exception()
