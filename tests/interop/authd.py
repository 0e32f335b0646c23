"""`saslsspi authd` as a process of its own, with a configuration in a folder."""

import contextlib
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from interop.daemon import running

_CONFIGURATION: Final = """\
workers = {workers}
[accounts]
stores = {stores}
{decoy_key}
[policy]
{policy}
[limits]
failure_delay = {delay}
{limits}
[[listener]]
protocol = "dovecot"
path = "{folder}/dovecot"
mode = "0666"
host = ["localhost", "127.0.0.1"]
realm = "{realm}"
[[listener]]
protocol = "saslauthd"
path = "{folder}/mux"
mode = "0666"
realm = "{realm}"
{more}
"""


class Authd:
    """A service of one's own: `with Authd(folder, [store]) as authd: ... authd.dovecot`.

    Args:
        more: Tables that stand behind the others.
        limits: Lines of the table of limits.

    Attributes:
        dovecot: The socket of Dovecot's authentication protocol.
        saslauthd: That of saslauthd's protocol.
        configuration: The file.
    """

    def __init__(self, folder: Path, stores: list[str], *, workers: int = 1, delay: float = 0.0, policy: str = "",
        realm: str = "example.test", decoy_key: str = "", more: str = "", limits: str = "",
    ) -> None:  # fmt: skip
        self.dovecot, self.saslauthd = folder / "dovecot", folder / "mux"
        self.configuration = folder / "authd.toml"
        self._log = folder / "authd.log"
        self._values = {"stores": [str(store) for store in stores], "delay": delay, "policy": policy, "realm": realm}
        self._values |= {"more": more, "limits": limits}
        self._values["decoy_key"] = f'decoy_key = "{decoy_key}"' if decoy_key else ""
        self._cleanup = contextlib.ExitStack()
        self.write(workers=workers)

    def write(self, **changes: Any) -> None:
        """Write the configuration, with other values than before."""
        self._values |= changes
        self.configuration.write_text(_CONFIGURATION.format(folder=self.configuration.parent, **self._values))
        self.configuration.chmod(0o600)

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "saslsspi", "authd", str(self.configuration), "--verbose"]
        self.process: subprocess.Popen[bytes] = self._cleanup.enter_context(
            running(command, log=self._log, answers=self._answers)
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
        with Talk(self.dovecot) as talk:
            return talk.mechanisms != []


class Talk:
    """One connection of Dovecot's authentication protocol."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self.greeting: list[list[str]] = []
        while not self.greeting or self.greeting[-1] != ["DONE"]:
            self.greeting.append(self.line())
        self.send("VERSION\t1\t1", "CPID\t1")

    @property
    def mechanisms(self) -> list[str]:
        """What is offered."""
        return [words[1] for words in self.greeting if words[0] == "MECH"]

    @property
    def worker(self) -> int:
        """The process that serves here."""
        return next(int(words[1]) for words in self.greeting if words[0] == "SPID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, *lines: str) -> None:
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def line(self) -> list[str]:
        octets: bytes = self._file.readline()
        if not octets.endswith(b"\n"):
            raise EOFError("the service has closed the connection")
        return octets.decode().rstrip("\n").split("\t")

    def plain(self, user: str, password: str, number: int = 1, *more: str) -> list[str]:
        """Log on with PLAIN and return the answer."""
        response = b64encode(f"\0{user}\0{password}".encode()).decode()
        words = ["AUTH", str(number), "PLAIN", "service=smtp", "secured", *more, f"resp={response}"]
        self.send("\t".join(words))
        return self.line()
