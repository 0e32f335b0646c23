"""`saslsspi gateway` as a process of its own, with a configuration in a folder."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.daemon import free_port, running

_CONFIGURATION: Final = """\
workers = {workers}
[[authority]]
name = "there"
{authority}
[limits]
failure_delay = 0
longest_delay = 0
connections = 2000
{limits}
[policy]
{policy}
[[listener]]
protocol = "{protocol}"
port = {port}
[[listener]]
protocol = "{protocol}"
path = "{folder}/socket"
"""


_UNBIND: Final = bytes.fromhex("30050201014200")


class GatewayProcess:
    """A gateway of one's own: `with GatewayProcess(folder, 'servers = ["localhost"]') as gateway: ... gateway.port`.

    Attributes:
        port: Of its first listener.
        path: Of its second one, a Unix socket.
        file: The configuration.
    """

    def __init__(
        self,
        folder: Path,
        authority: str,
        *,
        protocol: str = "ldap",
        policy: str = "",
        limits: str = "",
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a gateway; nothing runs before the `with`."""
        folder.mkdir(exist_ok=True)
        self.port, self.path, self.file = free_port(), folder / "socket", folder / "gateway.toml"
        self._log = folder / "gateway.log"
        self._environment = None if environment is None else {**os.environ, **environment}
        self._values = {"authority": authority, "protocol": protocol, "policy": policy, "limits": limits,
                        "workers": workers, "port": self.port, "folder": folder}  # fmt: skip
        self._cleanup = contextlib.ExitStack()
        self.write()

    def write(self, **changes: object) -> None:
        """Write the configuration, with other values than before."""
        self._values |= changes
        self.file.write_text(_CONFIGURATION.format(**self._values), encoding="utf-8")

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    @property
    def workers(self) -> list[int]:
        """The processes that serve."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "saslsspi", "gateway", str(self.file), "--verbose"]
        self.process: subprocess.Popen[bytes] = self._cleanup.enter_context(
            running(command, log=self._log, answers=self._answers, environment=self._environment)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that starts the workers."""
        self.process.send_signal(number)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(_UNBIND)
            return connection.recv(100) is not None  # a mail greeting, or the end: somebody has read that
