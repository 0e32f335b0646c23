"""An answer that is to come of something else that is to be awaited; where nobody awaits it, neither is left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from saslsspi.accounts.account import Account

__all__ = ["Coming", "close_unawaited"]

T = TypeVar("T")


class Coming(Awaitable[Account | None], Generic[T]):
    """What becomes of an awaitable; a coroutine around it would leave it unawaited where it is closed itself.

    Args:
        awaited: To be awaited by what follows.
        go_on: Awaits it and returns the answer.
    """

    def __init__(
        self, awaited: Awaitable[T], go_on: Callable[[Awaitable[T]], Coroutine[Any, Any, Account | None]]
    ) -> None:
        self._awaited = awaited
        self._go_on = go_on

    def __await__(self) -> Generator[Any, Any, Account | None]:
        return self._go_on(self._awaited).__await__()

    def close(self) -> None:
        """Await nothing any more; what was awaited is closed already."""
        close_unawaited(self._awaited)


def close_unawaited(answer: object) -> None:
    """Close what is to be awaited and will not be, else Python warns that nobody awaited it."""
    close = getattr(answer, "close", None) if isawaitable(answer) else None
    if close is not None:
        close()
