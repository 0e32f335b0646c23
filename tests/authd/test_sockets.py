"""The sockets of the service: handed over by systemd, left behind by another one, or somebody's already."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from authd.test_service import KINDS, REALM, saslauthd
from interop.authd import Authd, Talk
from interop.require import require_peer
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived
from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.services.settings import ListenerSettings
from saslsspi.services.sockets import listening


@pytest.fixture
def store(tmp_path: Path) -> str:
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"alice": derived("alice", "wonderland", kinds=KINDS, realms=[REALM], iterations=4096)})
    return place


def test_sockets_of_systemd_are_taken_and_left_open(store: str, tmp_path: Path) -> None:
    service = Authd(tmp_path, [store])
    notify = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX) as first,
        socket.socket(socket.AF_UNIX) as second,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        for one, path in ((first, service.dovecot), (second, service.saslauthd)):
            one.bind(str(path))
            one.listen(16)
        manager.bind(str(notify))
        manager.settimeout(30)

        def as_systemd_does() -> None:
            for number, one in ((3, os.dup(first.fileno())), (4, os.dup(second.fileno()))):
                os.dup2(one, number)

        command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", sys.executable, "-m", "saslsspi", "authd"]
        process = subprocess.Popen(
            [*command, str(service.configuration)], preexec_fn=as_systemd_does, pass_fds=(3, 4),
            env=os.environ | {"LISTEN_FDS": "2", "NOTIFY_SOCKET": str(notify)}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert manager.recv(100) == b"READY=1"
            with Talk(service.dovecot) as talk:
                assert talk.plain("alice", "wonderland")[0] == "OK"
            assert saslauthd(service.saslauthd, b"alice", b"wonderland", b"imap", b"") == b"OK"
            process.send_signal(signal.SIGHUP)
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(100) == b"READY=1"
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
        assert service.dovecot.is_socket(), "systemd listens there for the next one"
        assert service.saslauthd.is_socket()


def test_a_socket_that_was_left_behind_is_in_nobody_s_way(store: str, tmp_path: Path) -> None:
    service = Authd(tmp_path, [store])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(service.dovecot))
    with service, Talk(service.dovecot) as talk:
        assert talk.plain("alice", "wonderland")[0] == "OK"


def test_a_socket_that_somebody_listens_on_is_his(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store]) as service:
        command = [sys.executable, "-m", "saslsspi", "authd", str(service.configuration)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0
        assert "somebody listens there already" in done.stderr
        with Talk(service.dovecot) as talk:
            assert talk.plain("alice", "wonderland")[0] == "OK"


@pytest.mark.parametrize("kind", ["file", "folder", "another's group"])
def test_what_is_no_socket_stays_where_it_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "auth"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    group = "no-such-group" if kind == "another's group" else ""
    with pytest.raises(NoAuthenticatingAuthority, match="cannot listen on"):
        listening([ListenerSettings(protocol="dovecot", path=str(path), group=group)])
    assert kind != "file" or path.read_text() == "mine"


@pytest.mark.interop
@pytest.mark.parametrize("room", ["authd", "gateway"])
def test_systemd_takes_the_units(room: str, tmp_path: Path) -> None:
    require_peer("systemd")
    paths = []
    for unit in (files(f"saslsspi.{room}") / "units").iterdir():
        text = unit.read_text()
        assert "ProtectSystem=strict" in text or unit.name.endswith(".socket")
        paths.append(tmp_path / unit.name)
        # Where the program stands on this machine.
        paths[-1].write_text(re.sub(r"^(Exec\w+=)saslsspi ", rf"\1{sys.executable} ", text, flags=re.MULTILINE))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "saslsspi" not in done.stdout + done.stderr, done.stdout + done.stderr
