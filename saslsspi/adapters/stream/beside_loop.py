"""What may block, done beside an event loop: exchanges that ask an authority, and slow hashes.

The exchange runs in a thread, so an authority that blocks holds up nobody else. One whose lookup is an `async def` is
awaited by the loop itself, where its connections live, while the thread waits.

A thread cannot be interrupted. A task that is cancelled, by a time-out for one, waits until its thread is done, so that
nobody ends an exchange in whose middle a thread still is; what the loop was asked to await for it is cancelled at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from saslsspi.accounts.account import Account
from saslsspi.engine.environment import awaiting_with
from saslsspi.errors import NoAuthenticatingAuthority

__all__ = ["beside_loop"]

P = ParamSpec("P")
T = TypeVar("T")


async def beside_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and return its result; authorities that are to be awaited are, by this loop."""
    loop = asyncio.get_running_loop()
    answers = _Answers(loop)
    with awaiting_with(answers.wait):
        # The copy of the context has in it who waits.
        work = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        running = loop.run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        answers.give_up()
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue  # once more: the first one is raised in the end
        if not running.cancelled():
            running.exception()  # nobody is there any more who would be told
        raise


class _Answers:
    """What a thread lets the loop await, one answer at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._given_up = False
        self._awaited: concurrent.futures.Future[Account | None] | None = None

    def wait(self, answer: Awaitable[Account | None]) -> Account | None:
        """Block the thread until the loop has awaited an answer.

        Raises:
            NoAuthenticatingAuthority: the task that waits for this thread was cancelled.
        """
        coroutine = _result(answer)
        with self._lock:
            given_up = self._given_up
            if not given_up:
                self._awaited = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        if not given_up:
            assert self._awaited is not None
            try:
                return self._awaited.result()
            except concurrent.futures.CancelledError:
                pass
        else:
            coroutine.close()
            close = getattr(answer, "close", None)
            if close is not None:
                close()  # else Python warns that nobody awaited it
        raise NoAuthenticatingAuthority("the exchange was given up while the authority was asked")

    def give_up(self) -> None:
        """Cancel what is awaited, and await nothing more."""
        with self._lock:
            self._given_up = True
            if self._awaited is not None:
                self._awaited.cancel()


async def _result(answer: Awaitable[Account | None]) -> Account | None:
    return await answer
