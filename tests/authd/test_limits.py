"""What `saslsspi authd` reads of limits and of what its workers share, and who waits for how long."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from saslsspi import InvalidParameter, MemoryAuthority, Policy, SaslError
from saslsspi.accounts import Throttle
from saslsspi.accounts.failures import MemoryFailures
from saslsspi.authd.exchanges import Door
from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.services.settings import ListenerSettings, ServiceLimits, ServiceSettings, read_settings

LISTENER = '[accounts]\nstores = ["sqlite:///a.db"]\n[[listener]]\nprotocol = "dovecot"\npath = "/run/a"\n'


def settings(tmp_path: Path, more: str) -> ServiceSettings:
    path = tmp_path / "authd.toml"
    path.write_text(LISTENER + more)
    return read_settings(path, ("dovecot",))


def test_limits_are_those_of_the_configuration(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        "[limits]\nfailure_delay = 3\nfailure_window = 60\nfailures_by_account = 2\nfailures_by_address = 9\n"
        "longest_delay = 8\n",
    )
    limits = read.throttle().limits
    assert (limits.delay, limits.window, limits.by_account, limits.by_address, limits.longest) == (3, 60, 2, 9, 8)


@pytest.mark.parametrize(
    "more",
    [
        "[limits]\nfailure_window = 0\n",
        "[limits]\nfailures_by_account = -1\n",
        '[shared]\nredis = "redis://127.0.0.1/0"\n',
        '[shared]\nsecret_file = "s"\n',
        '[shared]\nmemcached = "x"\n',
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(tmp_path: Path, more: str) -> None:
    with pytest.raises(InvalidParameter):
        settings(tmp_path, more)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"sixteen octets..")
    more = f'[shared]\nredis = "redis://127.0.0.1:1/0"\nsecret_file = "{secret}"\n'
    secret.chmod(0o644)
    with pytest.raises(NoAuthenticatingAuthority, match="others may read"):
        settings(tmp_path, more)
    secret.chmod(0o600)
    assert type(settings(tmp_path, more).throttle().failures).__name__ == "RedisFailures"
    secret.write_bytes(b"short")
    with pytest.raises(SaslError, match="at least 16"):
        settings(tmp_path, more).throttle()
    secret.unlink()
    with pytest.raises(NoAuthenticatingAuthority, match="shared"):
        settings(tmp_path, more).throttle()


KEY = "00" * 16


@pytest.mark.parametrize(("more", "refused"), [
    ("", False),
    (f'decoy_key = "{KEY}"', True),
    ('[shared]\nredis = "redis://:pw@127.0.0.1/0"\nsecret_file = "SECRET"', True),
    ('[shared]\nredis = "redis://127.0.0.1/0?password=pw"\nsecret_file = "SECRET"', True),
    ('[shared]\nredis = "redis://127.0.0.1/0"\nsecret_file = "SECRET"', False),
], ids=["nothing", "decoy key", "a password", "as a parameter", "no password"])  # fmt: skip
def test_a_configuration_with_a_secret_is_read_by_its_users_alone(more: str, refused: bool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"sixteen octets..")
    secret.chmod(0o600)
    path = tmp_path / "authd.toml"
    text = LISTENER.replace("[[listener]]", f"{more if more.startswith('decoy') else ''}\n[[listener]]")
    path.write_text(text + ("" if more.startswith("decoy") else more.replace("SECRET", str(secret))))
    path.chmod(0o644)
    with pytest.raises(NoAuthenticatingAuthority, match="others may read") if refused else contextlib.nullcontext():
        read_settings(path, ("dovecot",))
    path.chmod(0o640)
    read_settings(path, ("dovecot",))


@pytest.mark.parametrize(("url", "refused"), [
    ("postgresql+psycopg://mail@/mail", False),
    ("postgresql+psycopg://mail:pw@/mail", True),
    ("postgresql+psycopg://mail@/mail?password=pw", True),
    ("postgresql+psycopg://mail:$PASSWORD@/mail", False),
    ("sqlite:///FOLDER/people.db", True),
    ("sqlite+aiosqlite:///FOLDER/people.db?mode=ro", True),
    ("sqlite://", False),
])  # fmt: skip
def test_a_store_that_others_may_read_is_refused(url: str, refused: bool, tmp_path: Path) -> None:
    people = tmp_path / "people.db"
    people.write_bytes(b"")
    path = tmp_path / "authd.toml"
    path.write_text(LISTENER.replace("sqlite:///a.db", url.replace("FOLDER", str(tmp_path))))
    for mode in (0o644, 0o640):
        people.chmod(mode)
        path.chmod(mode)
        wrong = refused and mode == 0o644
        with pytest.raises(NoAuthenticatingAuthority, match="others may read") if wrong else contextlib.nullcontext():
            read_settings(path, ("dovecot",))


def test_who_goes_on_failing_waits_longer_than_the_first_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("saslsspi.authd.exchanges.asyncio.sleep", sleep)
    limits = ServiceLimits(failures_by_account=2)
    throttle = Throttle(MemoryFailures(), limits.failures(), draw=lambda: 0.5)
    listener = ListenerSettings(protocol="dovecot", path="/run/a", host=("localhost",))
    door = Door(listener, MemoryAuthority({"alice": "wonderland"}), Policy(), limits, throttle)

    async def refused(password: bytes) -> None:
        server = door.server("PLAIN", service="smtp", secured=True)
        try:
            await door.step(server, b"\0alice\0" + password, "192.0.2.7:1")
        except SaslError as error:
            await door.hold_back(error)

    for _ in range(5):
        asyncio.run(refused(b"wrong"))
    asyncio.run(refused(b"wonderland"))
    totals = [extra + first for extra, first in zip(waited[::2], waited[1::2], strict=True)]
    assert totals == [2, 2, 4, 8, 16]
