"""The public surface as text, a name a line, with its signature: what a user's program may lean on.

    python tests/documents/surface.py

writes surface.txt anew where a change is meant; tests/test_doors.py compares.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ForwardRef

__all__ = ["HOMES", "members", "public", "surface"]

HOMES = ("saslsspi", "saslsspi_mechanisms", "saslsspi_conformance")
_CALLED = ("__init__", "__call__", "__enter__", "__aenter__", "__iter__", "__getitem__", "__len__")


def surface(doors: list[str]) -> list[str]:
    """Return the lines; what two doors have is told at the first."""
    lines: list[str] = []
    for name, thing, home in public(doors):
        lines += [f"{name} = {home}"] if home else _told(name, thing)
    return lines


def public(doors: list[str]) -> Iterator[tuple[str, Any, str]]:
    """Yield the names of all doors, what they are, and where the same was told before, or ""."""
    seen: dict[int, str] = {}
    for door in doors:
        module = importlib.import_module(door)
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            told = seen.get(id(thing), "") if inspect.isclass(thing) or callable(thing) else ""
            seen.setdefault(id(thing), f"{door}.{name}")
            yield f"{door}.{name}", thing, told


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class of ours has in public beside its fields, from whichever of our classes it comes."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in HOMES:
            found |= {name: value for name, value in vars(base).items() if not name.startswith("_") or name in _CALLED}
    if getattr(kind, "_is_protocol", False):
        found.pop("__init__", None)  # nobody calls it
    yield from sorted(found.items())


def _told(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing) and thing.__module__.partition(".")[0] in HOMES:
        yield from _class(name, thing)
    elif isinstance(thing, types.ModuleType):
        yield f"{name}: module"
    elif inspect.isfunction(thing):
        yield f"{name}{_signature(thing)}"
    elif inspect.isclass(thing):
        yield f"{name}: class {thing.__module__}.{thing.__qualname__}"
    else:
        yield f"{name}: {'Union' if isinstance(thing, types.UnionType) else type(thing).__name__}"


def _class(name: str, kind: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    yield f"{name}: class({bases})"
    if issubclass(kind, enum.Enum):
        yield from (f"{name}.{member} = {_value(value.value)}" for member, value in kind.__members__.items())
    fields: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] in HOMES:
            fields |= {
                field: _type(of) for field, of in inspect.get_annotations(base).items() if not field.startswith("_")
            }
    yield from (f"{name}.{field}: {of}" for field, of in sorted(fields.items()))
    for member, value in members(kind):
        if member in fields or (issubclass(kind, enum.Enum) and member in kind.__members__):
            continue
        if isinstance(value, property):
            returned = _type(inspect.get_annotations(value.fget)["return"])  # type: ignore[arg-type]  # it has a getter
            yield f"{name}.{member}: {returned}" + ("" if value.fset else " (read only)")
        elif isinstance(value, staticmethod | classmethod):
            yield f"{name}.{member}{_signature(value.__func__)}"
        elif inspect.isfunction(value):
            yield f"{name}.{member}{_signature(value)}"
        else:
            yield f"{name}.{member}: {type(value).__name__}"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    plain = []
    for one in signature.parameters.values():
        told = one if one.annotation is one.empty else one.replace(annotation=_Shown(_type(one.annotation)))
        plain.append(told if one.default is one.empty else told.replace(default=_Shown(_value(one.default))))
    returned = _type(signature.return_annotation)
    text = str(signature.replace(parameters=plain, return_annotation=signature.empty))
    return f"{text} -> {f'Coroutine[{returned}]' if inspect.iscoroutinefunction(function) else returned}"


def _type(annotation: Any) -> str:
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


class _Shown:
    """What a signature shows in the place of a default."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _value(value: Any) -> str:
    if isinstance(value, enum.Flag) and (value.name is None or "|" in value.name):
        return f"{value.value:#x}"  # Python 3.11.2 has no name for several at once
    if isinstance(value, enum.Enum):
        return str(value.name)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, tuple | frozenset | list) and not value:
        return f"{type(value).__name__}()"
    if callable(value):
        return str(getattr(value, "__name__", "..."))
    return f"{type(value).__name__}(...)"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_doors import DOORS, PLUGINS

    text = "\n".join(surface([*DOORS, *PLUGINS])) + "\n"
    Path(__file__).with_suffix(".txt").write_text(text, encoding="utf-8")
