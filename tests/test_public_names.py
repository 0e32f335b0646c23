"""The names of the two doors that load on first use: one table each, which type checkers see too, with all there is."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import saslsspi
import saslsspi.accounts

DOORS = pytest.mark.parametrize("door", [saslsspi, saslsspi.accounts], ids=lambda door: door.__name__)

EVERYDAY = {
    "LogonDenied", "DowngradeDetected", "NoAuthenticatingAuthority", "MutualAuthFailed", "PackageNotFound",
    "MessageAltered", "CallerError", "LocalError", "RemoteError",
}  # fmt: skip


def _for_type_checkers(door: ModuleType) -> dict[str, str | None]:
    tree = ast.parse(Path(str(door.__file__)).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # only so is a name handed on by mypy and pyright
    }


@DOORS
def test_type_checkers_see_the_table(door: ModuleType) -> None:
    assert _for_type_checkers(door) == door._HOMES
    assert door.__all__ == sorted(door._HOMES)


@DOORS
def test_every_name_can_be_had(door: ModuleType) -> None:
    assert [name for name in door.__all__ if getattr(door, name).__name__ != name] == []


def test_the_everyday_errors_are_at_the_top() -> None:
    assert set(saslsspi.__all__) >= EVERYDAY
