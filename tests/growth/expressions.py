"""Regular expressions whose steps are counted: Python's own engine says nothing of how often it tries again.

A small matcher by backtracking runs beside the real one, over the tree that Python's parser makes, and must find the
same. What it counts are characters looked at.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Counter", "counted"]

_PARSER: Any = importlib.import_module("re._parser")
_ENGINE: Any = importlib.import_module("re._constants")
_MOST: int = _ENGINE.MAXREPEAT
_ANY_NEWLINE = re.DOTALL

Next = Callable[[int], bool]


class Counter:
    """What was done so far."""

    def __init__(self) -> None:
        self.steps = 0


class _Matcher:
    """One match of an expression's tree against a subject."""

    def __init__(self, tree: Any, flags: int, subject: Sequence[Any], counter: Counter) -> None:
        self.tree = tree
        self.flags = flags
        self.subject = subject
        self.end = len(subject)
        self.counter = counter
        self.groups: dict[int, tuple[int, int]] = {}

    def at(self, position: int) -> int | None:
        """Return where a match that begins there ends."""
        found: list[int] = []

        def last(end: int) -> bool:
            found.append(end)
            return True

        return found[0] if self.sequence(list(self.tree), 0, position, last) else None

    def sequence(self, nodes: list[Any], number: int, position: int, then: Next) -> bool:
        """Match the nodes from a number on, and go on behind them."""
        while number < len(nodes):
            kind, value = nodes[number]
            single = self.single(kind)
            if single is None:
                return self.node(kind, value, position, self.behind(nodes, number, then))
            self.counter.steps += 1
            if position >= self.end or not single(value, self.character(position)):
                return False
            number, position = number + 1, position + 1
        return then(position)

    def behind(self, nodes: list[Any], number: int, then: Next) -> Next:
        return lambda end: self.sequence(nodes, number + 1, end, then)

    def character(self, position: int) -> int:
        found = self.subject[position]
        return found if isinstance(found, int) else ord(found)

    def single(self, kind: Any) -> Callable[[Any, int], bool] | None:
        """Return what judges one character, None for a node of another kind."""
        return {
            _ENGINE.LITERAL: self.literal,
            _ENGINE.NOT_LITERAL: lambda value, found: not self.literal(value, found),
            _ENGINE.ANY: lambda value, found: found != 10 or bool(self.flags & re.DOTALL),
            _ENGINE.IN: self.in_set,
        }.get(kind)

    def literal(self, value: int, found: int) -> bool:
        return found == value or (bool(self.flags & re.IGNORECASE) and chr(found).lower() == chr(value).lower())

    def in_set(self, items: Any, found: int) -> bool:
        negated = items[0][0] is _ENGINE.NEGATE
        cases = {found}
        if self.flags & re.IGNORECASE:
            cases |= {ord(case) for case in (chr(found).lower(), chr(found).upper()) if len(case) == 1}
        return negated != any(_holds(kind, value, case) for kind, value in items for case in cases)

    def node(self, kind: Any, value: Any, position: int, then: Next) -> bool:
        self.counter.steps += 1
        if kind is _ENGINE.SUBPATTERN:
            return self.group(value, position, then)
        if kind is _ENGINE.BRANCH:
            return any(self.sequence(list(branch), 0, position, then) for branch in value[1])
        if kind in (_ENGINE.MAX_REPEAT, _ENGINE.MIN_REPEAT):
            least, most, body = value
            return self.repeat(list(body), least, most, position, then, greedy=kind is _ENGINE.MAX_REPEAT)
        if kind is _ENGINE.POSSESSIVE_REPEAT:
            least, most, body = value
            end = self.run(list(body), least, most, position)
            return end is not None and then(end)
        if kind is _ENGINE.ATOMIC_GROUP:
            end = self.once(list(value), position)
            return end is not None and then(end)
        if kind in (_ENGINE.ASSERT, _ENGINE.ASSERT_NOT):
            direction, body = value
            start = position - body.getwidth()[0] if direction < 0 else position
            held = start >= 0 and self.once(list(body), start) is not None
            return held == (kind is _ENGINE.ASSERT) and then(position)
        if kind is _ENGINE.AT:
            return self.stands(value, position) and then(position)
        raise NotImplementedError(f"{kind} is not counted yet")

    def group(self, value: Any, position: int, then: Next) -> bool:
        number, added, removed, body = value
        before, self.flags = self.flags, (self.flags | added) & ~removed

        def closed(end: int) -> bool:
            self.flags, inside = before, self.flags
            if then(end):
                if number is not None:
                    self.groups.setdefault(number, (position, end))
                return True
            self.flags = inside
            return False

        if self.sequence(list(body), 0, position, closed):
            return True
        self.flags = before
        return False

    def once(self, body: list[Any], position: int) -> int | None:
        found: list[int] = []
        return found[0] if self.sequence(body, 0, position, lambda end: not found.append(end)) else None  # type: ignore[func-returns-value]

    def run(self, body: list[Any], least: int, most: int, position: int) -> int | None:
        """Repeat as often as it goes, and give nothing back."""
        count = 0
        while count < most and (end := self.once(body, position)) is not None:
            count += 1
            if end == position:
                break
            position = end
        return position if count >= least else None

    def repeat(self, body: list[Any], least: int, most: int, position: int, then: Next, *, greedy: bool) -> bool:
        single = self.single(body[0][0]) if len(body) == 1 else None
        if single is not None and greedy:
            end = position
            while end < self.end and end - position < most and single(body[0][1], self.character(end)):
                self.counter.steps += 1
                end += 1
            while end - position >= least:
                self.counter.steps += 1
                if then(end):
                    return True
                end -= 1
            return False

        def more(count: int, here: int) -> bool:
            def again(end: int) -> bool:
                return end != here and more(count + 1, end)

            deeper = count < most
            if count < least:
                return self.sequence(body, 0, here, lambda end: more(count + 1, end))
            if greedy:
                return (deeper and self.sequence(body, 0, here, again)) or then(here)
            return then(here) or (deeper and self.sequence(body, 0, here, again))

        return more(0, position)

    def stands(self, value: Any, position: int) -> bool:
        if value in (_ENGINE.AT_BEGINNING, _ENGINE.AT_BEGINNING_STRING):
            multiline = value is _ENGINE.AT_BEGINNING and self.flags & re.MULTILINE
            return position == 0 or (bool(multiline) and self.character(position - 1) == 10)
        if value is _ENGINE.AT_END_STRING:
            return position == self.end
        if value is _ENGINE.AT_END:
            multiline = bool(self.flags & re.MULTILINE)
            last = position == self.end or (position == self.end - 1 and self.character(position) == 10)
            return last or (multiline and self.character(position) == 10)
        if value is _ENGINE.AT_BOUNDARY:
            before = position > 0 and chr(self.character(position - 1)).isalnum()
            return before != (position < self.end and chr(self.character(position)).isalnum())
        raise NotImplementedError(f"{value} is not counted yet")


