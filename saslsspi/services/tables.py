"""Tables of TOML as the records of a service's configuration: every name and kind is checked, and errors say where."""

from __future__ import annotations

import enum
import os
import stat
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError

__all__ = ["check_mode", "holds_password", "listed", "read_table", "record", "value_like"]

_Record = TypeVar("_Record")
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


def read_table(path: Path, known: Collection[str]) -> dict[str, Any]:
    """Read a file of TOML whose tables and values at the top have these names.

    Raises:
        InvalidParameter: it is none, or has something else.
        NoAuthenticatingAuthority: it cannot be read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NoAuthenticatingAuthority(f"cannot read the configuration {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidParameter(f"{path} is not TOML: {error}") from None
    unknown = set(table) - set(known)
    if unknown:
        raise InvalidParameter(f"{path}: there is no {', '.join(sorted(unknown))}")
    return table


def check_mode(place: str) -> None:
    """Refuse a file of secrets that others on this machine may read; one that is not there is another's business.

    Raises:
        NoAuthenticatingAuthority: they may.
    """
    if os.name == "posix" and Path(place).exists() and Path(place).stat().st_mode & _OTHERS:
        raise NoAuthenticatingAuthority(f"{place} holds secrets and others may read it: chmod o= {place}")


def holds_password(url: str) -> bool:
    """Whether a password stands in a URL: behind the user, or as a parameter; not one that an environment has."""
    authority, _, parameters = url.partition("://")[2].partition("?")
    user, at, _ = authority.rpartition("@")
    secret = user.partition(":")[2] if at else ""
    named = [value for name, _, value in (one.partition("=") for one in parameters.split("&")) if name == "password"]
    return any(value and not value.startswith("$") for value in (secret, *named))


def listed(value: object, where: str) -> Sequence[Mapping[str, Any]]:
    """Return the tables of an array of tables, at least one.

    Raises:
        InvalidParameter: it is something else.
    """
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise InvalidParameter(f"there is no {where}")
    return value


def record(made: _Record, given: object, where: str) -> _Record:
    """Return a record with the fields that a table of TOML gives, and records inside it likewise.

    Args:
        made: The record with its defaults, whose kinds the values have to have.
        given: The table.
        where: Its name, for errors.

    Raises:
        InvalidParameter: a name or a value that cannot be.
    """
    if not isinstance(given, dict):
        raise InvalidParameter(f"{where} is a table")
    known = {each.name for each in fields(made)}  # type: ignore[arg-type]  # they are dataclasses
    for name, value in given.items():
        if name not in known:
            raise InvalidParameter(f"{where} has no {name!r}; it has {', '.join(sorted(known))}")
        old, place = getattr(made, name), f"{where} {name}"
        new = record(old, value, place) if is_dataclass(old) else value_like(old, value, place)
        try:
            made = replace(made, **{name: new})  # type: ignore[type-var]  # as above
        except SaslError as error:
            raise InvalidParameter(f"{place}: {error.text}") from None
    return made


def value_like(old: object, value: object, where: str) -> object:
    """Return a value of TOML as the kind that a field has.

    Args:
        old: The field's default; None stands for octets, which are in hex.
        value: The one that is given.
        where: The field's name, for errors.

    Raises:
        InvalidParameter: it cannot be that.
    """
    try:
        if isinstance(old, enum.Flag) and isinstance(value, list):
            made = type(old)(0)
            for name in value:
                made |= type(old)[str(name).upper().replace("-", "_")]
            return made
        if isinstance(old, enum.Enum) and isinstance(value, str):
            return type(old)[value.upper().replace("-", "_")]
        if isinstance(old, tuple):
            return (value,) if isinstance(value, str) else tuple(map(str, value if isinstance(value, list) else ()))
        if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if old is None and isinstance(value, str):
            return bytes.fromhex(value)
    except (KeyError, ValueError):
        known = f"; there are {', '.join(type(old).__members__)}" if isinstance(old, enum.Enum) else ""
        raise InvalidParameter(f"{where} cannot be {value!r}{known}") from None
    if type(value) is not type(old):
        raise InvalidParameter(f"{where} takes {type(old).__name__}, not {type(value).__name__}")
    return value
