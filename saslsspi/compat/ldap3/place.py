"""Putting the connection into ldap3: into the module's own names, so that every later import finds it."""

from __future__ import annotations

import sys
from typing import Any

import ldap3
import ldap3.core.connection

from saslsspi.compat.ldap3.connection import REPLACED, SealingConnection
from saslsspi.compat.ldap3.settings import BindSettings
from saslsspi.errors import ContextMisuse

__all__ = ["install"]

# Names of ldap3's development line, for programs that import them.
_LATER_NAMES = {"SIGN": "sign", "ENCRYPT": "ENCRYPT", "TLS_CHANNEL_BINDING": "TLS_CHANNEL_BINDING"}


def install(*, clear: Any = False, lookup: Any = None) -> None:
    """Make ldap3.Connection sign and seal; see saslsspi.compat.install.

    ldap3 may be imported already. What holds its class already cannot be reached, so that is refused.

    Args:
        clear: See BindSettings.of.
        lookup: See BindSettings.of.

    Raises:
        ContextMisuse: a module or a derived class holds ldap3's own Connection, or somebody else's stands in its place.
        InvalidParameter: see BindSettings.of.
    """
    settings = BindSettings.of(clear, lookup)
    there = ldap3.core.connection.Connection
    if there is not SealingConnection and there is not REPLACED:
        raise ContextMisuse(f"somebody has put {there.__module__}.{there.__qualname__} into ldap3's place already")
    if there is REPLACED:
        _check_unused()
    SealingConnection.settings = settings
    ldap3.Connection = ldap3.core.connection.Connection = SealingConnection
    for name, value in _LATER_NAMES.items():
        if not hasattr(ldap3, name):
            setattr(ldap3, name, value)


def _check_unused() -> None:
    """Raise where a program holds ldap3's own class: it would go on to send passwords in clear, unseen."""
    holders = {
        name
        for name, module in list(sys.modules.items())
        if not name.startswith(("ldap3.", "saslsspi.")) and name != "ldap3" and _holds(module)
    }
    holders |= {
        f"{each.__module__}.{each.__qualname__}"
        for each in REPLACED.__subclasses__()
        if not each.__module__.startswith("saslsspi.")
    }
    if holders:
        raise ContextMisuse(
            f"ldap3's own Connection is in use already, in {', '.join(sorted(holders))}: call "
            'saslsspi.compat.install("ldap3") before `from ldap3 import Connection` there, or start the program with '
            "`python -m saslsspi.compat run --as ldap3`"
        )


def _holds(module: Any) -> bool:
    try:
        return any(value is REPLACED for value in list(vars(module).values()))
    except TypeError:
        return False  # something else than a module stands in sys.modules
