"""PostgreSQL on a loopback port, its cluster in a temporary directory, as the user that Debian makes for it.

Logons over TCP want SCRAM-SHA-256, which is its default.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.daemon import enter_on_free_ports, free_port, running
from interop.require import require_peer

_ROOM: Final = Path("/usr/lib/postgresql")
_OWNER: Final = "postgres"


class PostgreSql:
    """A server of one's own: `with PostgreSql() as server: ... server.url("postgres")`.

    Attributes:
        port: On 127.0.0.1.
        password: Of the user postgres, who may do everything.
    """

    password: Final = "the keeper's"

    def __init__(self) -> None:
        require_peer("postgresql")
        self.port = 0
        self._cleanup = contextlib.ExitStack()
        self._programs = max(_ROOM.iterdir(), key=lambda folder: float(folder.name)) / "bin"

    def url(self, driver: str = "psycopg", *, user: str = _OWNER, password: str = password) -> str:
        """Return SQLAlchemy's URL of the database postgres."""
        from sqlalchemy import URL

        made = URL.create(f"postgresql+{driver}", user, password, "127.0.0.1", self.port, "postgres")
        return made.render_as_string(hide_password=False)

    def run(self, statements: str) -> str:
        """Run statements as postgres and return what psql prints, unaligned and without headings."""
        command = [*self._psql(_OWNER), "-c", statements]
        environment = {**os.environ, "PGPASSWORD": self.password}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def logs_on(self, user: str, password: str) -> bool:
        """Whether psql gets in."""
        environment = {**os.environ, "PGPASSWORD": password}
        command = [*self._psql(user), "-c", "SELECT 1"]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def roles(self) -> str:
        """Return what pg_dumpall --roles-only writes."""
        command = [str(self._programs / "pg_dumpall"), "-h", "127.0.0.1", "-p", str(self.port), "-U", _OWNER]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run([*command, "--roles-only"], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def __enter__(self) -> Self:
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="postgresql-")))
        as_owner = self._as_owner(folder)
        (folder / "password").write_text(self.password)
        data = folder / "data"
        command = [str(self._programs / "initdb"), "-D", str(data), "-U", _OWNER, "-A", "scram-sha-256"]
        subprocess.run(
            [*as_owner, *command, "--no-sync", f"--pwfile={folder / 'password'}"], capture_output=True, check=True
        )

        def start() -> contextlib.AbstractContextManager[object]:
            self.port = free_port()
            options = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
            options["unix_socket_directories"] = str(folder)  # type: ignore[assignment]  # values are printed
            settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
            server = [*as_owner, str(self._programs / "postgres"), "-D", str(data), *settings]
            ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
            return running(
                server,
                log=folder / "log",
                answers=lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0,
            )

        enter_on_free_ports(self._cleanup, start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _psql(self, user: str) -> list[str]:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "postgres"]
        return [str(self._programs / "psql"), *where, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]

    def _as_owner(self, folder: Path) -> list[str]:
        """Return what goes before a command: PostgreSQL does not run as root."""
        if os.geteuid() != 0:
            return []
        owner = pwd.getpwnam(_OWNER)
        shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        (folder / "log").touch()
        return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
