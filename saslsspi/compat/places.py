"""Modules of ours under the names of other libraries, by an import hook: nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from saslsspi.errors import ContextMisuse

__all__ = ["check_free", "take"]


class _Places(MetaPathFinder, Loader):
    """Finds modules of ours under other names; a module has the same contents under both, once."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See MetaPathFinder.find_spec."""
        ours = self.ours(fullname)
        if ours is None or importlib.util.find_spec(ours) is None:
            return None
        return ModuleSpec(fullname, self, origin=ours)

    def ours(self, name: str) -> str | None:
        """Return the name of our module that stands under another library's name, or None."""
        theirs, dot, rest = name.partition(".")
        return f"{self.taken[theirs]}{dot}{rest}" if theirs in self.taken else None

    def exec_module(self, module: ModuleType) -> None:
        """Put our module into the place of the one that the import system has made."""
        assert module.__spec__ is not None
        assert module.__spec__.origin is not None
        sys.modules[module.__spec__.name] = importlib.import_module(module.__spec__.origin)


_PLACES: Final = _Places()


def check_free(modules: Mapping[str, str]) -> None:
    """Raise where one of the places cannot be taken.

    Args:
        modules: Their top-level names, and the full names of ours.

    Raises:
        ContextMisuse: one of theirs is imported already.
    """
    for theirs, ours in modules.items():
        there = sys.modules.get(theirs)
        if there is not None and there.__name__ != ours:
            raise ContextMisuse(
                f"{theirs} is in use already, from {getattr(there, '__file__', None) or 'nowhere'}: call "
                f"saslsspi.compat.install before anything imports it, or start the program with "
                f"`python -m saslsspi.compat run`"
            )


def take(modules: Mapping[str, str]) -> None:
    """Let modules of ours be found under the names of others; see check_free."""
    check_free(modules)
    _PLACES.taken.update(modules)
    if modules and _PLACES not in sys.meta_path:
        sys.meta_path.insert(0, _PLACES)
