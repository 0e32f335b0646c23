"""`saslsspi accounts` and the accounts of others: PostgreSQL and Dovecot accept what it writes, and it reads theirs."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from interop.people import ALICE, BOB, JOERG, REALM, Person
from interop.postgresql import PostgreSql
from interop.require import program, require_peer
from pair import authenticate
from saslsspi import (
    Account,
    Client,
    MemoryAuthority,
    Password,
    Policy,
    Preparation,
    Question,
    Secret,
    Server,
    derive_scram_keys,
    format_scram_keys,
    parse_scram_keys,
)
from saslsspi.__main__ import main
from saslsspi.accounts import Authority, SqlAuthority
from saslsspi.accounts.stores.places import authority_at, store_at
from saslsspi.accounts.stores.stored import derived
from saslsspi.errors import LogonDenied, NoAuthenticatingAuthority

pytestmark = pytest.mark.interop
BOTH = [ALICE, JOERG]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with PostgreSql() as server:
        yield server


def accounts(*words: str) -> None:
    assert main(["accounts", *words]) == 0


def add(store: str, person: Person, tmp_path: Path, *more: str) -> None:
    file = tmp_path / "password"
    file.write_text(person.password, encoding="utf-8")
    accounts("add", store, person.name, "--password-file", str(file), *more)


def logs_on(authority: Authority, mechanism: str, person: Person, password: str = "") -> bool:
    credentials = Password(person.name, password or person.password)
    client = Client(mechanism, service="imap", host="h", credentials=credentials, external_ssf=256)
    server = Server(mechanism, service="imap", host="h", authority=authority, realm=REALM, external_ssf=256)
    said = client.start()
    try:
        while not server.done:
            reply = server.step(said)
            said = client.step(reply if isinstance(reply, bytes) else b"") if not server.done else None
    except LogonDenied:
        return False
    return True


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM"])
def test_accounts_in_postgresql_log_on(mechanism: str, postgresql: PostgreSql, tmp_path: Path) -> None:
    url = postgresql.url()
    if not list(store_at(url).read()):
        kinds = [word for kind in ("scram-sha-256", "ha1", "nt_hash") for word in ("--kind", kind)]
        for person in BOTH:
            add(url, person, tmp_path, "--realm", REALM, *kinds)
    engine = sqlalchemy.create_engine(url)
    for person in BOTH:
        assert logs_on(SqlAuthority(engine), mechanism, person)
        assert not logs_on(SqlAuthority(engine), mechanism, person, "wrong")
    assert not logs_on(SqlAuthority(engine), mechanism, BOB)
    engine.dispose()


def test_an_asyncio_engine_of_postgresql(postgresql: PostgreSql, tmp_path: Path) -> None:
    store_at(postgresql.url())
    if "zoe" not in [one.username for one in store_at(postgresql.url()).read()]:
        add(postgresql.url(), Person("zoe", "secret"), tmp_path)

    async def ask(name: str) -> Account | None:
        engine = create_async_engine(postgresql.url("asyncpg"))
        authority = SqlAuthority(engine, secrets={Secret.SCRAM_SHA_256})
        answer = authority.lookup(Question(name, "", (Secret.SCRAM_SHA_256,)))
        assert answer is not None
        assert not isinstance(answer, Account)
        found = await answer
        await engine.dispose()
        return found

    assert asyncio.run(ask("nobody")) is None
    zoe = asyncio.run(ask("zoe"))
    assert zoe is not None
    assert set(zoe.scram) == {"SHA-256"}


def test_postgresql_takes_the_roles_that_are_written(postgresql: PostgreSql, tmp_path: Path) -> None:
    store = str(tmp_path / "a.toml")
    for person in BOTH:
        add(store, person, tmp_path)
        postgresql.run(f'CREATE ROLE "{person.name}"')
    accounts("export", store, f"postgresql:{tmp_path / 'roles.sql'}")
    postgresql.run((tmp_path / "roles.sql").read_text(encoding="utf-8"))
    for person in BOTH:
        assert postgresql.logs_on(person.name, person.password)
        assert not postgresql.logs_on(person.name, "wrong")


def test_roles_of_postgresql_are_read(postgresql: PostgreSql, tmp_path: Path) -> None:
    postgresql.run('CREATE ROLE "it\'s a ""name""" LOGIN PASSWORD \'builder\'')
    (tmp_path / "roles.sql").write_text(postgresql.roles(), encoding="utf-8")
    accounts("import", f"toml:{tmp_path / 'a'}", f"postgresql:{tmp_path / 'roles.sql'}")
    person = Person('it\'s a "name"', BOB.password)
    assert logs_on(authority_at(f"toml:{tmp_path / 'a'}"), "SCRAM-SHA-256", person)
    assert not logs_on(authority_at(f"toml:{tmp_path / 'a'}"), "SCRAM-SHA-256", person, "wrong")


@pytest.mark.parametrize("kind", ["scram-sha-256", "scram-sha-1", "ha1"])
def test_dovecot_takes_the_passwd_file_that_is_written(kind: str, tmp_path: Path) -> None:
    require_peer("dovecot")
    store, written = f"toml:{tmp_path / 'a'}", tmp_path / "passwd"
    add(store, ALICE, tmp_path, "--kind", kind, *(["--realm", REALM] if kind == "ha1" else []))
    accounts("export", store, f"dovecot:{written}")
    user, _, secret = written.read_text().strip().partition(":")
    # A hash of a realm is verified with the name that it was made of.
    name = f"{user}@{REALM}" if kind == "ha1" else user
    for password, right in ((ALICE.password, True), ("wrong", False)):
        command = [program("doveadm"), "pw", "-t", secret, "-u", name, "-p", password]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ("verified" in done.stdout) is right, done.stderr


