"""exchangelib against a peer that demands NTLM of requests of EWS: unchanged on the face, and by its page."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from interop.certificate import make_server_certificate
from world.pages import run
from world.programs import python_with
from world.test_spnego_programs import PASSWORD, USER
from world.test_spnego_programs import peer as peer

pytestmark = pytest.mark.interop

EXCHANGELIB: Final = ("exchangelib==5.6.0", "requests-ntlm==1.3.0", "pyspnego==0.12.4")
PROGRAM: Final = Path(__file__).parent / "programs_for_spnego" / "exchange_client.py"


def on_the_face(url: str, password: str) -> str:
    command = [
        python_with(*EXCHANGELIB),
        "-m",
        "saslsspi.compat",
        "run",
        "--as",
        "spnego",
        PROGRAM,
        url,
        USER,
        password,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.strip() or done.stderr


def by_its_page(url: str, password: str) -> str:
    (told,) = run(python_with(*EXCHANGELIB), "exchangelib.md", PROGRAM.read_text(encoding="utf-8"), url, USER, password)
    return told


@pytest.mark.parametrize("way", [on_the_face, by_its_page])
def test_a_request_passes(way: Callable[[str, str], str], peer: Callable[..., str]) -> None:
    url = peer("NTLM").replace("/wsman", "/EWS/Exchange.asmx")
    where = "requests_ntlm.requests_ntlm saslsspi.compat.spnego" if way is on_the_face else "__main__ spnego"
    assert way(url, PASSWORD) == f"{USER} {where}"
    assert way(url, "wrong") == "UnauthorizedError"


@pytest.mark.parametrize("way", [on_the_face, by_its_page])
def test_bindings_that_match_and_that_do_not(
    way: Callable[[str, str], str], peer: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_server_certificate(tmp_path)
    pem = tmp_path / "both.pem"
    pem.write_bytes(made.certificate_file.read_bytes() + made.key_file.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca_file))

    def url(kind: str) -> str:
        return peer("NTLM", str(pem), kind).replace("/wsman", "/EWS/Exchange.asmx").replace("127.0.0.1", "localhost")

    assert way(url("right"), PASSWORD).startswith(f"{USER} ")
    assert way(url("wrong"), PASSWORD) == "UnauthorizedError"
