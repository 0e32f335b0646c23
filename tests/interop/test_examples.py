"""The examples of examples/, each as the process that its first lines show."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from interop.authd import Talk
from interop.daemon import free_port, running
from interop.postfix import Postfix
from interop.postgresql import PostgreSql
from interop.redis_server import RedisServer
from interop.require import give_up, program, require_peer
from saslsspi import Client, LogonDenied, Password, Policy
from saslsspi.adapters.smtp import SaslSMTP

pytestmark = pytest.mark.interop
EXAMPLES = Path(__file__).parents[2] / "examples"


def add_alice(store: str, folder: Path, *options: str) -> None:
    (folder / "password").write_text("wonderland\n")
    command = [sys.executable, "-m", "saslsspi", "accounts", "add", store, "alice", *options]
    subprocess.run([*command, "--password-file", str(folder / "password")], check=True, capture_output=True)


@contextlib.contextmanager
def example(name: str, *arguments: str) -> Iterator[tuple[int, list[str]]]:
    """Run one that says its port in its first line; yields the port and what it writes into its log."""
    command = [sys.executable, str(EXAMPLES / name), *arguments, "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []
    reading = threading.Thread(target=log.extend, args=(process.stderr,))
    reading.start()
    try:
        said = process.stdout.readline()
        assert said, log
        yield int(said.rpartition(":")[2]), log
    finally:
        process.terminate()
        process.wait()
        reading.join()
        process.stdout.close()
        process.stderr.close()


class NoteClient:
    """A client of the line server's protocol."""

    def __init__(self, port: int, header: bytes = b"") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.sendall(header)
        self._lines = self._socket.makefile("rb")
        self._layer: Any = None
        self.greeting = self._lines.readline()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def log_on(self, mechanism: str, password: str = "wonderland") -> bytes:
        client = Client(
            mechanism, service="notes", host="localhost", credentials=Password("alice", password), policy=Policy()
        )
        message, verb = client.start(), f"AUTH {mechanism}".encode()
        self._say(verb if message is None else verb + b" " + b64encode(message))
        while (line := self._lines.readline()).startswith(b"+ "):
            self._say(b64encode(client.step(b64decode(line[2:])) or b""))
        if line.startswith(b"OK"):
            client.succeed(b64decode(line.split()[2]) if len(line.split()) > 2 else None)
            self._layer = client.layer
        return line

    def ask(self, command: bytes) -> bytes:
        if self._layer is None:
            self._say(command)
            return self._lines.readline()
        self._socket.sendall(self._layer.wrap(command + b"\r\n"))
        text = b""
        while not text.endswith(b"\n"):
            text += self._layer.unwrap(self._socket.recv(4096))
        return text

    def _say(self, line: bytes) -> None:
        self._socket.sendall(line + b"\r\n")


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("accounts")
    store = f"sqlite:///{folder}/accounts.db"
    add_alice(store, folder, "--realm", "notes.example", "--realm", "shop.example")
    return store


@pytest.mark.parametrize(("mechanism", "protected"), [("DIGEST-MD5", True), ("SCRAM-SHA-256", False)])
def test_the_line_server_keeps_a_note_under_a_layer(accounts: str, mechanism: str, protected: bool) -> None:
    with example("line_server.py", accounts) as (port, _), contextlib.closing(NoteClient(port)) as client:
        assert client.greeting == b"NOTES SCRAM-SHA-256 DIGEST-MD5\r\n"
        assert client.log_on(mechanism, "looking-glass") == b"NO\r\n"
        assert client.log_on(mechanism).startswith(b"OK alice")
        assert (client._layer is not None) == protected
        assert client.ask(b"PUT buy tea") == b"OK\r\n"
        assert client.ask(b"GET") == b"OK buy tea\r\n"
        assert client.ask(b"SING") == b"NO\r\n"


