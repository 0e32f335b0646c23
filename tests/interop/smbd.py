"""Samba's file server on a loopback port, with one share and one account, in a temporary directory."""

import contextlib
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import ALICE, Person
from interop.require import program, require_peer

_CONFIGURATION: Final = """\
[global]
    server role = standalone server
    workgroup = DOM
    security = user
    map to guest = never
    smb ports = {port}
    interfaces = lo
    bind interfaces only = yes
    server min protocol = SMB2
    server signing = mandatory
    disable netbios = yes
    load printers = no
    username map = {folder}/users
    passdb backend = tdbsam:{folder}/passdb.tdb
    private dir = {folder}
    lock directory = {folder}
    state directory = {folder}
    cache directory = {folder}
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    log file = {folder}/smbd.log
[share]
    path = {folder}/share
    read only = no
    force user = {user}
"""


class Smbd:
    """smbd for as long as a block lasts.

    Attributes:
        port: Where it listens.
        person: Who may log on; on the machine it is the user that runs the tests.
    """

    person: Final[Person] = ALICE

    def __init__(self) -> None:
        """Describe a server; nothing runs before the `with`."""
        self._cleanup = contextlib.ExitStack()
        self.port = 0

    def __enter__(self) -> Self:
        """Start it; skips the running test where there is none."""
        require_peer("smbd")
        with contextlib.ExitStack() as cleanup:
            self._folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-smbd-")))
            for name in ("share", "ncalrpc"):
                (self._folder / name).mkdir(mode=0o755)
            enter_on_free_ports(cleanup, self._started)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End it and remove its files."""
        self._cleanup.close()

    def _started(self) -> contextlib.AbstractContextManager[object]:
        self.port = free_port()
        user = _own_name()
        configuration = self._folder / "smb.conf"
        (self._folder / "users").write_text(f"{user} = {self.person.name}\n", encoding="utf-8")
        configuration.write_text(
            _CONFIGURATION.format(port=self.port, folder=self._folder, user=user), encoding="utf-8"
        )
        added = subprocess.run(
            [program("smbpasswd"), "-c", str(configuration), "-s", "-a", user],
            input=f"{self.person.password}\n" * 2, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if added.returncode:
            raise ServerDidNotStart(f"smbpasswd: {added.stdout}{added.stderr}")
        return running(
            [program("smbd"), "--foreground", "--no-process-group", f"--configfile={configuration}"],
            log=self._folder / "output",
            answers=self._answers,
        )

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True


def _own_name() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
