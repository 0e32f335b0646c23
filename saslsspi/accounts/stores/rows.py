"""An account from a row of somebody's own table."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Mapping
from typing import Final

from saslsspi.accounts.account import Account
from saslsspi.accounts.scram import parse_scram_keys
from saslsspi.errors import InvalidParameter

__all__ = ["account_of_row"]

_SCRAM: Final = ("scram_sha_1", "scram_sha_256", "scram_sha_512")


def account_of_row(row: Mapping[str, object]) -> Account:
    """Return the account that a row says; see SqlAuthority for the columns.

    Raises:
        InvalidParameter: a column's value is not what its name says; the text names both.
    """
    keys = [parse_scram_keys(str(row[name])) for name in _SCRAM if row.get(name) is not None]
    return Account(
        username=_text(row, "username"),
        realm=_text(row, "realm"),
        domain=_text(row, "domain"),
        password=None if row.get("password") is None else _text(row, "password"),
        ha1=_octets(row, "ha1"),
        nt_hash=_octets(row, "nt_hash"),
        scram={made.hash_name: made for made in keys},
        may_act_as=frozenset(_words(row.get("may_act_as"))),
        groups=tuple(_words(row.get("groups"))),
    )


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str | None) or (name == "username" and not value):
        raise InvalidParameter(f"the query's column {name} holds {type(value).__name__}, and text is meant")
    return value or ""


def _octets(row: Mapping[str, object], name: str) -> bytes | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        octets = unhexlify(value.strip()) if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        octets = b""
    if len(octets) != 16:
        raise InvalidParameter(f"the query's column {name} holds neither 16 octets nor 32 hex digits")
    return bytes(octets)


def _words(value: object) -> Iterable[str]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, Iterable):
        return map(str, value)
    raise InvalidParameter("may_act_as and groups are lists, or words with commas between")
