"""The house, drawn from the imports of the code when the site is built: who stands on whom."""

from __future__ import annotations

import ast
from collections import defaultdict
from html import escape
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["floors", "rooms", "setup"]

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
HOMES = [ROOT / "saslsspi", ROOT / "mechanisms" / "saslsspi_mechanisms", ROOT / "conformance" / "saslsspi_conformance"]
BESIDE = {"saslsspi", "__main__"}  # the front door, which has names of all rooms and loads them when they are asked for
WIDTH, ROW, HIGH, MARGIN = 420, 52, 42, 6
WIDEST = 3  # rooms of a row


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw when the build begins."""
    app.connect("builder-inited", lambda _: write(HERE / "background" / "house.md"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(page: Path) -> None:
    """Write the page."""
    stands_on, sizes = rooms()
    lines = [
        "# The house, drawn from the code",
        "",
        (
            "A box is a room, with the lines that it has. What stands on a floor imports from floors below it, and from"
            " no other: [the house](../architecture.md) says what each is for, and a test fails on an arrow upwards."
        ),
        "",
        "```{raw} html",
        drawn(floors(stands_on), stands_on, sizes),
        "```",
        "",
        "## Who stands on whom",
        "",
        *(f"`{room}`\n: {', '.join(sorted(stands_on[room])) or 'nothing'}\n" for room in sorted(stands_on)),
    ]
    text = "\n".join(lines)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def rooms() -> tuple[dict[str, set[str]], dict[str, int]]:
    """Return each room with those that it imports from, and how many lines it has."""
    stands_on: dict[str, set[str]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for home in HOMES:
        for file in home.rglob("*.py"):
            room = room_of(".".join(file.relative_to(home.parent).with_suffix("").parts).removesuffix(".__init__"))
            if room in BESIDE:
                continue
            text = file.read_text(encoding="utf-8")
            sizes[room] += len(text.splitlines())
            stands_on[room] |= {other for other in imported(text) if other not in {room, *BESIDE}}
    return dict(stands_on), dict(sizes)


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    first, *rest = module.split(".")
    return rest[0] if first == "saslsspi" and rest else first


def imported(text: str) -> set[str]:
    """Return the rooms that a file needs to be imported."""
    modules: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "saslsspi"
            modules |= {f"saslsspi.{name.name}" for name in node.names} if whole else {node.module}
    return {room_of(module) for module in modules if module.startswith("saslsspi")}


def floors(stands_on: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms by floor, the ground first."""
    level: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in level:
            level[room] = 1 + max((height(other) for other in stands_on.get(room, ())), default=-1)
        return level[room]

    for room in stands_on:
        height(room)
    return [sorted(room for room in level if level[room] == at) for at in range(max(level.values()) + 1)]


def drawn(storeys: list[list[str]], stands_on: dict[str, set[str]], sizes: dict[str, int]) -> str:
    """Return the picture, the roof above."""
    rows = [storey[at : at + WIDEST] for storey in reversed(storeys) for at in range(0, len(storey), WIDEST)]
    words = "The rooms by floor, from the roof down: " + "; ".join(", ".join(row) for row in rows)
    size = f"0 0 {WIDTH} {ROW * len(rows)}"
    parts = [f'<div class="house"><svg viewBox="{size}" role="img" aria-label="{escape(words)}">']
    for number, row in enumerate(rows):
        wide = WIDTH / len(row)
        for place, room in enumerate(row):
            x, y = place * wide + MARGIN / 2, number * ROW + MARGIN
            below = ", ".join(sorted(stands_on[room])) or "nothing"
            across, middle = wide - MARGIN, x + (wide - MARGIN) / 2
            parts += [
                f"<g><title>{escape(room)} stands on {escape(below)}</title>",
                f'<rect x="{x}" y="{y}" width="{across}" height="{HIGH}" rx="4"/>',
                f'<text x="{middle}" y="{y + 18}" text-anchor="middle">{escape(room)}</text>',
                f'<text class="note" x="{middle}" y="{y + 34}" text-anchor="middle">{sizes[room]:,} lines</text></g>',
            ]
    return "".join([*parts, "</svg></div>"])
