"""pywin32's own `sspi` module, its tests and its example programs on ours, with import lines changed or none."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from interop.daemon import free_port, running
from interop.http_server import AuthenticatingServer
from interop.kdc import Kdc
from interop.kdc import kdc as kdc
from interop.people import ALICE
from interop.pywin32_wheel import DEMOS, SSPI, TESTS, unpacked
from interop.require import require_peer
from saslsspi import MemoryAuthority
from saslsspi.compat import pywin32

pytestmark = pytest.mark.interop
ACCOUNT = ("alice", "DOM", "wonderland")
PACKAGES = pytest.mark.parametrize("package", ["NTLM", "Negotiate", "WDigest"])
OLD_BASE64 = """
import base64
def decodestring(text): return base64.b64decode(text)
def encodestring(octets): return base64.encodebytes(octets).decode()
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    return unpacked()


@pytest.fixture
def machine() -> Iterator[None]:
    """What Windows would know, for programs in this process."""
    pywin32.configure(authority=MemoryAuthority({"alice": "wonderland"}), identity=ACCOUNT)
    yield
    pywin32.configure()


@pytest.fixture
def users(tmp_path: Path) -> dict[str, str]:
    """The same for programs of their own."""
    file = tmp_path / "users"
    file.write_text("# who is here\n\nDOM:alice:wonderland\n", encoding="utf-8")
    return {**os.environ, "NTLM_USER_FILE": str(file)}


