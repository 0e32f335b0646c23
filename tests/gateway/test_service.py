"""`saslsspi gateway` as a process: ready, many clients at once, a new configuration, an end that leaves nothing."""

from __future__ import annotations

import contextlib
import fcntl
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
from interop.gateway import GatewayProcess
from saslsspi import Policy
from saslsspi.testbed.ldap.server import LdapServer, Limits
from testbed.ldap_fixtures import ldap_server
from testbed.raw_ldap import BAD_CREDENTIALS, SUCCESS, RawLdap, extended, simple_bind


@pytest.fixture
def directory() -> Iterator[LdapServer]:
    with ldap_server(policy=Policy(min_ssf=56), limits=Limits(connections=1000)) as server:
        yield server


def in_front_of(directory: LdapServer | None) -> str:
    port = 1 if directory is None else directory.port
    return f'servers = ["localhost:{port}"]\nmechanisms = ["DIGEST-MD5"]\n'


def test_many_clients_at_once_and_nothing_is_left_of_them(directory: LdapServer, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, in_front_of(directory)) as gateway, contextlib.ExitStack() as stack:
        (worker,) = gateway.workers
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
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with GatewayProcess(tmp_path, in_front_of(directory), workers=2, environment=environment) as gateway:
            assert manager.recv(100) == b"READY=1"
            assert len(gateway.workers) == 2
            with RawLdap(gateway.port) as client:
                assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
                gateway.signal(signal.SIGTERM)
                assert manager.recv(100) == b"STOPPING=1"
                assert client.receive() is not None  # a notice
                assert client.ended()
            assert gateway.process.wait(30) == 0
            assert not gateway.path.exists()
    wait_until(lambda: directory.connections == 0)


def test_a_new_configuration_is_for_who_comes_next_and_a_broken_one_for_nobody(
    directory: LdapServer, tmp_path: Path
) -> None:
    with GatewayProcess(tmp_path, in_front_of(None)) as gateway:
        gateway.write(authority=in_front_of(directory))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: code(gateway) == SUCCESS)
        gateway.write(limits="nonsense = 1")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: "the configuration stays as it was" in gateway.log)
        assert code(gateway) == SUCCESS
        assert code(gateway, "wrong") == BAD_CREDENTIALS


def code(gateway: GatewayProcess, password: str = "wonderland") -> int | None:
    try:
        with RawLdap(gateway.port) as client:
            return client.ask(simple_bind("alice", password)).code
    except (OSError, AssertionError):
        return None


def test_a_worker_that_dies_takes_its_own_clients_alone(directory: LdapServer, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, in_front_of(directory), workers=2) as gateway, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawLdap(gateway.port)) for _ in range(40)]
        for client in clients:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        os.kill(gateway.workers[0], signal.SIGKILL)
        wait_until(lambda: "another one is started" in gateway.log)
        alive = 0
        for client in clients:
            with contextlib.suppress(OSError, AssertionError):
                alive += client.ask(extended("1.3.6.1.4.1.4203.1.11.3")).value == b"u:alice"
        assert alive == directory.connections
        wait_until(lambda: code(gateway) == SUCCESS)


_AS_SYSTEMD = """\
import os, sys
for at, given in enumerate(sys.argv[1].split(",")):
    os.dup2(int(given), 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(at + 1))
os.execv(sys.executable, [sys.executable, "-m", "saslsspi", "gateway", *sys.argv[2:]])
"""


@pytest.mark.parametrize(("address", "served"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_sockets_that_systemd_opens(directory: LdapServer, tmp_path: Path, address: str, served: bool) -> None:
    gateway = GatewayProcess(tmp_path, in_front_of(directory))
    with socket.create_server((address, gateway.port)) as first, socket.socket(socket.AF_UNIX) as second:
        second.bind(str(gateway.path))
        second.listen()
        # What stands at 3 and 4 is not to be overwritten before it is copied.
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 10) for one in (first, second)]
        command = [sys.executable, "-c", _AS_SYSTEMD, ",".join(map(str, high)), str(gateway.file)]
        with subprocess.Popen(command, pass_fds=high, stderr=subprocess.PIPE) as process:
            try:
                if served:
                    wait_until(lambda: code(gateway) == SUCCESS)
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(30) == 0
                else:
                    assert process.wait(30) != 0
                    assert process.stderr is not None
                    assert b"in clear" in process.stderr.read()
            finally:
                process.kill()
        for number in high:
            os.close(number)
