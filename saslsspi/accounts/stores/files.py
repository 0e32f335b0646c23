"""Accounts in files of ours as stores: TOML, whose comments and order stay, and htdigest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from saslsspi.accounts.account import Account, Secret
from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.scram import format_scram_keys
from saslsspi.accounts.stores.stored import StoredAccount
from saslsspi.accounts.stores.texts import fits_between_colons
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, PackageNotFound

__all__ = ["HtdigestStore", "TomlStore", "merged", "replace_file"]


def merged(entries: Iterable[StoredAccount]) -> Iterator[StoredAccount]:
    """Return the accounts of entries, those of one user together, in the order of names."""
    found: dict[str, StoredAccount] = {}
    for entry in entries:
        found[entry.username] = found[entry.username].joined(entry) if entry.username in found else entry
    yield from (found[name] for name in sorted(found))


def replace_file(path: Path, text: str) -> None:
    """Put a file in the place of another one at once; none but its owner may read it.

    Raises:
        NoAuthenticatingAuthority: it cannot be written.
    """
    try:
        handle, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 600
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        raise NoAuthenticatingAuthority(f"cannot write the accounts in {path}: {error}") from error


def _entries(path: Path, authority: Callable[[Path], MemoryAuthority]) -> Iterator[StoredAccount]:
    if not path.exists():
        return
    for account in authority(path).accounts:
        yield StoredAccount(
            username=account.username,
            domain=account.domain,
            password=account.password,
            ha1={} if account.ha1 is None else {account.realm: account.ha1},
            nt_hash=account.nt_hash,
            scram=account.scram,
            may_act_as=account.may_act_as,
            groups=account.groups,
        )


class TomlStore:
    """A TOML file as FileAuthority reads it: see AccountStore.

    Args:
        path: Made when something is written and it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[StoredAccount]:
        """See AccountStore.read."""
        yield from merged(_entries(self._path, FileAuthority))

    def write(self, changed: Mapping[str, StoredAccount | None]) -> None:
        """See AccountStore.write."""
        try:
            import tomlkit
        except ImportError:
            raise PackageNotFound("a TOML file is changed with tomlkit: pip install 'saslsspi[cli]'") from None
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        list(self.read())  # what is no file of accounts is not touched
        document: Any = tomlkit.parse(text)
        for name in changed:
            document.get("accounts", {}).pop(name, None)
        kept = [entry for entry in document.get("account", ()) if entry.get("user") not in changed]
        tables = tomlkit.aot()
        for entry in kept:
            tables.append(entry)
        for stored in changed.values():
            for account in stored.accounts if stored is not None else ():
                table = tomlkit.table()
                table.update(_fields(account))
                tables.append(table)
        document.pop("account", None)
        if len(tables):
            document.append("account", tables)
        elif "accounts" not in document:
            document["accounts"] = tomlkit.table()  # a file of nobody is still a file of accounts
        replace_file(self._path, tomlkit.dumps(document))


def _fields(account: Account) -> dict[str, object]:
    found: dict[str, object] = {
        "user": account.username,
        "realm": account.realm,
        "domain": account.domain,
        "password": account.password,
        "ha1": account.ha1.hex() if account.ha1 is not None else None,
        "nt_hash": account.nt_hash.hex() if account.nt_hash is not None else None,
        "scram": [format_scram_keys(keys) for keys in account.scram.values()],
        "may_act_as": sorted(account.may_act_as),
        "groups": list(account.groups),
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


class HtdigestStore:
    """A file of `user:realm:H(user:realm:password)`, as htdigest writes it: see AccountStore.

    Args:
        path: Made when something is written and it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[StoredAccount]:
        """See AccountStore.read."""
        yield from merged(_entries(self._path, HtdigestAuthority))

    def write(self, changed: Mapping[str, StoredAccount | None]) -> None:
        """See AccountStore.write."""
        accounts = {stored.username: stored for stored in self.read()}
        for name, stored in changed.items():
            if stored is None:
                accounts.pop(name, None)
                continue
            left = set(stored.kinds) - {Secret.HA1.name}
            if left or not all(map(fits_between_colons, (name, *stored.ha1))):
                kinds = ", ".join(stored.kinds) or "nothing"
                raise InvalidParameter(
                    f"htdigest holds ha1, of names and realms without a colon or an end of line; {name!r} has {kinds}"
                )
            accounts[name] = stored
        lines = [
            f"{stored.username}:{realm}:{octets.hex()}\n"
            for stored in accounts.values()
            for realm, octets in stored.ha1.items()
        ]
        replace_file(self._path, "".join(lines))
