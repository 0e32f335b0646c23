"""`saslsspi gateway` as a process: ready, many clients at once, a new configuration, an end that leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.world import open_files
from interop.daemon import free_port, running
from saslsspi import Policy
from saslsspi.testbed.ldap.server import LdapServer, Limits
from testbed.ldap_fixtures import ldap_server
from testbed.raw_ldap import BAD_CREDENTIALS, SUCCESS, RawLdap, extended, simple_bind

CONFIGURATION = """\
workers = {workers}
[[authority]]
name = "there"
servers = ["localhost:{there}"]
mechanisms = ["DIGEST-MD5"]
{more}
[limits]
failure_delay = 0
longest_delay = 0
[[listener]]
protocol = "ldap"
port = {port}
[[listener]]
protocol = "ldap"
path = "{folder}/ldap"
"""


@pytest.fixture
def directory() -> Iterator[LdapServer]:
    with ldap_server(policy=Policy(min_ssf=56), limits=Limits(connections=1000)) as server:
        yield server


class Process:
    """A gateway as a process, with a configuration in a folder."""

    def __init__(self, folder: Path, there: int, workers: int = 1, environment: dict[str, str] | None = None) -> None:
        self.port, self.folder = free_port(), folder
        self.file = folder / "gateway.toml"
        self.values = {"there": there, "port": self.port, "folder": folder, "workers": workers, "more": ""}
        self.environment = {**os.environ, **(environment or {})}
        self.write()

    def write(self, **changes: object) -> None:
        self.file.write_text(CONFIGURATION.format(**{**self.values, **changes}))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "saslsspi", "gateway", str(self.file), "--verbose"]
        with running(command, log=self.folder / "log", answers=self.answers, environment=self.environment) as process:
            yield process

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def test_many_clients_at_once_and_nothing_is_left_of_them(directory: LdapServer, tmp_path: Path) -> None:
    gateway = Process(tmp_path, directory.port)
    with gateway.running() as process, contextlib.ExitStack() as stack:
        (worker,) = workers_of(process)
        with RawLdap(gateway.port) as first:
            assert first.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        wait_until(lambda: directory.connections == 0)
        before = open_files(worker)
        clients = [stack.enter_context(RawLdap(gateway.port)) for _ in range(120)]

        def log_on(client: RawLdap) -> str | None:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
            return client.who_am_i()

        with ThreadPoolExecutor(30) as pool:
            assert set(pool.map(log_on, clients)) == {"u:alice"}
        assert directory.connections == len(clients)
        stack.close()
        wait_until(lambda: directory.connections == 0)
        wait_until(lambda: open_files(worker) == before)
        assert "Traceback" not in gateway.log


def wait_until(holds: object) -> None:
    deadline = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_says_that_it_is_ready_and_that_it_ends(directory: LdapServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        gateway = Process(tmp_path, directory.port, 2, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        with gateway.running() as process:
            assert manager.recv(100) == b"READY=1"
            assert len(workers_of(process)) == 2
            with RawLdap(gateway.port) as client:
                assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
                process.send_signal(signal.SIGTERM)
                assert manager.recv(100) == b"STOPPING=1"
                assert client.receive() is not None  # a notice
                assert client.ended()
            assert process.wait(30) == 0
            assert not (tmp_path / "ldap").exists()
    wait_until(lambda: directory.connections == 0)


def test_a_new_configuration_is_for_who_comes_next_and_a_broken_one_for_nobody(
    directory: LdapServer, tmp_path: Path
) -> None:
    gateway = Process(tmp_path, 1)
    with gateway.running() as process:
        gateway.write(there=directory.port)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: code(gateway) == SUCCESS)
        gateway.write(more="nonsense = 1")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the configuration stays as it was" in gateway.log)
        assert code(gateway) == SUCCESS
        assert code(gateway, "wrong") == BAD_CREDENTIALS


def code(gateway: Process, password: str = "wonderland") -> int | None:
    try:
        with RawLdap(gateway.port) as client:
            return client.ask(simple_bind("alice", password)).code
    except (OSError, AssertionError):
        return None


def test_a_worker_that_dies_takes_its_own_clients_alone(directory: LdapServer, tmp_path: Path) -> None:
    gateway = Process(tmp_path, directory.port, 2)
    with gateway.running() as process, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawLdap(gateway.port)) for _ in range(40)]
        for client in clients:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        os.kill(workers_of(process)[0], signal.SIGKILL)
        wait_until(lambda: "another one is started" in gateway.log)
        alive = 0
        for client in clients:
            with contextlib.suppress(OSError, AssertionError):
                alive += client.ask(extended("1.3.6.1.4.1.4203.1.11.3")).value == b"u:alice"
        assert alive == directory.connections
        wait_until(lambda: code(gateway) == SUCCESS)
