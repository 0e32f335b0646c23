"""Programs for pyspnego that log on with tickets, unchanged, with the face in its place; their peer has pyspnego."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from interop.certificate import make_server_certificate
from interop.kdc import Kdc
from interop.people import ALICE
from world.programs import python_with

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_spnego"
CLIENT: Final = ("requests-kerberos==0.15.0", "pypsrp==0.9.1", "pyspnego==0.12.4")
PEER: Final = ("pypsrp==0.9.1", "pyspnego[kerberos]==0.12.4")
LOGGED_ON: Final = f"{ALICE.name}@EXAMPLE.TEST"


@pytest.fixture
def peer(kdc: Kdc) -> Iterator[Callable[..., str]]:
    """Return what starts a server in the realm, and gives its URL."""
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NTLM_USER_FILE")}
    processes: list[subprocess.Popen[str]] = []
    keytab = kdc.folder / "http.keytab"
    if not keytab.exists():
        kdc.kadmin("addprinc -randkey http/localhost", f"ktadd -norandkey -k {keytab} http/localhost HTTP/localhost")

    def start(*arguments: str) -> str:
        process = subprocess.Popen(
            [python_with(*PEER, this=None), HERE / "http_peer.py", "Negotiate", *arguments],
            stdout=subprocess.PIPE, text=True,
            env=known | kdc.environment | {"HTTP_PEER_HOST": "localhost", "KRB5_KTNAME": f"FILE:{keytab}"},
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        return f"{'https' if arguments else 'http'}://localhost:{process.stdout.readline().strip()}/wsman"

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def run(kdc: Kdc, program: str, url: str, size: int = 0, **tickets: str) -> str:
    command = [python_with(*CLIENT, this=("kerberos",)), "-m", "saslsspi.compat", "run", "--as", "spnego",
               HERE / "kerberos_clients.py", program, url, str(size)]  # fmt: skip
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NTLM_USER_FILE")}
    environment = known | kdc.environment | tickets
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("program", ["required", "optional", "disabled", "delegated", "preemptive", "threads"])
def test_requests_kerberos(kdc: Kdc, peer: Callable[..., str], program: str) -> None:
    url = peer()
    cache = kdc.tickets(ALICE, options=("-f",))
    assert run(kdc, program, url, KRB5CCNAME=cache) == f"200 {LOGGED_ON} saslsspi.compat.spnego"
    assert run(kdc, program, url).startswith(("401 ", "refused: "))


def test_bindings_that_match_and_that_do_not(kdc: Kdc, peer: Callable[..., str], tmp_path: Path) -> None:
    made = make_server_certificate(tmp_path)
    pem = tmp_path / "both.pem"
    pem.write_bytes(made.certificate_file.read_bytes() + made.key_file.read_bytes())
    cache = kdc.tickets(ALICE)
    told = run(kdc, "optional", peer(str(pem), "right"), KRB5CCNAME=cache)
    assert told == f"200 {LOGGED_ON} saslsspi.compat.spnego"
    assert run(kdc, "optional", peer(str(pem), "wrong"), KRB5CCNAME=cache).startswith("401 ")


@pytest.mark.parametrize("size", [300, 40_000])
def test_pypsrp_sealed_with_kerberos(kdc: Kdc, peer: Callable[..., str], size: int) -> None:
    told = run(kdc, "pypsrp", peer(), size, KRB5CCNAME=kdc.tickets(ALICE))
    assert told == f"200 <echo user='{LOGGED_ON}'>{size}</echo> saslsspi.compat.spnego"
