"""The requirement catalogue: what each specification asks, in our own words, with an id that never changes.

One JSON file holds one specification or a group of closely related ones; one line of it is one requirement. An id is
the specification, the section and a running number in that section (`RFC2831-2.1.1-03`); it is never renumbered or
reused, and a new requirement goes to the end of its section. Where a Microsoft page is the source, the level gives
the sense of the sentence, since those pages do not use the capitals of RFC 2119.

This package holds the data and its loader. It knows nothing of tests, peers or results.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, TypeVar

__all__ = [
    "Basis",
    "Binds",
    "CatalogueError",
    "CatalogueFile",
    "Keyword",
    "Observable",
    "Requirement",
    "RequirementLevel",
    "Source",
    "ValueSource",
    "files",
    "load",
    "parse_file",
]

# RFC2831-2.1.1-03, RFC4422-EXT-A.1-12, MSDPSP-3.2.5.2-01, SSPI-ISC-DIGEST-118
_ID: Final = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9][A-Z0-9.]*)*-[0-9]{2,3}")


class CatalogueError(ValueError):
    """A catalogue file does not hold what this module documents; the text names the file and the entry."""


class RequirementLevel(enum.StrEnum):
    """How strongly a requirement binds; the first seven are RFC 2119's words."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"
    DEF = "DEF"
    """A definition, format or algorithm without which peers cannot interoperate; it binds like MUST."""
    NOTE = "NOTE"
    """Information, with no pass or fail."""


class Keyword(enum.StrEnum):
    """How the specification itself writes the level, where that is not its capital keyword."""

    LOWERCASE = "lowercase"


class Binds(enum.StrEnum):
    """Whom a requirement binds."""

    CLIENT = "client"
    SERVER = "server"
    BOTH = "both"
    PROFILE = "profile"
    """The protocol profile."""
    IMPLEMENTATION = "implementation"
    """A mechanism implementation."""


class Observable(enum.StrEnum):
    """Who can see whether a requirement holds."""

    WIRE = "wire"
    """A peer."""
    API = "api"
    """Only the program that calls the implementation."""
    NONE = "none"


class Source(enum.StrEnum):
    """What a requirement was written from."""

    TEXT = "text"
    MEMORY = "memory"
    """The text was not open: confirm it before a failure is held against anybody."""


class Basis(enum.StrEnum):
    """Where a requirement comes from; a failure of anything but TEXT is a warning, not a lack of conformance."""

    TEXT = "text"
    CLARIFICATION = "clarification"
    """Settled by a later draft or by what deployed peers do; `clarified_by` names it."""
    DERIVED = "derived"
    """A necessary consequence, or robustness."""