V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 49152 7000\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24" + bytes.fromhex("20010db8" + "0" * 23 + "7") + bytes(15) + b"\x01"
    + (49152).to_bytes(2) + (7000).to_bytes(2)
)  # fmt: skip


@pytest.mark.parametrize(
    ("header", "address"),
    [(V1, "192.0.2.7:49152"), (V2, "2001:db8::7:49152"), (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1:")],
    ids=["version 1", "version 2", "the proxy's own check"],
)
def test_behind_a_proxy_the_audit_log_has_the_client_s_address(accounts: str, header: bytes, address: str) -> None:
    with example("behind_proxy.py", accounts) as (port, log):
        with contextlib.closing(NoteClient(port, header)) as client:
            assert client.log_on("SCRAM-SHA-256", "looking-glass") == b"NO\r\n"
        with contextlib.closing(NoteClient(port, b"AUTH SCRAM-SHA-256\r\n")) as client:
            assert client.greeting == b"", "whoever is not the proxy is let go"
    assert any("alice" in line and "was refused" in line and f"from '{address}" in line for line in log), log


def test_behind_a_real_proxy(accounts: str, tmp_path: Path) -> None:
    require_peer("haproxy")
    with example("behind_proxy.py", accounts) as (port, log):
        front = free_port()
        (tmp_path / "haproxy.cfg").write_text(
            f"defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
            f"listen notes\n bind 127.0.0.1:{front}\n server one 127.0.0.1:{port} send-proxy-v2\n"
        )

        def answers() -> bool:
            with contextlib.closing(NoteClient(front)) as client:
                return client.greeting.startswith(b"NOTES")

        command = [program("haproxy"), "-db", "-f", str(tmp_path / "haproxy.cfg")]
        with running(command, log=tmp_path / "log", answers=answers):
            client = NoteClient(front)
            assert client.log_on("DIGEST-MD5").startswith(b"OK alice")
            assert client.ask(b"GET") == b"OK \r\n"
            client.close()
            with contextlib.closing(NoteClient(front)) as client:
                assert client.log_on("DIGEST-MD5", "looking-glass") == b"NO\r\n"
                here = client._socket.getsockname()
    assert any("was refused" in line and f"{here[0]}:{here[1]}" in line for line in log), log


def test_the_mail_server_has_its_accounts_in_postgresql(tmp_path: Path) -> None:
    with PostgreSql() as database:
        store = database.url()
        add_alice(store, tmp_path, "--realm", "mail.example")
        with example("mail_server.py", store) as (port, log):
            for mechanism in ("SCRAM-SHA-256", "DIGEST-MD5"):
                with SaslSMTP("localhost", port, timeout=20) as client:
                    with pytest.raises(smtplib.SMTPSenderRefused):
                        client.sendmail("alice@mail.example", ["bob@mail.example"], b"Subject: tea\r\n\r\n")
                    client.authenticate_sasl(mechanism=mechanism, user="alice", password="wonderland")
                    client.sendmail("alice@mail.example", ["bob@mail.example"], b"Subject: tea\r\n\r\n")
    assert sum("Subject: tea" in line for line in log) == 2


def test_postfix_asks_authd_with_the_files_of_the_example(tmp_path: Path) -> None:
    """The two files as they are, but for where things are on this machine."""
    if os.geteuid() != 0:
        give_up("Postfix's master runs as root only")
    require_peer("postfix")

    def of_here(name: str, **places: str) -> str:
        text = (EXAMPLES / "postfix" / name).read_text()
        for there, here in places.values():
            assert there in text, there
            text = text.replace(there, here)
        return text

    with TemporaryDirectory(prefix="saslsspi-authd-") as room, PostgreSql() as database:
        folder = Path(room)
        folder.chmod(0o755)
        add_alice(database.url(), tmp_path, "--realm", "mail.example", "--kind", "scram-sha-256", "--kind", "ha1")
        socket_path, configuration, log = folder / "saslsspi", folder / "authd.toml", folder / "log"
        configuration.write_text(of_here(
            "authd.toml",
            store=("postgresql+psycopg://mail@/mail\"]", f"{database.url()}\"]"),
            user=('user = "saslsspi"', 'user = "nobody"'),
            path=("/var/spool/postfix/private/saslsspi", str(socket_path)),
            host=('host = ["mail.example"]', 'host = ["localhost"]'),
        ))  # fmt: skip
        configuration.chmod(0o640)
        shutil.chown(configuration, "root", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name)
        command = [sys.executable, "-m", "saslsspi", "authd", str(configuration), "--verbose"]
        main = of_here("main.cf", path=("private/saslsspi", str(socket_path)))
        with (
            running(command, log=log, answers=socket_path.exists) as service,
            Postfix(socket_path, main=main) as postfix,
        ):
            with Talk(socket_path) as talk:
                owner = Path(f"/proc/{talk.worker}").stat().st_uid
                assert owner == pwd.getpwnam("nobody").pw_uid, "the workers are not root"
            for process in (talk.worker, service.pid):  # and neither is who starts them, nor can they be again
                lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
                assert set(lines["Uid"].split()) == {str(owner)}
                assert "0" not in [*lines["Gid"].split(), *lines["Groups"].split()]
                assert int(lines["CapEff"], 16) == int(lines["CapPrm"], 16) == 0
            for mechanism in ("SCRAM-SHA-256", "DIGEST-MD5", "PLAIN"):
                with SaslSMTP("localhost", postfix.port, timeout=30) as client:
                    assert mechanism == "PLAIN" or client.authenticate_sasl(
                        mechanism=mechanism, user="alice", password="wonderland"
                    )
                    if mechanism == "PLAIN":
                        assert "PLAIN" not in str(client.esmtp_features)
                        client.starttls(context=ssl.create_default_context(cafile=str(postfix.ca_file)))
                        client.authenticate_sasl(mechanism=mechanism, user="alice", password="wonderland")
                    client.mail("alice@mail.example")
                    assert client.rcpt("bob@elsewhere.example")[0] == 250
            began = time.monotonic()
            with SaslSMTP("localhost", postfix.port, timeout=30) as client, pytest.raises(LogonDenied):
                client.authenticate_sasl(mechanism="SCRAM-SHA-256", user="alice", password="wrong")
            assert time.monotonic() - began >= 2 * 0.75, "two seconds, and a quarter more or less"
        assert "'alice@mail.example' was refused with SCRAM-SHA-256 from '127.0.0.1'" in log.read_text()


def test_four_workers_take_each_other_s_challenges_and_no_request_twice(accounts: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"the workers' own secret")
    with RedisServer() as redis:
        port = free_port()
        environment = os.environ | {
            "ACCOUNTS": accounts, "REDIS": redis.url, "SECRET": str(tmp_path / "secret"), "PYTHONUNBUFFERED": "1"
        }  # fmt: skip
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--workers", "4", "--port", str(port)]
        url = f"http://127.0.0.1:{port}/tea"

        def answers() -> bool:
            try:
                return httpx.get(url, timeout=5).status_code == 401
            except httpx.HTTPError:
                return False

        log = tmp_path / "log"
        with running([*command, "web_application:application"], log=log, answers=answers, environment=environment):
            processes, replayed = set(), []
            digest = httpx.DigestAuth("alice", "wonderland")
            for _ in range(60):
                with httpx.Client(timeout=20) as client:  # a connection of its own, so any worker
                    answer = client.get(url, auth=digest)
                    assert answer.status_code == 200, answer.headers
                    processes.add(re.search(r"process (\d+)", answer.text)[1])  # type: ignore[index]
                    replayed.append(answer.request.headers["authorization"])
            for credentials in replayed:
                assert httpx.get(url, headers={"authorization": credentials}).status_code == 401
            assert len(processes) > 1
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert sum(line["accepted"] for line in lines) == 60
    assert sum("nc is not one greater" in line["reason"] for line in lines) == 60
