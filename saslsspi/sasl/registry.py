"""The installed SASL mechanisms, found by entry point in the group `saslsspi.mechanisms`."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.entry_points import PluginTable
from saslsspi.errors import PackageNotFound
from saslsspi.kinds import check_kind
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["MECHANISMS", "find_mechanism"]

MECHANISMS: Final[PluginTable[Mechanism]] = PluginTable("saslsspi.mechanisms", Mechanism)


def find_mechanism(name: str | Mechanism) -> Mechanism:
    """Return a mechanism by name, without regard to case; a description stands for itself.

    Raises:
        InvalidParameter: it is neither.
        PackageNotFound: no mechanism of that name can be used; says which can, and what failed to load.
    """
    if not isinstance(name, str):
        check_kind("mechanism", name, str, Mechanism)
        return name
    mechanism = MECHANISMS.find(name)
    if mechanism is not None:
        return mechanism
    for plugin in MECHANISMS.plugins():
        if plugin.name.upper() == name.upper():
            raise PackageNotFound(f"SASL mechanism {name}: {plugin.problem}")
    usable = ", ".join(plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None)
    raise PackageNotFound(f"no SASL mechanism {name!r} is installed; there are: {usable or 'none'}")
