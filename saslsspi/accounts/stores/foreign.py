"""Accounts as other programs keep them, to be read and written as a whole.

Dovecot's passwd-file, the roles of PostgreSQL as `pg_dumpall --roles-only` writes them, LDIF with userPassword or
authPassword, and Cyrus SASL's sasldb2, which is read alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from binascii import Error, unhexlify
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from saslsspi.accounts.scram import format_scram_keys
from saslsspi.accounts.stores.files import merged
from saslsspi.accounts.stores.stored import StoredAccount
from saslsspi.accounts.stores.texts import dovecot_secret, fits_between_colons, postgresql_secret, read_secret
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, PackageNotFound

__all__ = ["FORMS", "Form"]

_ROLE: Final = re.compile(
    r"(?:CREATE|ALTER) (?:ROLE|USER) (?:\"((?:[^\"]|\"\")+)\"|([A-Za-z_][A-Za-z0-9_$]*)) [^';]*"
    r"PASSWORD '((?:[^']|'')*)'",
    re.I,
)
_LDIF: Final = re.compile(r"([A-Za-z][A-Za-z0-9;-]*):(:?) ?(.*)\Z")
_SAFE: Final = re.compile(r"(?![ :<])[\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )")
_NAME_ATTRIBUTES: Final = ("uid", "samaccountname", "cn")
_PLAIN_WORD: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")


class Form(NamedTuple):
    """A form of another program: how a file of it is read, and how accounts are written; None where they are not.

    Attributes:
        read: Takes the file, and the realm of hashes that do not say theirs.
        write: Takes accounts.
    """

    read: Callable[[Path, str], Iterable[StoredAccount]]
    write: Callable[[Iterable[StoredAccount]], Iterable[str]] | None


def _text(path: Path) -> str:
    """Return a file of lines, however they end."""
    return _whole(path).replace("\r\n", "\n")


def _whole(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise NoAuthenticatingAuthority(f"cannot read the accounts in {path}: {error}") from error


def _dovecot(path: Path, realm: str) -> Iterator[StoredAccount]:
    # user:password:uid:gid:(gecos):home:(shell):extra_fields; a realm is in the name, as user@realm.
    for line in _text(path).split("\n"):
        user, _, rest = line.partition(":")
        secret = rest.partition(":")[0]
        if user and not line.startswith("#") and secret:
            yield read_secret(user, user.partition("@")[2] or realm, secret)


def _write_dovecot(accounts: Iterable[StoredAccount]) -> Iterator[str]:
    for stored in accounts:
        secret = dovecot_secret(stored)
        if not fits_between_colons(stored.username) or not fits_between_colons(secret):
            raise InvalidParameter(
                f"a passwd-file has no place for a colon or the end of a line in the name or password of "
                f"{stored.username!r}"
            )
        yield f"{stored.username}:{secret}\n"


def _roles(path: Path, realm: str) -> Iterator[StoredAccount]:
    for found in _ROLE.finditer(_whole(path)):  # a name between quotes may hold what ends a line
        user = (found[1] or "").replace('""', '"') or found[2].lower()
        secret = found[3].replace("''", "'")
        if secret.startswith("SCRAM-"):
            yield read_secret(user, realm, secret)
        elif secret.startswith("md5"):
            raise InvalidParameter(f"the md5 hash of {user} is PostgreSQL's own, and no mechanism verifies with it")


def _write_roles(accounts: Iterable[StoredAccount]) -> Iterator[str]:
    for stored in accounts:
        user = stored.username
        if "\0" in user:
            raise InvalidParameter(f"PostgreSQL has no place for NUL in the name {user!r}")
        named = user if _PLAIN_WORD.match(user) else '"' + user.replace('"', '""') + '"'
        yield f"ALTER ROLE {named} WITH LOGIN PASSWORD '{postgresql_secret(stored)}';\n"


def _ldif(path: Path, realm: str) -> Iterator[StoredAccount]:
    for record in re.split(r"\n[ \t]*\n", _text(path).replace("\n ", "")):
        values: dict[str, list[str]] = {}
        for line in record.split("\n"):
            found = _LDIF.match(line)
            if found is not None:
                name = found[1].lower().partition(";")[0]
                values.setdefault(name, []).append(_ldif_value(found[2], found[3]))
        user = next((values[name][0] for name in _NAME_ATTRIBUTES if name in values), "")
        for secret in (*values.get("userpassword", ()), *values.get("authpassword", ())) if user else ():
            yield read_secret(user, realm, re.sub(r" *\$ *", "$", secret))  # RFC 3112 allows blanks there


def _ldif_value(coded: str, text: str) -> str:
    try:
        return b64decode(text, validate=True).decode() if coded else text
    except (Error, UnicodeDecodeError):
        raise InvalidParameter("a value of the LDIF file is not UTF-8 in base64") from None


def _write_ldif(accounts: Iterable[StoredAccount]) -> Iterator[str]:
    for stored in accounts:
        if not stored.scram:
            raise InvalidParameter(f"authPassword holds SCRAM keys (RFC 5803), and {stored.username} has none")
        # RFC 2849: what is no SAFE-STRING stands in base64, behind two colons.
        safe = _SAFE.fullmatch(stored.username) is not None
        yield f"uid: {stored.username}\n" if safe else f"uid:: {b64encode(stored.username.encode()).decode()}\n"
        yield from (f"authPassword: {format_scram_keys(keys)}\n" for keys in stored.scram.values())
        yield "\n"


def _sasldb(path: Path, realm: str) -> Iterator[StoredAccount]:
    program = next(filter(None, map(shutil.which, ("db_dump", "db5.3_dump"))), None)
    if program is None:
        raise PackageNotFound("sasldb2 is opened with Berkeley DB's db_dump: install db-util (Debian) or db-utils")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)  # noqa: S603  # a program of the path
    if done.returncode:
        raise NoAuthenticatingAuthority(f"cannot read the accounts in {path}: {done.stderr.strip()}")
    lines = [line.strip() for line in done.stdout.partition("HEADER=END")[2].splitlines() if line.startswith(" ")]
    for key, value in zip(lines[::2], lines[1::2], strict=False):
        # user, realm and property with zero octets between.
        user, _, rest = unhexlify(key).partition(b"\0")
        kind = rest.partition(b"\0")[2]  # behind the realm, which an account of a file does without
        if kind.rstrip(b"\0") == b"userPassword":
            name = user.decode(errors="replace")
            yield StoredAccount(username=name, password=unhexlify(value).decode(errors="replace"))


FORMS: Final[Mapping[str, Form]] = {
    "dovecot": Form(lambda path, realm: merged(_dovecot(path, realm)), _write_dovecot),
    "postgresql": Form(lambda path, realm: merged(_roles(path, realm)), _write_roles),
    "ldif": Form(lambda path, realm: merged(_ldif(path, realm)), _write_ldif),
    "sasldb": Form(lambda path, realm: merged(_sasldb(path, realm)), None),
}
"""The forms of others by name."""
