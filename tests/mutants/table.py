"""The tables: which place is broken, how, and which requirement that breaks."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["HERE", "ROOT", "Mutant", "Unbroken", "changed_source", "names", "occurrences", "read", "unbroken"]

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]


class Mutant(NamedTuple):
    """One mistake.

    Attributes:
        catalogue_file: The table that it stands in, which is a file of the catalogue: rfc2831.
        file: Below the root of the tree.
        old: A text that occurs exactly once in the file.
        requirements: The ids of the rules that it breaks, each of which its own tests must notice. More than one where
            one line of code is one rule that several sentences say.
    """

    catalogue_file: str
    file: str
    old: str
    new: str
    requirements: tuple[str, ...]

    @property
    def place(self) -> str:
        """The first line of what is changed, for people."""
        return self.old.strip().splitlines()[0]


class Unbroken(NamedTuple):
    """Claims without a mutant: `unbroken.json`.

    Attributes:
        no_line: Id -> why no line of the product is this rule: a definition, or a duty that is the absence of code.
        later: The ids that still want one. The list only shrinks.
    """

    no_line: Mapping[str, str]
    later: frozenset[str]


def names() -> list[str]:
    """The catalogue files that have a table."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def read(name: str) -> tuple[Mutant, ...]:
    """Read the table of one catalogue file, or one that stands elsewhere: a path that ends in .toml."""
    path = Path(name) if name.endswith(".toml") else HERE / f"{name}.toml"
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Mutant(path.stem, entry["file"], entry["old"], entry["new"], _requirements(entry["requirement"]))
        for entry in document["mutant"]
    )


def unbroken() -> Unbroken:
    """Read which claims have no mutant."""
    document = json.loads((HERE / "unbroken.json").read_text(encoding="utf-8"))
    return Unbroken(document["no line"], frozenset(each for ids in document["later"].values() for each in ids))


def occurrences(mutant: Mutant) -> int:
    """How often the text to be changed stands in its file."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)


def changed_source(mutant: Mutant) -> str:
    """The file's text with the mistake in it."""
    return (ROOT / mutant.file).read_text(encoding="utf-8").replace(mutant.old, mutant.new)


def _requirements(said: str | Sequence[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
