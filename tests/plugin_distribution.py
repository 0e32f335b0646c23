"""Distributions made on the spot, as `pip install` would leave them, with entry points of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saslsspi.engine.entry_points import PluginTable


@contextmanager
def installed(
    folder: Path, name: str, group: str, plugins: dict[str, str], source: str, table: PluginTable[object]
) -> Iterator[None]:
    """Install a distribution of one module for the time of a test.

    Args:
        folder: An empty folder.
        name: The distribution's name and, with underscores, its module's.
        plugins: Object in the module by plugin name.
        source: The module.
        table: The table that must look again, before and after.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    lines = [f"{plugin} = {module}:{value}" for plugin, value in plugins.items()]
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(lines) + "\n")
    sys.path.insert(0, str(folder))
    table.refresh()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(module, None)
        table.refresh()