def _holds(kind: Any, value: Any, found: int) -> bool:
    if kind is _ENGINE.LITERAL:
        return bool(value == found)
    if kind is _ENGINE.RANGE:
        return bool(value[0] <= found <= value[1])
    if kind is _ENGINE.CATEGORY:
        text = chr(found)
        judged = {
            _ENGINE.CATEGORY_DIGIT: text.isdecimal(),
            _ENGINE.CATEGORY_NOT_DIGIT: not text.isdecimal(),
            _ENGINE.CATEGORY_SPACE: text.isspace(),
            _ENGINE.CATEGORY_NOT_SPACE: not text.isspace(),
            _ENGINE.CATEGORY_WORD: text.isalnum() or text == "_",
            _ENGINE.CATEGORY_NOT_WORD: not (text.isalnum() or text == "_"),
        }
        return judged[value]
    return False  # NEGATE


def counted(pattern: re.Pattern[Any], name: str, counter: Counter) -> Callable[..., Any]:
    """Return a pattern's method that counts its steps and returns what the method returns."""
    real = getattr(pattern, name)
    tree = _PARSER.parse(pattern.pattern, pattern.flags & ~re.DEBUG)

    def method(*arguments: Any, **named: Any) -> Any:
        tracing = sys.gettrace()
        sys.settrace(None)
        try:
            subject = arguments[1] if name in ("sub", "subn") else arguments[0]
            at = arguments[1] if len(arguments) > 1 and name not in ("sub", "subn", "split") else 0
            _walk(pattern, tree, name, subject, at, counter)
        finally:
            sys.settrace(tracing)
        return real(*arguments, **named)

    return method


def _walk(pattern: re.Pattern[Any], tree: Any, name: str, subject: Any, at: int, counter: Counter) -> None:
    """Do what the method does, step by step."""
    position = at
    while position <= len(subject):
        matcher = _Matcher(tree, pattern.flags, subject, counter)
        end = matcher.at(position)
        if name in ("match", "fullmatch"):
            real = pattern.match(subject, position)
            # fullmatch tries on until the end is the subject's; the steps until the first match are fewer, never of
            # another order, as what follows would be an anchor.
            assert name == "fullmatch" or (None if real is None else real.end()) == end, pattern.pattern
            return
        if end is None:
            position += 1
            continue
        if name == "search":
            return
        position = end if end > position else position + 1
