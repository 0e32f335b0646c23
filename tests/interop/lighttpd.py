"""lighttpd on a loopback port with Digest, MD5 and SHA-256, configuration and files in a temporary directory."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.daemon import enter_on_free_ports, free_port, running
from interop.people import ALICE, BOB, REALM
from interop.require import program, require_peer

_CONFIGURATION: Final = """\
server.document-root = "{folder}/www"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ( "mod_auth", "mod_authn_file" )
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{folder}/users"
$HTTP["url"] =~ "^/md5/" {{
  auth.require = ( "" => ( "method" => "digest", "realm" => "{realm}", "require" => "valid-user" ) )
}}
$HTTP["url"] =~ "^/sha256/" {{
  auth.require = ( "" => ( "method" => "digest", "realm" => "{realm}", "require" => "valid-user",
    "algorithm" => "SHA-256" ) )
}}
"""


class Lighttpd:
    """A lighttpd of one's own: `with Lighttpd() as server: ... server.url + "md5/page"`. alice and bob may read it.

    Attributes:
        text: What is in the pages `md5/page` and `sha256/page`.
    """

    text: Final = "tea for two"

    def __init__(self) -> None:
        """Describe a server; nothing runs before the `with`."""
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start it; skips the running test where there is none."""
        require_peer("lighttpd")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-lighttpd-")))
            for name in ("md5", "sha256"):
                (self.folder / "www" / name).mkdir(parents=True)
                (self.folder / "www" / name / "page").write_text(self.text, encoding="utf-8")
            secrets = [f"{person.name}:{REALM}:{person.password}" for person in (ALICE, BOB)]
            lines = [
                f"{secret.rpartition(':')[0]}:{hashlib.new(name, secret.encode()).hexdigest()}\n"
                for secret in secrets
                for name in ("md5", "sha256")
            ]
            (self.folder / "users").write_text("".join(lines), encoding="utf-8")
            enter_on_free_ports(cleanup, self._started)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End it and remove its files."""
        self._cleanup.close()

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end."""
        return f"http://127.0.0.1:{self._port}/"

    def _started(self) -> contextlib.AbstractContextManager[object]:
        self._port = free_port()
        configuration = self.folder / "lighttpd.conf"
        text = _CONFIGURATION.format(folder=self.folder, port=self._port, realm=REALM)
        configuration.write_text(text, encoding="utf-8")
        command = [program("lighttpd"), "-D", "-f", str(configuration)]
        return running(command, log=self.folder / "output.log", answers=self._answers)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port), timeout=2):
            return True
