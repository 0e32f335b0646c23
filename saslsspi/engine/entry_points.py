"""Finding plugins by entry point: one rule for security packages and for SASL mechanisms.

A plugin that fails to load, or that takes a name already taken, is reported and harms nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Plugin", "PluginTable"]

_OWN_DISTRIBUTION = "saslsspi"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugin(Generic[T]):
    """One entry point.

    Attributes:
        name: The name it registers, as written.
        distribution: Name and version of the distribution that brings it.
        value: The loaded object; None when it failed.
        problem: Why it cannot be used; None when it can.
    """

    name: str
    distribution: str
    value: T | None
    problem: str | None


class PluginTable(Generic[T]):
    """The plugins of one entry-point group, loaded once, at first use.

    Args:
        group: The entry-point group.
        kind: What a plugin must be an instance of.
        names: Further names of a loaded plugin.
    """

    def __init__(self, group: str, kind: type[T], names: Callable[[T], tuple[str, ...]] = lambda _: ()) -> None:
        self._group = group
        self._kind = kind
        self._names = names
        self._lock = threading.Lock()
        self._by_name: Mapping[str, T] | None = None
        self._plugins: tuple[Plugin[T], ...] = ()

    def find(self, name: str) -> T | None:
        """Return the plugin of a name, compared without regard to case, or None."""
        return self._loaded().get(name.upper())

    def plugins(self) -> tuple[Plugin[T], ...]:
        """Everything that is installed, what failed included; ours first, then by name."""
        self._loaded()
        return self._plugins

    def refresh(self) -> None:
        """Look again at the next use, for programs that install plugins while they run."""
        with self._lock:
            self._by_name = None

    def _loaded(self) -> Mapping[str, T]:
        table = self._by_name
        if table is None:
            with self._lock:
                if self._by_name is None:
                    self._plugins, self._by_name = self._load()
                table = self._by_name
        return table

    def _load(self) -> tuple[tuple[Plugin[T], ...], Mapping[str, T]]:
        # importlib.metadata costs more to import than all of this library, so it waits until a plugin is asked for.
        from importlib.metadata import entry_points

        found = {
            (entry.name, entry.value, entry.dist.name if entry.dist else ""): entry
            for entry in entry_points(group=self._group)
        }
        ordered = sorted(found.values(), key=lambda e: ((e.dist.name if e.dist else "") != _OWN_DISTRIBUTION, e.name))
        plugins: list[Plugin[T]] = []
        table: dict[str, T] = {}
        for entry in ordered:
            distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
            value, problem = None, None
            try:
                value = entry.load()
            except Exception as error:  # a foreign module may raise anything while it is imported
                problem = f"{entry.value} failed to load: {type(error).__name__}: {error}"
            if problem is None and not isinstance(value, self._kind):
                problem = f"{entry.value} is not a {self._kind.__name__}"
            elif problem is None and entry.name.upper() in table:
                problem = f"the name {entry.name} is already taken"
            if problem is None:
                assert isinstance(value, self._kind)
                for name in (entry.name, *self._names(value)):
                    table.setdefault(name.upper(), value)
            plugins.append(Plugin(entry.name, distribution, None if problem else value, problem))
        return tuple(plugins), table
