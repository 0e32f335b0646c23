"""Exim on a loopback port. Debian's Exim and Postfix exclude each other as packages, so its package is fetched with
apt-get and unpacked into the tree's .cache, and run from there.

It asks a socket of Dovecot's authentication protocol about everybody, and takes no mail but throws it away.
"""

import contextlib
import os
import pwd
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.certificate import make_server_certificate
from interop.daemon import enter_on_free_ports, free_port, running
from interop.require import find_program, give_up, require_peer

_CACHE: Final = Path(__file__).parents[2] / ".cache" / "exim"
_PACKAGE: Final = "exim4-daemon-heavy"  # the light one has no `driver = dovecot`

# Debian's Exim looks for its user by name before it reads a configuration; the package would make that user.
_USER: Final = "Debian-exim"

_AUTHENTICATOR: Final = """\
{name}:
  driver = dovecot
  public_name = {mechanism}
  server_socket = {path}
  server_set_id = $auth1
"""
_CONFIGURATION: Final = """\
primary_hostname = localhost
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
exim_user = {user}
exim_group = {group}
tls_advertise_hosts = *
tls_certificate = {tls.certificate_file}
tls_privatekey = {tls.key_file}
auth_advertise_hosts = *
acl_smtp_rcpt = acl_rcpt
smtp_accept_max = 200
smtp_accept_max_per_host = 200
keep_environment =
never_users =
begin acl
acl_rcpt:
  accept authenticated = *
  deny message = log on first
begin routers
nowhere:
  driver = redirect
  data = :blackhole:
begin authenticators
{authenticators}
"""


class Exim:
    """An Exim of one's own: `with Exim(path, ["PLAIN"]) as exim: ... exim.port`.

    Args:
        authentication: A socket of Dovecot's authentication protocol.
        mechanisms: The names to offer.

    Attributes:
        host: The name clients should use; the certificate has it.
        port: SMTP and STARTTLS.
        ca_file: What a TLS client has to trust.
    """

    host: Final = "localhost"

    def __init__(self, authentication: Path, mechanisms: list[str]) -> None:
        self._authentication = authentication
        self._mechanisms = mechanisms
        self._cleanup = contextlib.ExitStack()
        self.port = 0

    def __enter__(self) -> Self:
        """Start Exim; skips the running test where there is none, or where it may not run."""
        require_peer("apt-get")
        if os.geteuid() != 0:
            give_up("Exim changes its user, and starts as root only")
        program = _program()
        with contextlib.ExitStack() as cleanup:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-exim-")))
            folder.chmod(0o755)
            tls = make_server_certificate(folder)
            tls.key_file.chmod(0o644)
            self.ca_file = tls.ca_file
            owner = pwd.getpwnam("mail")
            passwd = folder / "passwd"
            passwd.write_text(
                Path("/etc/passwd").read_text() + f"{_USER}:x:{owner.pw_uid}:{owner.pw_gid}::/:/usr/sbin/nologin\n"
            )
            group = folder / "groups"
            group.write_text(Path("/etc/group").read_text() + f"{_USER}:x:{owner.pw_gid}:\n")
            names = {
                **os.environ,
                "LD_PRELOAD": "libnss_wrapper.so",
                "NSS_WRAPPER_PASSWD": str(passwd),
                "NSS_WRAPPER_GROUP": str(group),
            }
            for name in ("spool", "log"):
                (folder / name).mkdir()
                os.chown(folder / name, owner.pw_uid, owner.pw_gid)

            def start() -> contextlib.AbstractContextManager[object]:
                self.port = free_port()
                authenticators = "".join(
                    _AUTHENTICATOR.format(
                        name=mechanism.lower().replace("-", "_"), mechanism=mechanism, path=self._authentication
                    )
                    for mechanism in self._mechanisms
                )
                (folder / "exim.conf").write_text(
                    _CONFIGURATION.format(
                        port=self.port, folder=folder, tls=tls, user=_USER, group=_USER, authenticators=authenticators
                    )
                )
                command = [str(program), "-C", str(folder / "exim.conf"), "-bdf", "-oX", str(self.port)]
                return running(command, log=folder / "output.log", answers=self._answers, environment=names)

            enter_on_free_ports(cleanup, start)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(1000).startswith(b"220")


def _program() -> Path:
    """Return Exim's program, fetched and unpacked the first time."""
    program = _CACHE / "usr" / "sbin" / "exim4"
    if not program.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", _PACKAGE], cwd=_CACHE, capture_output=True, check=True)
        (package,) = _CACHE.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(_CACHE)], check=True)
    assert find_program("apt-get")
    return program
