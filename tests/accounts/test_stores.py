"""Accounts as an administrator sees them: what a store keeps is what an authority answers, and what logs on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from saslsspi import Account, Client, Password, Question, SaslError, Secret, Server, derive_scram_keys
from saslsspi.accounts import Authority, SqlAuthority, derive_ha1, derive_nt_hash, format_scram_keys, user_hash
from saslsspi.accounts.stores.files import HtdigestStore, TomlStore
from saslsspi.accounts.stores.places import authority_at, form_of, store_at
from saslsspi.accounts.stores.sql import SqlStore
from saslsspi.accounts.stores.stored import KEYS, AccountStore, StoredAccount, derived
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.errors import InvalidParameter, LogonDenied, NoAuthenticatingAuthority

REALM = "example.test"
ALICE = derived("alice", "wonderland", kinds=KEYS.values(), realms=(REALM, "other.test"), domain="WORK")
HASHED = StoredAccount(username="bob", ha1={REALM: derive_ha1("bob", REALM, "builder")})


@pytest.fixture(params=["toml", "htdigest", "sql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    form = str(request.param)
    return f"sqlite:///{tmp_path / 'accounts.db'}" if form == "sql" else f"{form}:{tmp_path / 'accounts'}"


@pytest.fixture
def stored(place: str) -> StoredAccount:
    """What a store of the form has room for."""
    return HASHED if place.startswith("htdigest") else ALICE


def test_what_is_written_is_read(place: str, stored: StoredAccount) -> None:
    assert list(store_at(place).read()) == []
    store_at(place).write({stored.username: stored})
    assert list(store_at(place).read()) == [stored]
    store_at(place).write({"nobody": None})
    assert list(store_at(place).read()) == [stored]
    store_at(place).write({stored.username: None})
    assert list(store_at(place).read()) == []


def test_an_account_is_replaced_as_a_whole_and_others_stay(place: str, stored: StoredAccount) -> None:
    other = StoredAccount(username="zoe", ha1={REALM: bytes(16)})
    store_at(place).write({stored.username: stored, "zoe": other})
    changed = StoredAccount(username=stored.username, ha1={"new": bytes(range(16))})
    store_at(place).write({stored.username: changed})
    assert list(store_at(place).read()) == [changed, other]


def logs_on(authority: Authority, mechanism: str, password: str, user: str = "alice") -> bool:
    common = {"service": "imap", "host": "h", "external_ssf": 256}
    client = Client(mechanism, credentials=Password(user, password), **common)  # type: ignore[arg-type]  # each fits
    server = Server(mechanism, authority=authority, realm=REALM, **common)  # type: ignore[arg-type]  # as above
    said = client.start()
    try:
        while True:
            reply = server.step(said)
            assert not isinstance(reply, Account)
            if server.done:
                return True
            said = client.step(reply if isinstance(reply, bytes) else b"")
    except LogonDenied:
        return False


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "DIGEST-MD5", "NTLM"])
@pytest.mark.parametrize("form", ["toml", "sql"])
def test_keys_of_a_store_log_on_with_every_mechanism(mechanism: str, form: str, tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path / 'a.db'}" if form == "sql" else str(tmp_path / "a.toml")
    store_at(place).write({"alice": replace(ALICE, domain="")})
    assert logs_on(authority_at(place), mechanism, "wonderland")
    assert not logs_on(authority_at(place), mechanism, "looking-glass")
    assert not logs_on(authority_at(place), mechanism, "wonderland", "bob")


def test_a_server_offers_what_the_table_can_verify(tmp_path: Path) -> None:
    store = SqlStore(engine := sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}"))
    store.write({"alice": derived("alice", "wonderland", iterations=4096)})
    authority = SqlAuthority(engine)
    assert authority.secrets == {Secret.SCRAM_SHA_256}
    assert list(authority.iterations) == [4096]


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[tuple[SqlAuthority, list[str]]]:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    SqlStore(engine).write({"alice": ALICE})
    authority, statements = SqlAuthority(engine), []

    @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
    def count(connection: object, cursor: object, statement: str, *more: object) -> None:
        statements.append(statement)

    yield authority, statements
    engine.dispose()


@pytest.mark.parametrize(
    "question",
    [
        Question("{}", REALM, (Secret.HA1,)),
        Question("{}", "", (Secret.SCRAM_SHA_256,)),
        Question("{}", "WORK", (Secret.NT_HASH,), any_case=True),
        Question("{}", REALM, (Secret.HA1,), hashed_with="md5"),
        Question("{}", REALM, (Secret.PASSWORD,), hashed_with="sha256"),
    ],
)
def test_a_name_costs_one_statement_whether_it_is_known_or_not(
    question: Question, counted: tuple[SqlAuthority, list[str]]
) -> None:
    authority, statements = counted
    shown = []
    for user in ("alice", "nobody"):
        name = user_hash(user, REALM, question.hashed_with) if question.hashed_with else user
        shown.append(authority.lookup(question._replace(username=name)))
    assert len(statements) == 2
    assert statements[0] == statements[1]
    assert shown[1] is None
    assert (shown[0] is None) == (Secret.PASSWORD in question.secrets)


def test_who_is_meant(counted: tuple[SqlAuthority, list[str]]) -> None:
    authority = counted[0]

    def found(name: str, realm: str = "", kind: Secret = Secret.NT_HASH, *, any_case: bool = False) -> bool:
        return authority.lookup(Question(name, realm, (kind,), any_case)) is not None

    assert found("ALICE", any_case=True)
    assert not found("ALICE")
    assert found("alice", "work", any_case=True)
    assert not found("alice", "PLAY", any_case=True)
    assert found("alice", "other.test", Secret.HA1)
    assert not found("alice", "unheard.test", Secret.HA1)


def test_an_asyncio_engine_is_awaited(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    store_at(f"sqlite:///{file}").write({"alice": ALICE})

    async def main() -> str:
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
        authority = SqlAuthority(engine, secrets={Secret.SCRAM_SHA_256})
        client = Client("SCRAM-SHA-256", service="imap", host="h", credentials=Password("alice", "wonderland"))
        server = Server("SCRAM-SHA-256", service="imap", host="h", authority=authority)
        first = await beside_loop(server.step, client.start())
        last = await beside_loop(server.step, client.step(first if isinstance(first, bytes) else b""))
        client.succeed(last if isinstance(last, bytes) else None)
        await engine.dispose()
        return server.security.authcid

    assert asyncio.run(main()) == "alice"


OWN = """
SELECT name AS username, verifier AS scram_sha_256, nt AS nt_hash, roles AS groups FROM people WHERE name = :username
"""


@pytest.fixture
def people() -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE people (name TEXT, verifier TEXT, nt BLOB, roles TEXT)"))
        connection.execute(
            sqlalchemy.text("INSERT INTO people VALUES ('alice', :verifier, :nt, 'staff, admins')"),
            {"verifier": format_scram_keys(derive_scram_keys("wonderland")), "nt": derive_nt_hash("wonderland")},
        )
    return engine


def test_a_query_of_ones_own(people: sqlalchemy.Engine) -> None:
    authority = SqlAuthority(people, query=OWN, secrets={Secret.SCRAM_SHA_256, Secret.NT_HASH})
    for mechanism in ("SCRAM-SHA-256", "NTLM", "PLAIN"):
        assert logs_on(authority, mechanism, "wonderland")
        assert not logs_on(authority, mechanism, "looking-glass")
    account = authority.lookup(Question("alice", "", (Secret.NT_HASH,)))
    assert isinstance(account, Account)
    assert account.groups == ("staff", "admins")


@pytest.mark.parametrize("bad", ["SELECT 7 AS username, :username AS x", "SELECT :username AS username, 'zz' AS ha1"])
def test_a_row_that_is_no_account_says_which_column(bad: str, people: sqlalchemy.Engine) -> None:
    authority = SqlAuthority(people, query=bad, secrets={Secret.HA1})
    with pytest.raises(InvalidParameter, match=r"column (username|ha1)"):
        authority.lookup(Question("alice", "", (Secret.HA1,)))


@pytest.mark.parametrize("awaited", [False, True])
def test_a_pool_that_is_used_up_is_no_wrong_password_and_recovers(awaited: bool, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/accounts.db"
    store_at(url).write({"alice": ALICE})
    options = {"poolclass": None, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    asked = Question("alice", REALM, (Secret.SCRAM_SHA_256,))
    if not awaited:
        engine = sqlalchemy.create_engine(url, **options)
        authority = SqlAuthority(engine)
        with engine.connect(), pytest.raises(NoAuthenticatingAuthority, match="TimeoutError"):
            authority.lookup(asked)
        assert authority.lookup(asked) is not None
        engine.dispose()
        return

    async def run() -> None:
        engine = create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"), **options)
        authority = SqlAuthority(engine, secrets={Secret.SCRAM_SHA_256})
        async with engine.connect():
            with pytest.raises(NoAuthenticatingAuthority, match="TimeoutError"):
                await authority.lookup(asked)  # type: ignore[misc]  # it is to be awaited
        waiting = asyncio.ensure_future(authority.lookup(asked))  # type: ignore[arg-type]  # as above
        await asyncio.sleep(0)
        waiting.cancel()  # the connection that it has goes back
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await authority.lookup(asked) is not None  # type: ignore[misc]  # as above
        await engine.dispose()

    asyncio.run(run())


def test_a_database_that_is_away_tells_nothing_of_what_was_asked(people: sqlalchemy.Engine) -> None:
    authority = SqlAuthority(people, query="SELECT secret FROM nowhere WHERE x = :username", secrets={Secret.HA1})
    with pytest.raises(NoAuthenticatingAuthority, match="does not answer") as caught:
        authority.lookup(Question("alice-the-asked", "", (Secret.HA1,)))
    assert "alice-the-asked" not in str(caught.value)
    with pytest.raises(InvalidParameter):
        SqlAuthority(people, query="SELECT 1", secrets={Secret.HA1})
    with pytest.raises(InvalidParameter):
        SqlAuthority(people, query=OWN)
    with pytest.raises(InvalidParameter):
        SqlAuthority(create_async_engine("sqlite+aiosqlite://"))


def test_a_store_refuses_what_it_has_no_place_for_and_stays_as_it_was(tmp_path: Path) -> None:
    refusing: list[tuple[AccountStore, StoredAccount]] = [
        (HtdigestStore(tmp_path / "a"), ALICE),
        (HtdigestStore(tmp_path / "a"), StoredAccount(username="a:b", ha1={"r": bytes(16)})),
        (SqlStore(sqlalchemy.create_engine("sqlite://")), StoredAccount(username="a", password="b")),
    ]
    for store, account in refusing:
        with pytest.raises(InvalidParameter):
            store.write({account.username: account})
        assert list(store.read()) == []


def test_what_is_no_file_of_accounts_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[tool]\nx = 1\n")
    file.chmod(0o600)
    with pytest.raises(SaslError):
        TomlStore(file).write({"alice": ALICE})
    assert file.read_text() == "[tool]\nx = 1\n"


def test_comments_of_a_toml_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('# who may log on\n[accounts]\nbob = "builder" # of houses\nalice = "x"\n')
    file.chmod(0o600)
    TomlStore(file).write({"alice": ALICE})
    text = file.read_text()
    assert "# who may log on" in text
    assert "# of houses" in text
    assert "alice =" not in text
    assert [one.username for one in TomlStore(file).read()] == ["alice", "bob"]
    assert file.stat().st_mode & 0o077 == 0


def test_a_place_says_its_form() -> None:
    assert form_of("sqlite:///a") == ("sql", "sqlite:///a")
    assert form_of("a/b.toml") == ("toml", "a/b.toml")
    assert form_of("dovecot:a.toml") == ("dovecot", "a.toml")
    with pytest.raises(InvalidParameter, match=r"FORM:users"):
        form_of("users")
    with pytest.raises(InvalidParameter, match="as a whole"):
        store_at("dovecot:users")


def test_keys_are_of_the_password_and_kinds_are_checked() -> None:
    numbers = itertools.count()
    twice = [
        derived("a", "b", iterations=4096, random=lambda size: next(numbers).to_bytes(size)).scram["SHA-256"].salt
        for _ in range(2)
    ]
    assert twice[0] != twice[1]
    for wrong in ({"kinds": [Secret.HA1]}, {"realms": ["r"]}, {"kinds": []}, {"kinds": [Secret.PASSWORD]}):
        with pytest.raises(InvalidParameter):
            derived("a", "b", **wrong)  # type: ignore[arg-type]  # it is wrong on purpose
    assert "wonderland" not in repr(derived("a", "wonderland"))
