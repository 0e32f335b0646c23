"""How a session is written down where several servers share it: versioned JSON, and nothing that could run.

    {"form": "http-digest", "version": 1, ...}

Octets are hex digits, an absent value is null, and an account is without its secrets: see docs/server.md. Whoever
reads a form or version that it does not know, or one field more or less, has no session, and the client is challenged
anew. The store that keeps it seals it, since it holds H(A1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from saslsspi.accounts.account import Account
from saslsspi.errors import InvalidToken

__all__ = ["SessionFields", "account_fields", "written"]

_VERSION: Final = 1
_LIMIT: Final = 65536


def written(form: str, fields: Mapping[str, object]) -> bytes:
    """Return a session's octets."""
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
    return json.dumps({"form": form, "version": _VERSION, **shown}, separators=(",", ":"), sort_keys=True).encode()


def account_fields(account: Account | None) -> object:
    """Return what is kept of an account: what results show, and no secret."""
    if account is None:
        return None
    return {
        "username": account.username,
        "realm": account.realm,
        "domain": account.domain,
        "may_act_as": sorted(account.may_act_as),
        "groups": list(account.groups),
    }


class SessionFields:
    """The fields of a session that was written down.

    Args:
        octets: As `written` made them.
        form: The form that is expected.
        names: The fields of this form, all of which are there and no other.

    Raises:
        InvalidToken: they are not such; so do all methods.
    """

    def __init__(self, octets: bytes, form: str, names: frozenset[str]) -> None:
        if len(octets) > _LIMIT:
            raise InvalidToken(f"a session of {len(octets)} octets, at most {_LIMIT} are taken")
        try:
            read = json.loads(octets)
        except (ValueError, RecursionError):
            raise InvalidToken("a session is not JSON") from None
        if not isinstance(read, dict) or (read.get("form"), read.get("version")) != (form, _VERSION):
            raise InvalidToken(f"this is no {form} session of version {_VERSION}")
        if read.keys() != names | {"form", "version"}:
            raise InvalidToken(f"a {form} session has other fields")
        self._read: dict[str, Any] = read

    def text(self, name: str) -> str:
        """Return a field that is text."""
        return _text(self._read[name])

    def number(self, name: str) -> int:
        """Return a field that is a number."""
        value = self._read[name]
        if type(value) is not int:
            raise InvalidToken("a field of a session is no number")
        return value

    def octets(self, name: str) -> bytes:
        """Return a field that is octets."""
        try:
            return bytes.fromhex(self.text(name))
        except ValueError:
            raise InvalidToken("a field of a session is no octets") from None

    def octets_or_none(self, name: str) -> bytes | None:
        """Return a field that is octets, or absent."""
        return None if self._read[name] is None else self.octets(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        return _texts(self._read[name])

    def account(self, name: str) -> Account | None:
        """Return what is kept of an account."""
        value = self._read[name]
        if value is None:
            return None
        if not isinstance(value, dict) or value.keys() != {"username", "realm", "domain", "may_act_as", "groups"}:
            raise InvalidToken("a field of a session is no account")
        return Account(
            username=_text(value["username"]),
            realm=_text(value["realm"]),
            domain=_text(value["domain"]),
            may_act_as=frozenset(_texts(value["may_act_as"])),
            groups=_texts(value["groups"]),
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidToken("a field of a session is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidToken("a field of a session is no list")
    return tuple(_text(each) for each in value)
