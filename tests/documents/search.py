"""The search of the built site, asked as its page asks it: the words of a question, scored over titles and texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["found"]

# The weights of Sphinx's searchtools.js.
_TITLE, _PART_OF_TITLE, _TERM, _PART_OF_TERM = 15, 7, 5, 2
_WHOLE_TITLE = 16
_SHORTEST_PART = 3


def found(site: Path, question: str) -> list[str]:
    """Return the pages that have all the words of a question, the best first."""
    from sphinx.search.en import SearchEnglish  # where there is a site there is Sphinx

    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index: dict[str, Any] = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)\n?", text, re.DOTALL)[1])  # type: ignore[index]  # it is there
    language = SearchEnglish({})
    words = [word for word in language.split(question.lower()) if language.word_filter(word)]
    scores: dict[int, float] = {}
    # Numbers are no words there: a question of numbers alone is asked of the titles.
    for number in set.intersection(*(_pages(index, language.stem(word)) for word in words)) if words else set():
        scores[number] = sum(_score(index, language.stem(word), number) for word in words)
    for title, places in index["alltitles"].items():
        low = question.lower()
        if low in title.lower() and len(low) >= len(title) / 2:
            for number, section in places:
                boost = 0 if section else 1
                scores[number] = scores.get(number, 0) + _WHOLE_TITLE * len(low) / len(title) + boost
    ranked = sorted(scores, key=lambda number: (-scores[number], index["docnames"][number]))
    return [index["docnames"][number] for number in ranked]


def _entry(table: dict[str, Any], word: str) -> set[int]:
    value = table.get(word, [])
    return {value} if isinstance(value, int) else set(value)


def _parts(table: dict[str, Any], word: str) -> set[int]:
    if len(word) < _SHORTEST_PART:
        return set()
    return {number for term in table if word in term for number in _entry(table, term)}


def _pages(index: dict[str, Any], word: str) -> set[int]:
    tables = (index["terms"], index["titleterms"])
    return set().union(*(_entry(table, word) | _parts(table, word) for table in tables))


def _score(index: dict[str, Any], word: str, number: int) -> int:
    scores = [0]
    for table, whole, part in ((index["terms"], _TERM, _PART_OF_TERM), (index["titleterms"], _TITLE, _PART_OF_TITLE)):
        if number in _entry(table, word):
            scores.append(whole)
        elif number in _parts(table, word):
            scores.append(part)
    return max(scores)
