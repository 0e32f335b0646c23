"""Finding plugins by entry point: one rule for security packages and for SASL mechanisms.

A plugin that fails to load, or that takes a name already taken, is reported and harms nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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
    """The plugins of one entry-point group, each loaded once: ours by its name, all of them when there is need.

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
        self._entries: tuple[EntryPoint, ...] | None = None
        self._own: dict[str, T] = {}

    def find(self, name: str) -> T | None:
        """Return the plugin of a name, compared without regard to case, or None.

        A plugin of ours that is asked for by its own name is loaded alone: a program uses one or two of twenty. Nobody
        else's can have that name, so the others have no say.
        """
        key = name.upper()
        table = self._by_name
        if table is not None:
            return table.get(key)
        found = self._own.get(key)
        return found if found is not None else self._find_own(key) or self._loaded().get(key)

    def plugins(self) -> tuple[Plugin[T], ...]:
        """Everything that is installed, what failed included; ours first, then by name."""
        self._loaded()
        return self._plugins

    def refresh(self) -> None:
        """Look again at the next use, for programs that install plugins while they run."""
        with self._lock:
            self._by_name = self._entries = None
            self._own = {}

    def _find_own(self, key: str) -> T | None:
        with self._lock:
            for entry in self._ordered():
                if entry.dist is None or entry.dist.name != _OWN_DISTRIBUTION:
                    return None
                if entry.name.upper() == key:
                    value, _ = self._value(entry)
                    if value is not None:
                        self._own[key] = value
                    return value
        return None

    def _loaded(self) -> Mapping[str, T]:
        table = self._by_name
        if table is None:
            with self._lock:
                if self._by_name is None:
                    self._plugins, self._by_name = self._load()
                table = self._by_name
        return table

    def _ordered(self) -> tuple[EntryPoint, ...]:
        """Return what is installed, ours first, then by name."""
        if self._entries is None:
            # importlib.metadata costs more to import than all of this library, so it waits until a plugin is asked for.
            from importlib.metadata import entry_points

            found = {
                (entry.name, entry.value, entry.dist.name if entry.dist else ""): entry
                for entry in entry_points(group=self._group)
            }
            self._entries = tuple(
                sorted(
                    found.values(), key=lambda one: ((one.dist.name if one.dist else "") != _OWN_DISTRIBUTION, one.name)
                )
            )
        return self._entries

    def _value(self, entry: EntryPoint) -> tuple[T | None, str | None]:
        """Load a plugin; return it, or why it cannot be used."""
        try:
            value = entry.load()
        except Exception as error:  # a foreign module may raise anything while it is imported
            return None, f"{entry.value} failed to load: {type(error).__name__}: {error}"
        if not isinstance(value, self._kind):
            return None, f"{entry.value} is not a {self._kind.__name__}"
        return value, None

    def _load(self) -> tuple[tuple[Plugin[T], ...], Mapping[str, T]]:
        plugins: list[Plugin[T]] = []
        table: dict[str, T] = {}
        for entry in self._ordered():
            distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
            value, problem = self._value(entry)
            if value is not None and entry.name.upper() in table:
                value, problem = None, f"the name {entry.name} is already taken"
            if value is not None:
                for name in (entry.name, *self._names(value)):
                    table.setdefault(name.upper(), value)
            plugins.append(Plugin(entry.name, distribution, value, problem))
        return tuple(plugins), table
