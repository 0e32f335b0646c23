"""Cyrus IMAP on a loopback port: DIGEST-MD5 with every layer, configuration and mail in a temporary directory.

Debian's cyrus-imapd and dovecot-imapd exclude each other as packages; all that they would fight over is the program
imapd. So when it is not installed, its package is fetched with apt-get and unpacked into the tree's .cache. The rest,
cyrus-common, is installed. As root the processes run as Debian's user cyrus, otherwise as whoever runs the tests.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from interop.certificate import make_server_certificate
from interop.daemon import enter_on_free_ports, free_port, running
from interop.people import PEOPLE
from interop.require import find_program, give_up, program, require_peer

_PROGRAMS: Final = Path("/usr/lib/cyrus/bin")
_CACHE: Final = Path(__file__).parents[2] / ".cache" / "cyrus-imapd"

_CONFIGURATION: Final = """\
configdirectory: {folder}/config
partition-default: {folder}/mail
defaultpartition: default
proc_path: {folder}/config/proc
mboxname_lockpath: {folder}/config/lock
lmtpsocket: {folder}/config/socket/lmtp
idlesocket: {folder}/config/socket/idle
notifysocket: {folder}/config/socket/notify
cyrus_user: {user}
cyrus_group: {group}
servername: {host}
loginrealms: {host}
admins: cyrus
unixhierarchysep: yes
autocreate_post: yes
autocreate_quota: 0
autocreate_users: anyone
allowplaintext: no
failedloginpause: 0
maxmessagesize: 0
maxliteral: 0
syslog_prefix: saslsspi-tests
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb2
sasl_mech_list: DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 PLAIN
sasl_minimum_layer: {min_ssf}
sasl_maximum_layer: {max_ssf}
tls_server_cert: {tls.certificate_file}
tls_server_key: {tls.key_file}
tls_session_timeout: 0
allowstarttls: yes
"""

_SERVICES: Final = """\
START {{
}}
SERVICES {{
  imap cmd="{imapd} -C {folder}/imapd.conf" listen="127.0.0.1:{port}" prefork=0
}}
EVENTS {{
}}
"""


def imapd_program() -> Path:
    """Return where Cyrus's imapd is, fetched if need be; skip the running test where it cannot be had."""
    require_peer("cyrus-common")
    installed = _PROGRAMS / "imapd"
    fetched = _CACHE / "usr/lib/cyrus/bin/imapd"
    if not installed.exists() and not fetched.exists():
        _fetch()
    return installed if installed.exists() else fetched


def _fetch() -> None:
    """Download the package and unpack it; its version has to be that of the libraries that are installed."""
    version = _version_of_common()
    with tempfile.TemporaryDirectory(prefix="saslsspi-fetch-") as folder:
        command = ["apt-get", "download", "--quiet", f"cyrus-imapd={version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        packages = list(Path(folder).glob("*.deb"))
        if done.returncode or not packages:
            give_up(f"cyrus-imapd is not here and cannot be fetched: {done.stderr.strip()[-200:]}")
        _CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "--extract", str(packages[0]), str(_CACHE)], check=True, timeout=120)


def _version_of_common() -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", "cyrus-common"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout


class CyrusImap:
    """A Cyrus IMAP server of one's own: `with CyrusImap() as cyrus: ... cyrus.port`.

    Attributes:
        host: The name clients should use, and the realm that it offers.
        port: IMAP and STARTTLS.
        ca_file: What a TLS client has to trust.
    """

    host: Final = "localhost"
    realm: Final = "localhost"

    def __init__(self, *, min_ssf: int = 0, max_ssf: int = 256) -> None:
        """Describe a server; nothing runs before the `with`."""
        self._layers = (min_ssf, max_ssf)
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start Cyrus; skips the running test where there is none."""
        imapd = imapd_program()
        require_peer("saslpasswd2")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-cyrus-")))
            self._certificate = make_server_certificate(self.folder)
            self.ca_file = self._certificate.ca_file
            imapd = Path(shutil.copy(imapd, self.folder))  # the user cyrus may not be allowed into the tree's folder
            for name in ("config", "config/socket", "config/proc", "config/lock", "config/db", "config/log", "mail"):
                (self.folder / name).mkdir()
            make_sasldb(self.folder / "sasldb2", self.realm)
            enter_on_free_ports(cleanup, lambda: self._started(imapd))
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End Cyrus and remove its files."""
        self._cleanup.close()

    def _started(self, imapd: Path) -> contextlib.AbstractContextManager[object]:
        self.port = free_port()
        return running(self._command(imapd), log=self.folder / "output.log", answers=self._answers)

    def _command(self, imapd: Path) -> list[str]:
        owner = pwd.getpwnam("cyrus") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        configuration = self.folder / "imapd.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self.folder,
                user=owner.pw_name,
                group=_group_name(owner.pw_gid),
                host=self.host,
                min_ssf=self._layers[0],
                max_ssf=self._layers[1],
                tls=self._certificate,
            ),
            encoding="utf-8",
        )
        services = self.folder / "cyrus.conf"
        services.write_text(
            _SERVICES.format(imapd=imapd, folder=self.folder, port=self.port),
            encoding="utf-8",
        )
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        master = str(_PROGRAMS / "master")
        return [master, "-C", str(configuration), "-M", str(services), "-p", str(self.folder / "pid"), "-D"]

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(1000).startswith(b"* OK")


def has_its_layer_in_time() -> bool:
    """Whether the layer begins where it should: Cyrus 3.10 has its tagged OK under it already.

    RFC 3501 section 6.2.2: the layer "takes effect immediately following the CRLF [...] of the tagged OK response for
    the server".
    """
    return not _version_of_common().startswith("3.10.")


def expect_a_layer_in_time() -> None:
    """Mark the running test as one that a Cyrus whose layer begins too early cannot pass."""
    if not has_its_layer_in_time():
        pytest.xfail("Cyrus IMAP 3.10 sends the tagged OK of AUTHENTICATE under the layer that begins behind it")


def make_sasldb(path: Path, realm: str) -> None:
    """Write Cyrus SASL's own password file with all people of the tests in one realm."""
    for person in PEOPLE.values():
        command = [program("saslpasswd2"), "-c", "-p", "-f", str(path), "-u", realm, person.name]
        subprocess.run(command, input=person.password.encode(), check=True, capture_output=True, timeout=30)


def _group_name(number: int) -> str:
    import grp

    return grp.getgrgid(number).gr_name


def mail_test_program(name: str) -> str:
    """Return the path of imtest, pop3test or smtptest."""
    require_peer("cyrus-clients")
    found = find_program(name)
    assert found is not None
    return str(found)
