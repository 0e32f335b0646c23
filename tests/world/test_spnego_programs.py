"""Programs for pyspnego, unchanged, with the face in its place, against servers on pyspnego itself and against smbd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from interop.certificate import make_server_certificate
from interop.smbd import Smbd
from saslsspi.packages.ntlm.keys import nt_hash
from world.programs import python_with

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_spnego"
SPNEGO: Final = (
    "requests-ntlm==1.3.0", "httpx-ntlm==1.4.0", "requests-credssp==2.0.0", "pypsrp==0.9.1", "pywinrm==0.5.0",
    "smbprotocol==1.17.0", "pyspnego==0.12.4", "pytest==8.4.2",
)  # fmt: skip
PEER: Final = ("pyspnego==0.12.4", "pypsrp==0.9.1")
USER, PASSWORD = "DÖM\\älice", "wönderland𝄞"
PLAIN: Final = {
    "requests_ntlm": "NTLM",
    "requests_ntlm threads": "NTLM",
    "httpx_ntlm": "NTLM",
    "httpx_ntlm asyncio": "NTLM",
    "requests_credssp auto": "CredSSP",
    "requests_credssp ntlm": "CredSSP",
    "requests_credssp version 5": "CredSSP",
}
SEALED: Final = {
    "pypsrp negotiate": "Negotiate",
    "pypsrp ntlm": "Negotiate",
    "pypsrp credssp": "CredSSP",
    "pypsrp credssp ntlm": "CredSSP",
    "pywinrm ntlm": "Negotiate",
    "pywinrm credssp": "CredSSP",
}


def run(program: str, *arguments: object) -> str:
    """Run a program of the folder with the face in place; return what it says."""
    command = [python_with(*SPNEGO, this=("kerberos",)), "-m", "saslsspi.compat", "run", "--as", "spnego",
               HERE / program, *map(str, arguments)]  # fmt: skip
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NTLM_USER_FILE")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=known)
    return done.stdout.strip() or done.stderr


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Return what starts a server of a scheme, once for each, and gives its URL."""
    folder = tmp_path_factory.mktemp("peers")
    users = folder / "users"
    users.write_text(f"{USER.replace(chr(92), ':')}:{PASSWORD}\n", encoding="utf-8")
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    started: dict[tuple[str, ...], str] = {}
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> str:
        if arguments not in started:
            process = subprocess.Popen(
                [python_with(*PEER, this=None), HERE / "http_peer.py", *arguments],
                stdout=subprocess.PIPE, text=True, env=known | {"NTLM_USER_FILE": str(users)}, cwd=folder,
            )  # fmt: skip
            processes.append(process)
            assert process.stdout is not None
            scheme = "https" if len(arguments) > 1 else "http"
            started[arguments] = f"{scheme}://127.0.0.1:{process.stdout.readline().strip()}/wsman"
        return started[arguments]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("program", PLAIN)
def test_a_logon(program: str, peer: Callable[..., str]) -> None:
    told = run("http_clients.py", program, peer(PLAIN[program]), USER, PASSWORD, 0)
    status, module, user = told.split(maxsplit=2)
    assert (status, user) == ("200", USER)
    assert module.endswith("saslsspi/compat/spnego/__init__.py")


@pytest.mark.parametrize("size", [300, 40_000])
@pytest.mark.parametrize("program", SEALED)
def test_sealed_messages(program: str, size: int, peer: Callable[..., str]) -> None:
    told = run("http_clients.py", program, peer(SEALED[program]), USER, PASSWORD, size)
    assert told.startswith("200 ")
    assert told.endswith(f"<echo user='{USER}'>{size}</echo>")


@pytest.mark.parametrize("program", ["requests_ntlm", "httpx_ntlm", "requests_credssp ntlm", "pypsrp negotiate"])
def test_a_wrong_password(program: str, peer: Callable[..., str]) -> None:
    told = run("http_clients.py", program, peer((PLAIN | SEALED)[program]), USER, "wrong", 10)
    assert told.startswith(("401 ", "refused: "))
    if "credssp" in program:
        assert "8009030C" in told.upper()


@pytest.mark.parametrize(
    "program", ["requests_ntlm", "requests_ntlm threads", "pypsrp ntlm", "pypsrp negotiate", "pywinrm ntlm"]
)
def test_bindings_that_match_and_that_do_not(program: str, peer: Callable[..., str], tmp_path: Path) -> None:
    made = make_server_certificate(tmp_path)
    pem = tmp_path / "both.pem"
    pem.write_bytes(made.certificate_file.read_bytes() + made.key_file.read_bytes())
    scheme = "NTLM" if program.startswith("requests_ntlm") else "Negotiate"
    assert run("http_clients.py", program, peer(scheme, str(pem), "right"), USER, PASSWORD, 10).startswith("200 ")
    told = run("http_clients.py", program, peer(scheme, str(pem), "wrong"), USER, PASSWORD, 10)
    assert told.startswith(("401 ", "refused: "))
    if program == "requests_ntlm":
        told = run("http_clients.py", "requests_ntlm unbound", peer(scheme, str(pem), "right"), USER, PASSWORD, 10)
        assert told.startswith("401 ")


def on_pywin32(url: str, user: str, password: str) -> str:
    """Run requests-negotiate-sspi, which stands on pywin32, with its face in place."""
    python = python_with("requests==2.32.5", "urllib3==1.26.20", alone=("requests-negotiate-sspi==0.5.2",))
    command = [python, "-m", "saslsspi.compat", "run", "--as", "pywin32", HERE / "sspi_client.py", url, user, password]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_requests_negotiate_sspi(scheme: str, peer: Callable[..., str], tmp_path: Path) -> None:
    assert on_pywin32(peer(scheme), USER, PASSWORD) == f"200 {USER}"
    assert on_pywin32(peer(scheme), USER, "wrong") == "401"
    made = make_server_certificate(tmp_path)
    pem = tmp_path / "both.pem"
    pem.write_bytes(made.certificate_file.read_bytes() + made.key_file.read_bytes())
    assert on_pywin32(peer(scheme, str(pem), "right"), USER, PASSWORD) == f"200 {USER}"
    assert on_pywin32(peer(scheme, str(pem), "wrong"), USER, PASSWORD) == "401"


@pytest.fixture(scope="module")
def smbd() -> Iterator[Smbd]:
    with Smbd() as server:
        yield server


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
@pytest.mark.parametrize("how", ["sign", "encrypt"])
def test_smb(how: str, protocol: str, smbd: Smbd) -> None:
    person = smbd.person
    told = run("smb_client.py", smbd.port, protocol, how, f"DOM\\{person.name}", person.password)
    outcome, dialect, encrypts, module = told.split()
    assert (outcome, dialect, encrypts) == ("in", "0x311", str(how == "encrypt"))
    assert module.endswith("saslsspi/compat/spnego/__init__.py")


def test_smb_sessions_in_threads_with_passwords_and_hashes(smbd: Smbd) -> None:
    person = smbd.person
    hashes = f"{'0' * 32}:{nt_hash(person.password).hex()}"
    told = run("smb_sessions.py", smbd.port, f"DÖM\\{person.name}", person.password, hashes)
    assert told == "16 refused, 32 in, saslsspi.compat.spnego"


def test_smb_with_a_wrong_password(smbd: Smbd) -> None:
    told = run("smb_client.py", smbd.port, "negotiate", "sign", f"DOM\\{smbd.person.name}", "wrong")
    assert told.startswith("refused: ")
    assert "LOGON_FAILURE" in told.upper() or "logon" in told.lower()
