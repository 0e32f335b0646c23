"""Every reader of a peer's text takes work that grows with the text and no faster, whatever stands in it.

Work is counted, in lines of Python, characters that expressions look at and octets that are cut: no clock is asked. A
reader that tries again from every place (a quoted string without an end), or that copies the rest for every part, does
sixteen times the work for four times the text, and is told by name, with the text that shows it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from growth import parsers
from growth.texts import LONG, REPEATED
from growth.work import Pattern, counting, work_of

SIZES = (12, 48, 192)
SLACK = 700  # what happens once: a first import, the making of an error
READERS = list(parsers.readers())


@pytest.fixture(scope="module", autouse=True)
def steps() -> Iterator[None]:
    with counting(parsers.MODULES):
        yield


def shown(text: bytes, kind: type) -> Any:
    return text if kind is bytes else text.decode("latin-1")


def grows(call: Any, *sizes: Any) -> bool:
    """Whether work grows faster than the text at every step from one size to the next."""
    return all(faster(call, small, large) for small, large in itertools.pairwise(sizes))


def faster(call: Any, small: Any, large: Any) -> bool:
    times = len(large) / max(1, len(small))
    before = work_of(call, small)
    return work_of(call, large) > times * 1.5 * before + SLACK


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_a_reader_does_no_more_work_than_the_text_is_long(reader: parsers.Reader) -> None:
    for making, build in {**REPEATED, **LONG}.items():
        given = [shown(build(size), reader.text) for size in SIZES]
        assert not grows(reader.call, *given), making


def test_every_reader_is_known() -> None:
    """What needs more than the text is named, and what is named is there."""
    named = {*parsers.CALLS, *parsers.OURS}
    assert named <= parsers.names()
    assert len(READERS) > 60


@pytest.mark.parametrize(
    ("expression", "piece"),
    [(r'(?:[^",]|"(?:[^"\\]|\\.)*")+', '\\"'), (r"[ \t]*=", " "), (r"a*a*;", "a"), (r'"[^"]*"', 'a')],
)  # fmt: skip
def test_an_expression_that_tries_again_from_every_place_is_found(expression: str, piece: str) -> None:
    findall = Pattern(re.compile(expression, re.DOTALL)).findall
    grown = grows(findall, '"' + piece * 30, '"' + piece * 120)
    assert grown is (piece != "a" or ";" in expression)


@pytest.mark.parametrize("reader", ["copies the rest", "adds to the end", "searches again", "asks for each"])
def test_a_reader_that_is_quadratic_is_found(reader: str) -> None:
    def read(text: Any) -> None:
        if reader == "copies the rest":
            while text:
                text = text[1:]
        elif reader == "adds to the end":
            done = text[:0]
            for piece in text.split(","):
                done = done + piece + ","
        elif reader == "searches again":
            at = 0
            while (at := text.find(",", at) + 1) > 0:
                text.count(",")
        else:
            seen: list[str] = []
            for piece in text:
                for other in seen:
                    assert other
                seen.append(piece)

    with pytest.raises(AssertionError, match="grows"):
        assert not grows(read, "a," * 300, "a," * 1200), "it grows"
