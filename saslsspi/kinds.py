"""Arguments of the wrong kind are refused where they are given, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, cast

from saslsspi.errors import InvalidParameter

__all__ = ["check_defaults", "check_kind", "kinds_checked", "texts"]


def check_kind(what: str, value: object, *permitted: type) -> None:
    """Raise InvalidParameter unless a value is of one of the classes; says what it is for."""
    if not isinstance(value, permitted):
        raise _refused(what, permitted, value)


def kinds_checked(**kinds: type | tuple[type, ...]) -> Callable[[object], None]:
    """Return what checks a record whose attributes must be of these classes, for its __post_init__."""
    given = tuple(kinds.items())

    def check(record: object) -> None:
        for name, permitted in given:
            if not isinstance(getattr(record, name), permitted):
                classes = permitted if isinstance(permitted, tuple) else (permitted,)
                raise _refused(name, classes, getattr(record, name))

    return check


def check_defaults(record: Any) -> None:
    """Check the fields of a frozen dataclass, each of which has a default that shows its kind.

    A number may be whole where the default is not, and a flag a plain number; a tuple is one of texts.

    Raises:
        InvalidParameter: a field is of another kind; says which, and what it takes.
    """
    for each in fields(record):
        value, default = getattr(record, each.name), each.default
        if default is None:
            continue
        permitted: tuple[type, ...]
        if isinstance(default, (bool, int, float)):
            permitted = (bool,) if isinstance(default, bool) else (int,) if isinstance(default, int) else (float, int)
            right = isinstance(value, permitted) and isinstance(value, bool) is isinstance(default, bool)
        else:
            permitted = (tuple, list) if isinstance(default, tuple) else (type(default),)
            right = isinstance(value, permitted)
        if not right:
            raise _refused(each.name, permitted, value)
        if isinstance(default, tuple):
            _check_texts(each.name, cast("Iterable[object]", value))


def texts(what: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one text, several or none as a tuple; raise InvalidParameter for anything else."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)):
        raise _refused(what, (str, list, tuple), value)
    _check_texts(what, value)
    return tuple(value)


def _check_texts(what: str, values: Iterable[object]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise _refused(f"an entry of {what}", (str,), value)


def _refused(what: str, permitted: tuple[type, ...], value: object) -> InvalidParameter:
    named = " or ".join("None" if kind is type(None) else kind.__name__ for kind in permitted)
    return InvalidParameter(f"{what} takes {named}, not {type(value).__name__}")
