"""A dialogue over a connection: a generator that yields what to send and is sent what came, and what carries it.

What is said stands in the generator and knows no socket; a reply that never comes is thrown into it, and it decides
what the error is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import NamedTuple, TypeVar, cast

from saslsspi.adapters.stream.beside_loop import beside_loop

__all__ = ["carry", "carry_async", "first_turn"]

_Turn = TypeVar("_Turn")
_Reply = TypeVar("_Reply")
_T = TypeVar("_T")


def carry(dialogue: Generator[_Turn, _Reply, _T], turn: _Turn, ask: Callable[[_Turn], _Reply]) -> _T:
    """Carry a dialogue over a blocking connection, from its first turn on; ask sends a turn and reads the reply.

    Raises:
        SaslError: see the dialogue; where no reply came it decides what the error is.
    """
    try:
        while True:
            try:
                reply = ask(turn)
            except Exception as lost:
                turn = dialogue.throw(lost)
            else:
                turn = dialogue.send(reply)
    except StopIteration as stop:
        return cast(_T, stop.value)


class _Ended(NamedTuple):
    """What a dialogue returned: a StopIteration does not come through a future."""

    value: object


async def first_turn(dialogue: Generator[_Turn, _Reply, _T]) -> _Turn:
    """Return the first turn of a dialogue, taken beside the loop; see carry_async."""
    return await beside_loop(next, dialogue)


async def carry_async(
    dialogue: Generator[_Turn, _Reply, _T], turn: _Turn, ask: Callable[[_Turn], Awaitable[_Reply]]
) -> _T:
    """Carry a dialogue over an asyncio connection, from its first turn on; ask sends a turn and reads the reply.

    Its steps are taken beside the loop: SCRAM derives keys for milliseconds or seconds, as the server likes, Kerberos
    asks a KDC, and a function of the program's own may be asked for a token.

    Args:
        dialogue: Has yielded its first turn.
        turn: That one.
        ask: See above.

    Raises:
        SaslError: see the dialogue; where no reply came it decides what the error is.
    """
    while True:
        try:
            reply = await ask(turn)
        except Exception as lost:
            step = partial(_step, partial(dialogue.throw, lost))
        else:
            step = partial(_step, partial(dialogue.send, reply))
        reached = await beside_loop(step)
        if isinstance(reached, _Ended):
            return cast(_T, reached.value)
        turn = reached


def _step(step: Callable[[], _Turn]) -> _Turn | _Ended:
    try:
        return step()
    except StopIteration as stop:
        return _Ended(stop.value)
