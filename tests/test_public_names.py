"""The names of the front door: one table, which type checkers see too, and everything in it can be had."""

from __future__ import annotations

import ast
from pathlib import Path

import saslsspi

EVERYDAY = {
    "LogonDenied", "DowngradeDetected", "NoAuthenticatingAuthority", "MutualAuthFailed", "PackageNotFound",
    "MessageAltered", "CallerError", "LocalError", "RemoteError",
}  # fmt: skip


def _for_type_checkers() -> dict[str, str | None]:
    tree = ast.parse(Path(saslsspi.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # only so is a name handed on by mypy and pyright
    }


def test_type_checkers_see_the_table() -> None:
    assert _for_type_checkers() == saslsspi._HOMES
    assert saslsspi.__all__ == sorted(saslsspi._HOMES)


def test_every_name_can_be_had() -> None:
    assert [name for name in saslsspi.__all__ if getattr(saslsspi, name).__name__ != name] == []


def test_the_everyday_errors_are_at_the_top() -> None:
    assert set(saslsspi.__all__) >= EVERYDAY
