"""Import one file of the tree as another text than it has: in a process that says so, and in all that it starts.

MUTANT_FILE names the file by its whole path, MUTANT_TEXT the file with the text that is taken for it. Python imports
this module at its start, where its directory stands in PYTHONPATH. Nothing in the tree is touched.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType

__all__ = ["FILE", "TEXT", "install"]

FILE = "MUTANT_FILE"
TEXT = "MUTANT_TEXT"


class _OtherText(SourceFileLoader):
    """A loader whose file has the mutant's text, and no compiled form beside it."""

    def get_data(self, path: str) -> bytes:
        with open(os.environ[TEXT] if path.endswith(".py") else path, "rb") as file:
            return file.read()

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)


class _Finder:
    """Finds what the finders behind it find, and gives one file its other text."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is _Finder:
                continue
            spec = finder.find_spec(fullname, path, target)  # type: ignore[arg-type]
            if spec is not None:
                if spec.origin is not None and os.path.realpath(spec.origin) == os.environ[FILE]:
                    spec.loader = _OtherText(fullname, spec.origin)
                return spec
        return None


def install() -> None:
    """From here on the file that the environment names has the text that it names."""
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]


if os.environ.get(FILE):
    install()
