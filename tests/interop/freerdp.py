"""FreeRDP's client and server on a virtual display: what comes before RDP, its network level authentication."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from interop.daemon import enter_on_free_ports, free_port, running
from interop.people import ALICE
from interop.require import program, require_peer
from saslsspi.packages.ntlm.keys import nt_hash

__all__ = ["Display", "Shadow", "major_version", "xfreerdp"]

_TIMEOUT: Final = 30


class Display:
    """An X server without a screen: `with Display() as display`.

    Attributes:
        environment: For programs that shall use it.
    """

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
            read, write = os.pipe()
            with os.fdopen(read, "rb", buffering=0) as numbers:
                # Without -noreset it begins anew, and answers nobody meanwhile, whenever its last client has gone.
                command = [program("Xvfb"), "-displayfd", str(write), "-noreset", "-nolisten", "tcp"]
                server = subprocess.Popen(
                    command, pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )  # fmt: skip
                cleanup.callback(_end, server)
                os.close(write)
                number = b""
                while not number.endswith(b"\n"):
                    more = numbers.read(16)
                    assert more, "Xvfb did not start"
                    number += more
            home = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "WLOG_LEVEL": "INFO"}
            self.environment = {**os.environ, **home, "DISPLAY": f":{number.decode().strip()}"}
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=10)


def xfreerdp(display: Display, port: int, password: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Let FreeRDP's client log on as alice to a server on this machine, and go no further."""
    require_peer("freerdp")
    command = [
        program("xfreerdp"), f"/v:127.0.0.1:{port}", f"/u:{ALICE.name}", "/d:DOM", f"/p:{password}", "/cert:ignore",
        "/sec:nla", "+auth-only", *options,
    ]  # fmt: skip
    return subprocess.run(
        command, env=display.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
    )


def major_version(display: Display) -> int:
    """FreeRDP's own: its server knows SPNEGO from 3 on."""
    require_peer("freerdp")
    command = [program("xfreerdp"), "/version"]
    said = subprocess.run(command, env=display.environment, capture_output=True, text=True, check=False).stdout
    return int(said.partition("version ")[2].partition(".")[0])


class Shadow:
    """FreeRDP's server, which asks for NLA and knows alice: `with Shadow(display) as shadow`."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._cleanup = contextlib.ExitStack()
        self.port = 0

    def __enter__(self) -> Self:
        if os.environ.get("CI") != "true":
            require_peer("freerdp")
        with contextlib.ExitStack() as cleanup:
            accounts = self._display.folder / "sam"
            accounts.write_text(f"{ALICE.name}:::{nt_hash(ALICE.password).hex()}:::\n", encoding="ascii")
            enter_on_free_ports(cleanup, lambda: self._run(accounts))
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @contextlib.contextmanager
    def _run(self, accounts: Path) -> Iterator[None]:
        self.port = free_port()
        command = [
            program("freerdp-shadow-cli"), f"/port:{self.port}", "/bind-address:127.0.0.1", "/sec:nla",
            f"/sam-file:{accounts}", "+auth",
        ]  # fmt: skip
        log = self._display.folder / "shadow.log"
        with running(command, log=log, answers=self._answers, environment=self._display.environment):
            yield

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT)


@pytest.fixture(scope="module")
def display() -> Iterator[Display]:
    """A virtual display for the module."""
    require_peer("freerdp")
    with Display() as started:
        yield started
