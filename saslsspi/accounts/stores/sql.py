"""Accounts in SQL, by SQLAlchemy 2: the authority that acceptors ask, and the table of ours as a store.

The table holds keys and no passwords. A user is a row of saslsspi_accounts; each key of the user is a row of
saslsspi_secrets, so that a user has HA1 of several realms and SCRAM keys of several hashes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from saslsspi.accounts.account import Account, Question, Secret, user_hash
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.fitting import fitting
from saslsspi.accounts.scram import format_scram_keys, parse_scram_keys
from saslsspi.accounts.stores.rows import account_of_row
from saslsspi.accounts.stores.stored import StoredAccount
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority

__all__ = ["SqlAuthority", "SqlStore"]

_TABLES: Final = sql.MetaData()
_USERS: Final = sql.Table(
    "saslsspi_accounts",
    _TABLES,
    sql.Column("username", sql.String(255), primary_key=True),
    sql.Column("folded", sql.String(255), nullable=False, index=True),
    sql.Column("domain", sql.String(255), nullable=False, default=""),
    sql.Column("may_act_as", sql.JSON, nullable=False, default=list),
    sql.Column("groups", sql.JSON, nullable=False, default=list),
)
_SECRETS: Final = sql.Table(
    "saslsspi_secrets",
    _TABLES,
    sql.Column("username", sql.ForeignKey(_USERS.c.username, ondelete="CASCADE"), primary_key=True),
    sql.Column("kind", sql.String(32), primary_key=True),
    sql.Column("realm", sql.String(255), primary_key=True, default=""),
    sql.Column("value", sql.Text, nullable=False),
    # H(user:realm) of MD5, by which HTTP Digest hides a name: see Question.hashed_with.
    sql.Column("userhash", sql.String(32), index=True),
)
_OURS: Final = sql.select(_USERS, _SECRETS.c.kind, _SECRETS.c.realm, _SECRETS.c.value).select_from(
    _USERS.outerjoin(_SECRETS)
)


_NOBODY: Final = "\x7f"  # no name that SASLprep or an administrator lets pass


@contextmanager
def _answering() -> Iterator[None]:
    """Make what the database says an error of ours; its text has neither the statement nor what was bound to it."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise NoAuthenticatingAuthority(
            f"the database of the accounts does not answer: {type(cause).__name__}: {str(cause).partition('(')[0]}"
        ) from error


class SqlAuthority(Authority):
    """Accounts in a database. Safe under threads and tasks, as the engine is.

    Without a query it asks the table that SqlStore (and `saslsspi accounts`) fills. With one of your own it takes the
    first row that serves the realm as the user: columns `username`, `realm`, `domain`, `password`, `ha1` and `nt_hash`
    (16 octets, or hex), `scram_sha_1`, `scram_sha_256`, `scram_sha_512` (as format_scram_keys writes them),
    `may_act_as` and `groups` (lists, or words with commas between); those that it lacks are empty.

    Args:
        engine: What create_engine or create_async_engine made. With the second, lookup is to be awaited: it serves
            where there is an event loop.
        query: SQL with the parameters :username, and if it needs them :realm and :folded (the name in lower case), for
            example "SELECT name AS username, scram AS scram_sha_256 FROM users WHERE name = :username".
        secrets: The kinds of secrets that rows have. None, with a blocking engine and the table of ours, looks which
            ones are there: a server that is made then offers what can succeed.
        iterations: The iteration counts of stored SCRAM keys; looked up in the same way.
        decoy_key: The secret behind what unknown users are shown; servers behind one name share it.

    Raises:
        InvalidParameter: a query that does not ask for :username, or no secrets where they cannot be looked up.
        NoAuthenticatingAuthority: they were to be looked up, and the database does not answer.
    """

    def __init__(
        self,
        engine: sql.Engine | AsyncEngine,
        *,
        query: str | None = None,
        secrets: Iterable[Secret] | None = None,
        iterations: Sequence[int] = (),
        decoy_key: bytes | None = None,
    ) -> None:
        if query is not None and ":username" not in query:
            raise InvalidParameter("a query of your own asks for :username")
        self._engine = engine
        self._query = query
        if secrets is not None:
            self.secrets = frozenset(secrets)
            self.iterations = iterations
        elif query is None and isinstance(engine, sql.Engine):
            held = [account for stored in SqlStore(engine).read() for account in stored.accounts]
            self.secrets = frozenset[Secret]().union(*(account.secrets for account in held)) - {Secret.EXISTENCE}
            self.iterations = iterations or sorted({keys.iterations for one in held for keys in one.scram.values()})
        else:
            raise InvalidParameter(
                "say with secrets=... which kinds of secrets the rows have: they are not looked up here"
            )
        self.decoy_key = decoy_key

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """See Authority.lookup: one statement for every name, known or not."""
        if not (_storable(question.username) and _storable(question.realm)):
            # Nobody has it. It costs what an unknown name costs, and is no failure of the database.
            question = question._replace(username=_NOBODY, realm="")
        statement = self._own(question) if self._query is not None else _ours(question)
        if isinstance(self._engine, AsyncEngine):
            return self._awaited(self._engine, statement, question)
        with _answering(), self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return self._account(rows, question)

    async def _awaited(self, engine: AsyncEngine, statement: sql.Executable, question: Question) -> Account | None:
        with _answering():
            async with engine.connect() as connection:
                rows = (await connection.execute(statement)).mappings().all()
        return self._account(rows, question)

    def _own(self, question: Question) -> sql.Executable:
        values = {"username": question.username, "realm": question.realm, "folded": question.username.lower()}
        asked = sql.text(self._query or "")
        return asked.bindparams(**{name: value for name, value in values.items() if name in asked._bindparams})

    def _account(self, rows: Sequence[Mapping[Any, Any]], question: Question) -> Account | None:
        if self._query is not None:
            return fitting(
                [account_of_row({str(name): value for name, value in row.items()}) for row in rows], question
            )
        # A row that the database found need not be the user: its collation may have been more generous than we are.
        found = (stored for stored in _stored(rows) if question.means(stored.username))
        return fitting([account for stored in found for account in stored.accounts], question)


