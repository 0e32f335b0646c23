"""Where accounts are, as a person names it: a file of a form, or the URL of a database."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saslsspi.accounts.authority import Authority
from saslsspi.accounts.files import FileAuthority, HtdigestAuthority
from saslsspi.accounts.memory import MemoryAuthority
from saslsspi.accounts.stores.files import HtdigestStore, TomlStore
from saslsspi.accounts.stores.foreign import FORMS
from saslsspi.accounts.stores.stored import AccountStore
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, PackageNotFound

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["authority_at", "form_of", "store_at"]

_STORES: Final[Mapping[str, Callable[[Path], AccountStore]]] = {"toml": TomlStore, "htdigest": HtdigestStore}
_AUTHORITIES: Final[Mapping[str, Callable[[Path], MemoryAuthority]]] = {
    "toml": FileAuthority,
    "htdigest": HtdigestAuthority,
}
_DATABASE: Final = "sql"


def form_of(place: str) -> tuple[str, str]:
    """Return the form of a place, and the path or URL in it.

    Args:
        place: FORM:PATH, a path whose end tells (.toml, .htdigest), or a URL of SQLAlchemy
            (sqlite:///accounts.db, postgresql+psycopg://host/database).

    Raises:
        InvalidParameter: it is none of them.
    """
    if "://" in place:
        return _DATABASE, place
    form, colon, path = place.partition(":")
    if colon and form in {*_STORES, *FORMS}:
        return form, path
    by_end = next((form for form in _STORES if place.endswith(f".{form}")), None)
    if by_end is None:
        raise InvalidParameter(
            f"{place} does not say of which form it is: write FORM:{place} with one of "
            f"{', '.join([*_STORES, *FORMS])}, or the URL of a database (sqlite:///accounts.db)"
        )
    return by_end, place


def store_at(place: str) -> AccountStore:
    """Return the store at a place.

    Raises:
        InvalidParameter: there is none of that form: those of other programs are imported and exported as a whole.
        PackageNotFound: SQLAlchemy, or the database's driver, is not installed.
    """
    form, path = form_of(place)
    if form == _DATABASE:
        from saslsspi.accounts.stores.sql import SqlStore

        return SqlStore(_engine(path, kept=False))
    if form not in _STORES:
        raise InvalidParameter(f"accounts of {form} are imported and exported as a whole, and not changed in place")
    return _STORES[form](Path(path))


def authority_at(place: str) -> Authority:
    """Return an authority over the accounts at a place; a file is read once.

    Raises:
        InvalidParameter: it cannot be read as what it is said to be, or holds no account.
        NoAuthenticatingAuthority: it cannot be reached.
        PackageNotFound: something that is needed for it is not installed.
    """
    form, path = form_of(place)
    if form == _DATABASE:
        from saslsspi.accounts.stores.sql import SqlAuthority

        return SqlAuthority(_engine(path, kept=True))
    if form in _AUTHORITIES:
        return _AUTHORITIES[form](Path(path))
    accounts = [account for stored in FORMS[form].read(Path(path), "") for account in stored.accounts]
    if not accounts:
        raise NoAuthenticatingAuthority(f"{path} has no accounts")
    return MemoryAuthority(accounts)


def _engine(url: str, *, kept: bool) -> Engine:
    """Return the engine of a URL; an administrator's connections are not kept for the next command."""
    try:
        import sqlalchemy
    except ImportError:
        raise PackageNotFound("accounts in a database need SQLAlchemy: pip install 'saslsspi[sql]'") from None
    try:
        pool = None if kept else sqlalchemy.NullPool
        return sqlalchemy.create_engine(os.path.expandvars(url), poolclass=pool)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        raise InvalidParameter("the URL of the database is not one that SQLAlchemy knows") from None
    except ImportError as error:
        raise PackageNotFound(f"the database's driver is not installed: {error}") from None