@pytest.fixture
def theirs(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Their `sspi`, whose two imports find ours."""
    monkeypatch.setitem(sys.modules, "sspicon", pywin32.sspicon)
    monkeypatch.setitem(sys.modules, "win32security", pywin32.win32security)
    module = types.ModuleType("their_sspi")
    exec(compile((wheel / SSPI).read_text(encoding="utf-8"), SSPI, "exec"), vars(module))
    return module


def program(*arguments: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "saslsspi.compat", "run", "--as", "pywin32", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def logged_on(client: Any, server: Any) -> None:
    error, token = 1, None
    while error:
        error, token = client.authorize(token)
        error, token = server.authorize(token)
    if not client.authenticated:
        client.authorize(token)


def conversation(client: Any, server: Any) -> None:
    for sender, receiver in ((client, server), (server, client)):
        assert receiver.decrypt(*sender.encrypt(b"attack at dawn")) == b"attack at dawn"
        receiver.verify(b"text", sender.sign(b"text"))
        assert receiver.unwrap(sender.wrap(b"wrapped", encrypt=True)) == (b"wrapped", True)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("sides", ["theirs and ours", "ours and theirs", "theirs", "ours"])
def test_each_side_of_their_module_and_of_ours(theirs: Any, package: str, sides: str) -> None:
    first, _, second = sides.partition(" and ")
    module = {"theirs": theirs, "ours": pywin32.sspi}
    client = module[first].ClientAuth(package, targetspn="host/host.example")
    server = module[second or first].ServerAuth(package)
    logged_on(client, server)
    assert client.authenticated
    assert server.authenticated
    assert server.ctxt.QueryContextAttributes(pywin32.sspicon.SECPKG_ATTR_NAMES) == "alice"
    conversation(client, server)


@pytest.mark.usefixtures("machine")
def test_digest_completes_its_tokens(theirs: Any) -> None:
    client, server = theirs.ClientAuth("WDigest", targetspn="ldap/host.example"), theirs.ServerAuth("WDigest")
    logged_on(client, server)
    assert server.decrypt(*client.encrypt(b"attack at dawn")) == b"attack at dawn"


def test_kerberos_between_their_module_and_ours(theirs: Any, kdc: Kdc) -> None:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        for one, other in ((theirs, pywin32.sspi), (pywin32.sspi, theirs)):
            client, server = one.ClientAuth("Kerberos", targetspn="ldap/localhost"), other.ServerAuth("Kerberos")
            logged_on(client, server)
            conversation(client, server)
            assert server.initiator_name.startswith("alice@")
            assert client.service_name.startswith("ldap/localhost@")


def test_their_tests_pass(wheel: Path, users: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pywin32_testutil.py").write_text("from unittest import main as testmain\n", encoding="ascii")
    (tmp_path / "test_sspi.py").write_text((wheel / TESTS).read_text(encoding="utf-8"), encoding="utf-8")
    done = program(tmp_path / "test_sspi.py", "-v", environment=users)
    assert done.returncode == 0, done.stderr
    passed = re.findall(r"^(test\w+) .*ok$", done.stderr, re.MULTILINE)
    assert {"testEncryptNTLM", "testEncryptStreamNTLM", "testSignNTLM", "testImpersonateNTLM"} <= set(passed)


def test_the_example_of_both_sides(wheel: Path, users: dict[str, str]) -> None:
    done = program(wheel / DEMOS / "simple_auth.py", environment=users)
    assert done.returncode == 0, done.stderr
    assert "Impersonated user:  DOM\\alice" in done.stdout
    assert done.stdout.rstrip().endswith("b'some data to be encrypted ......'")


@pytest.mark.parametrize(("password", "said"), [("wonderland", "Validated OK"), ("looking-glass", "-2146893044")])
def test_the_example_that_validates_a_password(wheel: Path, users: dict[str, str], password: str, said: str) -> None:
    for domain in ((), ("DOM",)):
        done = program(wheel / DEMOS / "validate_password.py", "alice", password, *domain, environment=users)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_the_example_server_and_its_client(wheel: Path, users: dict[str, str], tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "server.log"
    demo = [str(wheel / DEMOS / "socket_server.py"), f"--port={port}"]

    def answers() -> bool:
        with socket.create_connection(("localhost", port), timeout=1):
            return True

    serving = [sys.executable, "-u", "-m", "saslsspi.compat", "run", "--as", "pywin32", *demo, "server"]
    with running(serving, log=log, answers=answers, environment=users):
        done = program(*demo, "client", environment=users)
        assert "Client completed." in done.stdout, done.stdout + done.stderr
        told = ""
        for _ in range(200):
            told = log.read_text(encoding="utf-8")
            if "back to user" in told:
                break
            with socket.create_connection(("localhost", port), timeout=5) as nobody:
                nobody.sendall(b"")
    assert "Having conversation with client as user alice" in told
    assert [word for word in ("Hello", "from", "the", "client") if f"Client sent: b'{word}'" not in told] == []


def test_the_example_that_fetches_a_page(wheel: Path, users: dict[str, str], tmp_path: Path) -> None:
    """Python has had no encodestring since 3.9, so another import line is changed as well."""
    source = (wheel / DEMOS / "fetch_url.py").read_text(encoding="utf-8")
    (tmp_path / "old_base64.py").write_text(OLD_BASE64, encoding="ascii")
    (tmp_path / "fetch_url.py").write_text(source.replace("from base64 import", "from old_base64 import"), "utf-8")
    accept = partial(saslsspi.Context.accept, "NTLM", authority=MemoryAuthority({"alice": "wonderland"}))
    with AuthenticatingServer("NTLM", accept) as server:
        account = ("--user=alice", "--domain=DOM", "--password=wonderland", "--show-body")
        done = program(tmp_path / "fetch_url.py", *account, server.url, environment=users)
    assert "Final response status is 200" in done.stdout, done.stdout + done.stderr
    assert "b'DOM\\\\alice'" in done.stdout or "b'alice'" in done.stdout
    assert server.errors == []


def test_their_example_in_the_module_itself(wheel: Path, users: dict[str, str]) -> None:
    """It asks the credential who it is, and logs on to that."""
    source = (wheel / SSPI).read_text(encoding="utf-8").replace('ssp = "Kerberos"', 'ssp = "NTLM"')
    file = Path(users["NTLM_USER_FILE"]).parent / "their_sspi.py"
    file.write_text(source, encoding="utf-8")
    done = program(file, environment=users)
    assert done.stdout.rstrip().endswith("cool!"), done.stdout + done.stderr
