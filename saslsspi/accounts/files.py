"""Accounts in files: TOML, and the htdigest format of HTTP servers.

A file of hashes is as good as a file of passwords to who steals it (RFC 2831 section 3.9): one that others than its
owner may read is reported with a warning.
"""

from __future__ import annotations

import os
import stat
import tomllib
import warnings
from binascii import unhexlify
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from saslsspi.accounts.account import Account, Secret
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.scram import parse_scram_keys
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority

__all__ = ["FileAuthority", "HtdigestAuthority"]

_SECRETS: Final = ("password", "ha1", "nt_hash", "scram")
_FIELDS: Final = frozenset({"user", "realm", "domain", *_SECRETS, "may_act_as", "groups"})


class FileAuthority(MemoryAuthority):
    """Accounts in a TOML file, read once.

    Either a table `[accounts]` of `user = "password"`, or entries `[[account]]` with `user`, `realm`, `domain`, and
    one or more of `password`, `ha1` (32 hex digits, H(user:realm:password)), `nt_hash` (32 hex digits) and `scram` (a
    list of keys, one a hash, as format_scram_keys writes them); `may_act_as` and `groups` are lists.

    Args:
        kinds: Kinds of secrets of one's own, that entries may have under their names.

    Raises:
        NoAuthenticatingAuthority: the file cannot be read.
        InvalidParameter: it is not such a file; the text says which entry.
    """

    def __init__(self, path: str | os.PathLike[str], *, kinds: Iterable[Secret] = ()) -> None:
        own = {kind.name: kind for kind in kinds}
        try:
            table = tomllib.loads(_read(path))
        except tomllib.TOMLDecodeError as error:
            raise InvalidParameter(f"{os.fspath(path)} is not TOML: {error}") from None
        accounts = [_plain(name, password) for name, password in _mapping(table.get("accounts", {})).items()]
        accounts += [_entry(number, entry, own) for number, entry in enumerate(table.get("account", ()), 1)]
        if not {"accounts", "account"} & set(table):
            raise InvalidParameter(f"{os.fspath(path)} has neither [accounts] nor [[account]]")
        super().__init__(accounts)


class HtdigestAuthority(MemoryAuthority):
    """Accounts in a file of lines `user:realm:H(user:realm:password)`, as htdigest writes it; read once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        accounts = []
        for number, line in enumerate(_read(path).split("\n"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, _, rest = line.partition(":")
            realm, _, digits = rest.rpartition(":")
            accounts.append(Account(username=user, realm=realm, ha1=_hash(digits, f"line {number}")))
        super().__init__(accounts)


def _read(path: str | os.PathLike[str]) -> str:
    try:
        mode = Path(path).stat().st_mode
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoAuthenticatingAuthority(f"cannot read the accounts in {os.fspath(path)}: {error}") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        warnings.warn(f"{os.fspath(path)} holds secrets and others may read it: chmod 600", stacklevel=3)
    return text


def _plain(name: str, password: object) -> Account:
    if not isinstance(password, str):
        raise InvalidParameter(f"the password of {name} in [accounts] is not a string")
    return Account(username=name, password=password)


def _entry(number: int, entry: object, own: Mapping[str, Secret]) -> Account:
    where = f"[[account]] number {number}"
    fields = _mapping(entry)
    unknown = set(fields) - _FIELDS - set(own)
    if unknown or not isinstance(fields.get("user"), str):
        raise InvalidParameter(
            f"{where} needs user, and knows {', '.join(sorted({*_FIELDS, *own}))}; not {sorted(unknown)}"
        )
    if not set(fields) & {*_SECRETS, *own}:
        raise InvalidParameter(f"{where} needs one of {', '.join(_SECRETS)}")
    password = fields.get("password")
    if password is not None and not isinstance(password, str):
        raise InvalidParameter(f"the password of {where} is not a string")
    return Account(
        username=str(fields["user"]),
        realm=str(fields.get("realm", "")),
        domain=str(fields.get("domain", "")),
        password=password,
        ha1=_hash(fields["ha1"], where) if "ha1" in fields else None,
        nt_hash=_hash(fields["nt_hash"], where) if "nt_hash" in fields else None,
        scram={keys.hash_name: keys for keys in map(parse_scram_keys, _strings(fields.get("scram", []), where))},
        may_act_as=frozenset(_strings(fields.get("may_act_as", []), where)),
        groups=tuple(_strings(fields.get("groups", []), where)),
        other={kind: _own(kind, fields[name], where) for name, kind in own.items() if name in fields},
    )


def _own(kind: Secret, value: object, where: str) -> object:
    try:
        return kind.read(value)
    except ValueError:
        raise InvalidParameter(f"{kind.name} of {where} is not {kind.meaning}") from None


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidParameter("accounts are tables")
    return value


def _strings(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameter(f"may_act_as, groups and scram of {where} are lists of strings")
    return value


def _hash(digits: object, where: str) -> bytes:
    try:
        octets = unhexlify(str(digits).strip())
    except ValueError:
        octets = b""
    if len(octets) != 16:
        raise InvalidParameter(f"the hash of {where} is not 32 hex digits")
    return octets