@pytest.mark.parametrize(
    ("scheme", "mechanisms"),
    [
        ("SCRAM-SHA-256", ["SCRAM-SHA-256", "PLAIN"]),
        ("SCRAM-SHA-1", ["SCRAM-SHA-1", "PLAIN"]),
        ("DIGEST-MD5", ["DIGEST-MD5"]),
        ("PLAIN", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM"]),
    ],
)
def test_passwd_files_of_dovecot_are_read(scheme: str, mechanisms: list[str], tmp_path: Path) -> None:
    require_peer("dovecot")
    command = [program("doveadm"), "pw", "-s", scheme, "-u", f"{ALICE.name}@{REALM}", "-p", ALICE.password]
    secret = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    file = tmp_path / "passwd"
    file.write_text(f"# users\n{ALICE.name}:{secret}:1000:1000::/home/alice::\n")
    accounts("import", f"toml:{tmp_path / 'a'}", f"dovecot:{file}", "--realm", REALM, *_all_kinds(scheme))
    for mechanism in mechanisms:
        assert logs_on(authority_at(f"toml:{tmp_path / 'a'}"), mechanism, ALICE)
        assert not logs_on(authority_at(f"toml:{tmp_path / 'a'}"), mechanism, ALICE, "wrong")


def _all_kinds(scheme: str) -> list[str]:
    if scheme != "PLAIN":
        return []
    return [word for kind in ("scram-sha-256", "ha1", "nt_hash") for word in ("--kind", kind)]


def test_sasldb_of_cyrus_is_read(tmp_path: Path) -> None:
    require_peer("saslpasswd2")
    require_peer("db_dump")
    command = ["saslpasswd2", "-p", "-c", "-f", str(tmp_path / "sasldb2"), "-u", REALM, ALICE.name]
    subprocess.run([shutil.which(command[0]) or command[0], *command[1:]], input=ALICE.password.encode(), check=True)
    accounts("import", f"toml:{tmp_path / 'a'}", f"sasldb:{tmp_path / 'sasldb2'}", "--kind", "scram-sha-256")
    assert logs_on(authority_at(f"toml:{tmp_path / 'a'}"), "SCRAM-SHA-256", ALICE)


def test_a_database_that_goes_away_is_no_wrong_password(tmp_path: Path) -> None:
    with PostgreSql() as server:
        url = server.url()
        add(url, ALICE, tmp_path)
        engine = sqlalchemy.create_engine(url)
        authority = SqlAuthority(engine)
        assert logs_on(authority, "SCRAM-SHA-256", ALICE)
    with pytest.raises(NoAuthenticatingAuthority) as caught:
        logs_on(authority, "SCRAM-SHA-256", ALICE)
    engine.dispose()
    assert server.password not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a\0b", "\0", "\ud800", "a\udfff", "x" * 5000, "'; DROP TABLE saslsspi_accounts; --", "%", "_"]
)
def test_a_name_that_no_database_takes_is_nobody_s_and_no_failure(name: str, postgresql: PostgreSql) -> None:
    store_at(postgresql.url()).write({"alice": derived("alice", "wonderland", iterations=4096)})
    engine = sqlalchemy.create_engine(postgresql.url(), poolclass=sqlalchemy.NullPool)
    query = "SELECT username, value AS scram_sha_256 FROM saslsspi_secrets WHERE username = :username OR :realm = 'no'"
    for authority in (SqlAuthority(engine), SqlAuthority(engine, query=query, secrets={Secret.SCRAM_SHA_256})):
        for any_case in (False, True):
            assert authority.lookup(Question(name, "r", (Secret.SCRAM_SHA_256,), any_case)) is None
            assert authority.lookup(Question("alice", name, (Secret.NT_HASH,), any_case)) is None
        assert authority.lookup(Question("alice", "r", (Secret.SCRAM_SHA_256,))) is not None


@pytest.mark.parametrize("password", ["pa\tss", "\U0001fae0pass", "\u06271", "\u2168", "gr\u00fc\u00dfe"])
def test_postgresql_and_we_make_the_same_of_a_password(password: str, postgresql: PostgreSql) -> None:
    """libpq and the server take as it is what SASLprep refuses."""
    keys = derive_scram_keys(password, iterations=4096, preparation=Preparation.TRIED)
    postgresql.run(f"DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD '{format_scram_keys(keys)}'")
    assert postgresql.logs_on("odd", password)
    assert not postgresql.logs_on("odd", password + "x")
    postgresql.run(f"ALTER ROLE odd PASSWORD '{password}'")
    theirs = postgresql.run("SELECT rolpassword FROM pg_authid WHERE rolname = 'odd'").strip()
    account = Account(username="odd", scram={"SHA-256": parse_scram_keys(theirs)})
    policy = Policy(password_preparation=Preparation.TRIED)
    client = Client("SCRAM-SHA-256", service="x", host="h", credentials=Password("odd", password), policy=policy)
    server = Server("SCRAM-SHA-256", service="x", host="h", authority=MemoryAuthority([account]), policy=policy)
    authenticate(client, server)
    assert server.done