class ValueSource(enum.StrEnum):
    """Whether the page itself prints the numeric constant."""

    PAGE = "page"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One line of the catalogue.

    Attributes:
        id: The stable name.
        spec: The specification; one file may hold several.
        section: Section number and heading; of a Microsoft page, the part of the page.
        section_detail: A finer place.
        level: How strongly it binds.
        keyword: LOWERCASE where the specification writes the level in small letters, or not in so many words.
        binds: Whom it binds.
        text: The rule.
        observable: Who can see whether it holds.
        test: One line: input -> what is expected.
        reason: Why the entry cannot be tested, or does not apply; None for nearly all.
        source: What the entry was written from.
        basis: Where the rule comes from.
        clarified_by: What settled a CLARIFICATION.
        basis_note: A remark on the basis.
        value: The numeric constant, in hexadecimal.
        value_source: Whether the page prints that constant.
        contradiction: Where the text contradicts itself or another text, and what is taken to be meant.
        surprise: What implementations often miss or do otherwise.
        seen_in: Where a defect of the text was seen.
        confirmed_in: What confirmed an entry written from memory.
        linked_page: The other page that the Microsoft page points to for this rule.
        note: Any other remark.
    """

    id: str
    spec: str
    section: str
    level: RequirementLevel
    binds: Binds
    text: str
    observable: Observable
    test: str
    source: Source
    basis: Basis
    section_detail: str | None = None
    keyword: Keyword | None = None
    reason: str | None = None
    clarified_by: str | None = None
    basis_note: str | None = None
    value: str | None = None
    value_source: ValueSource | None = None
    contradiction: str | None = None
    surprise: str | None = None
    seen_in: str | None = None
    confirmed_in: str | None = None
    linked_page: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFile:
    """One file of the catalogue.

    Attributes:
        name: The file's name without its suffix: `rfc2831`.
        spec: The first specification in the file.
        title: All of them.
        status: Their standing and date.
        text_read: Which text was open when the entries were written.
        note: A remark on the whole file.
        requirements: The entries, in the order of the file.
    """

    name: str
    spec: str
    title: str
    status: str
    text_read: str
    note: str | None = None
    requirements: tuple[Requirement, ...]


_CLOSED: Final[Mapping[str, type[enum.StrEnum]]] = {
    "level": RequirementLevel,
    "keyword": Keyword,
    "binds": Binds,
    "observable": Observable,
    "source": Source,
    "basis": Basis,
    "value_source": ValueSource,
}

_Record = TypeVar("_Record", Requirement, CatalogueFile)


def _build(record: type[_Record], fields: Mapping[str, Any], where: str) -> _Record:
    known = {field.name: field for field in dataclasses.fields(record)}
    if unknown := fields.keys() - known.keys():
        raise CatalogueError(f"{where}: unknown fields {sorted(unknown)}")
    required = {name for name, field in known.items() if field.default is dataclasses.MISSING}
    if missing := required - fields.keys():
        raise CatalogueError(f"{where}: fields {sorted(missing)} are missing")
    return record(**fields)


def _requirement(raw: Mapping[str, Any], where: str) -> Requirement:
    where = f"{where}: {raw.get('id', 'an entry without id')}"
    fields: dict[str, Any] = {}
    for name, value in raw.items():
        if not isinstance(value, str) or not value.strip():
            raise CatalogueError(f"{where}: {name} is not a text")
        try:
            fields[name] = _CLOSED[name](value) if name in _CLOSED else value
        except ValueError:
            raise CatalogueError(f"{where}: {value!r} is no {name}") from None
    requirement = _build(Requirement, fields, where)
    if not _ID.fullmatch(requirement.id):
        raise CatalogueError(f"{where}: not an id")
    return requirement


def parse_file(name: str, text: str) -> CatalogueFile:
    """Read one catalogue file.

    Args:
        name: The file's name without its suffix.
        text: The JSON text: an object with `catalogue` (the head) and `requirements` (the list).

    Raises:
        CatalogueError: an unknown, missing or empty field, a word outside its list, or an id used twice.
    """
    document = json.loads(text)
    if document.keys() != {"catalogue", "requirements"}:
        raise CatalogueError(f"{name}: expected catalogue and requirements, found {sorted(document)}")
    entries = tuple(_requirement(raw, name) for raw in document["requirements"])
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise CatalogueError(f"{name}: {entry.id} is used twice")
        seen.add(entry.id)
    return _build(CatalogueFile, {**document["catalogue"], "name": name, "requirements": entries}, name)


@functools.cache
def files() -> Mapping[str, CatalogueFile]:
    """Return every file of the catalogue by its name, in the order of the names; read once."""
    found = sorted(
        (item for item in resources.files(__name__).iterdir() if item.name.endswith(".json")),
        key=lambda item: item.name,
    )
    parsed = (parse_file(item.name.removesuffix(".json"), item.read_text(encoding="utf-8")) for item in found)
    return MappingProxyType({file.name: file for file in parsed})


@functools.cache
def load() -> Mapping[str, Requirement]:
    """Return every requirement by its id, in the order of the files; read once.

    Raises:
        CatalogueError: two files use one id.
    """
    requirements: dict[str, Requirement] = {}
    for file in files().values():
        for entry in file.requirements:
            if entry.id in requirements:
                raise CatalogueError(f"{file.name}: {entry.id} is used in another file too")
            requirements[entry.id] = entry
    return MappingProxyType(requirements)
