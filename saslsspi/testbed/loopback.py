"""Running an asyncio server for callers that are not asyncio: a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Final, Protocol, TypeVar

__all__ = ["running"]

_TIMEOUT: Final = 10.0


class _Startable(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


_Server = TypeVar("_Server", bound=_Startable)


@contextlib.contextmanager
def running(server: _Server) -> Iterator[_Server]:
    """Start a server in a thread, hand it over while it runs, and stop it.

    Raises:
        OSError: it does not start.
        TimeoutError: it does not start or stop within ten seconds.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop,), name=f"loopback {type(server).__name__}", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_TIMEOUT)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_TIMEOUT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT)
        if thread.is_alive():
            raise TimeoutError("the loop of a loopback server does not end")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0))  # transports that were aborted close now
    finally:
        loop.close()