def _storable(text: str) -> bool:
    """Whether databases take a text: PostgreSQL has no NUL, and a lone surrogate is no UTF-8."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _ours(question: Question) -> sql.Executable:
    if question.hashed_with:
        # Only MD5's is kept: of a name that was hashed otherwise there is none here, and the question costs the same.
        hashed = question.username if question.hashed_with == "md5" else ""
        return _OURS.where(sql.and_(_SECRETS.c.userhash == hashed, _SECRETS.c.realm == question.realm))
    if question.any_case:
        return _OURS.where(_USERS.c.folded == question.username.casefold())
    return _OURS.where(_USERS.c.username == question.username)


def _stored(rows: Iterable[Mapping[Any, Any]]) -> list[StoredAccount]:
    """Return the accounts that rows of the two tables say, those of one user together."""
    found: dict[str, StoredAccount] = {}
    for row in rows:
        name = row["username"]
        common = StoredAccount(
            username=name,
            domain=row["domain"],
            may_act_as=frozenset(row["may_act_as"]),
            groups=tuple(row["groups"]),
        )
        one = common.joined(_secret_of(row)) if row["kind"] else common
        found[name] = found[name].joined(one) if name in found else one
    return list(found.values())


def _secret_of(row: Mapping[Any, Any]) -> StoredAccount:
    name, kind, value = row["username"], row["kind"], row["value"]
    if kind == Secret.HA1.name:
        return StoredAccount(username=name, ha1={row["realm"]: bytes.fromhex(value)})
    if kind == Secret.NT_HASH.name:
        return StoredAccount(username=name, nt_hash=bytes.fromhex(value))
    keys = parse_scram_keys(value)
    return StoredAccount(username=name, scram={keys.hash_name: keys})


def _rows_of(stored: StoredAccount) -> Iterator[dict[str, str | None]]:
    for name, keys in stored.scram.items():
        yield _row(stored, f"scram-{name.lower()}", format_scram_keys(keys))
    if stored.nt_hash is not None:
        yield _row(stored, Secret.NT_HASH.name, stored.nt_hash.hex())
    for realm, octets in stored.ha1.items():
        yield _row(stored, Secret.HA1.name, octets.hex(), realm, user_hash(stored.username, realm, "md5"))


def _row(
    stored: StoredAccount, kind: str, value: str, realm: str = "", userhash: str | None = None
) -> dict[str, str | None]:
    return {"username": stored.username, "kind": kind, "realm": realm, "value": value, "userhash": userhash}


class SqlStore:
    """The table of ours: see AccountStore.

    Args:
        engine: What sqlalchemy.create_engine made; the tables are made where they are missing.
    """

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine

    def read(self) -> Iterator[StoredAccount]:
        """See AccountStore.read."""
        with _answering(), self._engine.connect() as connection:
            if not sql.inspect(connection).has_table(_USERS.name):
                return
            rows = connection.execute(_OURS.order_by(_USERS.c.username)).mappings().all()
        yield from _stored(rows)

    def write(self, changed: Mapping[str, StoredAccount | None]) -> None:
        """See AccountStore.write."""
        for name, stored in changed.items():
            if stored is not None and stored.password is not None:
                raise InvalidParameter(f"the table keeps keys and no passwords: derive keys for {name} first")
        with _answering(), self._engine.begin() as connection:
            _TABLES.create_all(connection)
            for name, stored in changed.items():
                connection.execute(sql.delete(_SECRETS).where(_SECRETS.c.username == name))
                connection.execute(sql.delete(_USERS).where(_USERS.c.username == name))
                if stored is not None:
                    connection.execute(sql.insert(_USERS), _user_row(stored))
                    for row in _rows_of(stored):
                        connection.execute(sql.insert(_SECRETS), row)


def _user_row(stored: StoredAccount) -> dict[str, object]:
    return {
        "username": stored.username,
        "folded": stored.username.casefold(),
        "domain": stored.domain,
        "may_act_as": sorted(stored.may_act_as),
        "groups": list(stored.groups),
    }
