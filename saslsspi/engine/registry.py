"""The installed security packages, found by entry point in the group `saslsspi.packages`."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.entry_points import PluginTable
from saslsspi.engine.package import AnyPackage, Package
from saslsspi.errors import PackageNotFound

__all__ = ["PACKAGES", "find_package", "package_problem"]

PACKAGES: Final[PluginTable[AnyPackage]] = PluginTable(
    "saslsspi.packages",
    Package,  # type: ignore[type-abstract]  # only isinstance is asked of it
    lambda package: (package.info.name, *package.aliases),
)


def find_package(name: str) -> AnyPackage:
    """Return a package by name, without regard to case.

    Raises:
        PackageNotFound: no package of that name can be used; says which can, and what failed to load.
    """
    package = PACKAGES.find(name)
    if package is not None:
        return package
    for plugin in PACKAGES.plugins():
        if plugin.name.upper() == name.upper():
            raise PackageNotFound(f"security package {name}: {plugin.problem}")
    usable = ", ".join(plugin.name for plugin in PACKAGES.plugins() if plugin.value is not None)
    raise PackageNotFound(f"no security package {name!r} is installed; there are: {usable or 'none'}")


def package_problem(name: str, *, inbound: bool = False) -> str | None:
    """Return why a package cannot be used on this machine, not installed included, or None.

    Args:
        name: The package's.
        inbound: Whether it is to accept.
    """
    try:
        package = find_package(name)
        return package.inbound_problem() if inbound else package.problem()
    except PackageNotFound as error:
        return error.text
    except Exception as error:  # a plugin's defect is no reason to do without the others
        return f"{name} failed with {type(error).__name__}: {error}"
