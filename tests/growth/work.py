"""How much work a call is, in things that can be counted and not in seconds.

Counted are: lines of Python that run, characters that regular expressions look at, and octets that are copied or
searched where a text is cut into pieces. The same call costs the same on every machine.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from growth.expressions import Counter, counted

__all__ = ["Octets", "Pattern", "Text", "counting", "fed", "work_of"]

_WEIGHT = 2  # octets that are copied at once cost as much as a line
_COUNTER = Counter()
_METHODS = ("match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split")


def _noted(name: str, kind: type) -> Callable[..., Any]:
    real = getattr(kind, name)

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        found = real(self, *arguments, **named)
        searches = name in ("find", "rfind", "index", "rindex", "count", "split", "splitlines", "__contains__")
        copied = len(found) if isinstance(found, bytes | str) else 0
        _COUNTER.steps += (len(self) if searches else copied) // _WEIGHT
        return _kept(found)

    return method


def _kept(found: Any) -> Any:
    """Return a piece of a text as a text that is counted as well."""
    if type(found) is bytes:
        return Octets(found)
    if type(found) is str:
        return Text(found)
    if type(found) in (tuple, list):
        return type(found)(_kept(piece) for piece in found)
    return found


_CUTTING = (
    "__getitem__", "__add__", "__contains__", "count", "find", "index", "lower", "lstrip", "partition", "removeprefix",
    "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "strip",
    "upper",
)  # fmt: skip


class Octets(bytes):
    """Octets that note when they are cut."""


class Text(str):
    """A text that notes when it is cut."""

    __slots__ = ()


for _name in _CUTTING:
    setattr(Octets, _name, _noted(_name, bytes))
    setattr(Text, _name, _noted(_name, str))
Octets.decode = _noted("decode", bytes)  # type: ignore[method-assign]
Text.encode = _noted("encode", str)  # type: ignore[method-assign]


class Pattern:
    """A compiled expression whose methods are counted."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Any:
        return counted(self._pattern, name, _COUNTER) if name in _METHODS else getattr(self._pattern, name)


@contextmanager
def counting(modules: list[types.ModuleType]) -> Iterator[None]:
    """Count the steps of the expressions that stand in modules."""
    replaced: list[tuple[types.ModuleType, str, Any]] = []
    for module in modules:
        for name, value in list(vars(module).items()):
            pattern = value if isinstance(value, re.Pattern) else getattr(value, "__self__", None)
            if isinstance(value, re.Pattern):
                other: Any = Pattern(value)
            elif isinstance(pattern, re.Pattern):
                other = counted(pattern, value.__name__, _COUNTER)
            else:
                continue
            replaced.append((module, name, value))
            setattr(module, name, other)
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(depth)
        for module, name, value in replaced:
            setattr(module, name, value)


def work_of(call: Callable[[Any], object], text: bytes | str) -> int:
    """Return how much work it is to read a text; errors are an answer too."""
    given = Octets(text) if isinstance(text, bytes) else Text(text)
    own = __file__

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == own:
            return None
        _COUNTER.steps += 1
        return trace

    before = _COUNTER.steps
    tracing = sys.gettrace()
    sys.settrace(cast(Any, trace))
    try:
        for _ in (call(given) or ()) if _iterates(call) else [call(given)]:  # type: ignore[attr-defined]
            pass
    except Exception:  # whichever: that parsers raise nothing foreign is said elsewhere
        pass
    finally:
        sys.settrace(tracing)
    return _COUNTER.steps - before


def fed(reading: Generator[int, bytes, object], text: bytes) -> None:
    """Give a reader of lines what it asks for, -1 for a line and a number for so many octets, until the text ends.

    Octets that it has newly in hand, whole ones that were put together for one, are counted as copied.
    """
    seen: dict[int, object] = {}  # what is kept here keeps its number
    wanted, at = next(reading), 0
    while at < len(text):
        end = bytes.find(text, b"\n", at) + 1 or len(text) if wanted < 0 else at + wanted
        piece, at = bytes(memoryview(text)[at:end]), max(end, at)
        wanted = reading.send(Octets(piece.removesuffix(b"\n").removesuffix(b"\r") if wanted < 0 else piece))
        running: object = reading
        while isinstance(running, types.GeneratorType) and running.gi_frame is not None:
            for value in running.gi_frame.f_locals.values():
                if isinstance(value, bytes | str) and id(value) not in seen:
                    seen[id(value)] = value
                    _COUNTER.steps += len(value) // _WEIGHT
            running = running.gi_yieldfrom


def _iterates(call: Callable[[Any], object]) -> bool:
    code = getattr(call, "__code__", None)
    return code is not None and bool(code.co_flags & 0x20)  # a generator
