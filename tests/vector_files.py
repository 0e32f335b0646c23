"""The test vectors: values with a known origin, as JSON files in the directory `vectors`.

Octets are lower-case hex, except in fields that end in `_text` or `_base64`; `verified` in every vector says how its
values were checked. `wire` of a DIGEST-MD5 layer is without the 4-octet SASL length, `wire_framed` has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["DIRECTORY", "head", "load", "names"]

DIRECTORY: Final = Path(__file__).parent / "vectors"


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    return document


def load(name: str) -> list[dict[str, Any]]:
    """Return the vectors of one file, `load("digest-md5")`, in its order; a new copy each time."""
    vectors: list[dict[str, Any]] = _document(name)["vectors"]
    return vectors


def head(name: str) -> dict[str, Any]:
    """Return what holds for the whole file: mechanism, source, notation, and values `common` to all its vectors."""
    vectors_file: dict[str, Any] = _document(name)["vectors_file"]
    return vectors_file


def names() -> list[str]:
    """Return the names of the files."""
    return sorted(path.stem for path in DIRECTORY.glob("*.json"))
