"""What may block, done beside an event loop: exchanges that ask an authority.

The exchange runs in a thread, so an authority that blocks holds up nobody else. One whose lookup is an `async def` is
awaited by the loop itself, where its connections live, while the thread waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from saslsspi.accounts.account import Account
from saslsspi.engine.environment import awaiting_with

__all__ = ["beside_loop"]

P = ParamSpec("P")
T = TypeVar("T")


async def beside_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and return its result; authorities that are to be awaited are, by this loop."""
    loop = asyncio.get_running_loop()

    def wait(answer: Awaitable[Account | None]) -> Account | None:
        return asyncio.run_coroutine_threadsafe(_result(answer), loop).result()

    with awaiting_with(wait):
        # to_thread copies the context, and with it who waits.
        return await asyncio.to_thread(function, *args, **kwargs)


async def _result(answer: Awaitable[Account | None]) -> Account | None:
    return await answer
