"""A Samba domain controller in a network namespace of its own, its database in a temporary directory.

Samba's LDAP server and KDC cannot leave ports 389 and 88. So they run where these ports are free: a namespace that only
root can make, and a thread that lives in it. A test's client runs there too: `samba.within(lambda: ...)`.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import pytest

from interop.certificate import make_server_certificate
from interop.daemon import ServerDidNotStart, running
from interop.people import PEOPLE
from interop.require import give_up, program, require_peer

_T = TypeVar("_T")

_CLONE_NEWNET: Final = 0x40000000
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_OPTIONS: Final = {
    "interfaces": "lo",
    "bind interfaces only": "yes",
    "log level": "1",
    "posix:eadb": "{folder}/eadb.tdb",  # the file system may have no extended attributes
    "tls certfile": "{folder}/server.pem",
    "tls keyfile": "{folder}/server.key",
    "tls cafile": "{folder}/ca.pem",
    # In clear a layer is demanded. Under TLS none is taken; what "yes" means there depends on the version.
    "ldap server require strong auth": "{strong_auth}",
}
_KERBEROS: Final = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
[realms]
    {realm} = {{
        kdc = 127.0.0.1
    }}
[domain_realm]
    .example.test = {realm}
"""


class Samba:
    """A domain of one's own: `with Samba() as samba: samba.within(...)`. The tests' people are in it.

    Attributes:
        host: The controller's full name, which its service principals have.
        realm: The Kerberos realm, which is the domain's name too.
        domain: Its NetBIOS name.
        base: The domain's entry.
        demands_bindings: Whether a bind inside TLS needs channel bindings; Samba knows them from 4.21 on.
        ca_file: What a TLS client has to trust.
    """

    host: Final = "dc.example.test"
    realm: Final = "EXAMPLE.TEST"
    domain: Final = "EXAMPLE"
    base: Final = "DC=example,DC=test"

    def __init__(self) -> None:
        """Describe a domain; nothing runs before the `with`."""
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Provision the domain and start its controller; skips the running test where that cannot be."""
        require_peer("samba")
        if os.geteuid() != 0:
            give_up("Samba's ports need a network namespace, which only root can make")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-samba-")))
            self.ca_file = make_server_certificate(self.folder).ca_file
            self._configuration = self.folder / "etc" / "smb.conf"
            self.demands_bindings = _version() >= (4, 21)
            self._provision()
            self._thread = cleanup.enter_context(ThreadPoolExecutor(1, initializer=_leave_the_network))
            command = [program("samba"), "--configfile", str(self._configuration), "--interactive", "--model=single"]
            samba = running(command, log=self.folder / "samba.log", answers=self._answers)
            self.within(lambda: cleanup.enter_context(samba))
            cleanup.enter_context(self._known_realm())
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End Samba and remove its files."""
        self._cleanup.close()

    def within(self, call: Callable[[], _T]) -> _T:
        """Call a function in the thread from which Samba can be reached, and return what it returns."""
        return self._thread.submit(call).result()

    def _answers(self) -> bool:
        for port in (88, 389, 636):
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                pass
        return True

    def _provision(self) -> None:
        values = {
            "folder": self.folder,
            "strong_auth": "yes" if self.demands_bindings else "allow_sasl_over_tls",
        }
        self._run(
            *("domain", "provision", f"--targetdir={self.folder}", f"--realm={self.realm}", f"--domain={self.domain}"),
            *("--server-role=dc", "--dns-backend=NONE", "--host-name=dc", "--host-ip=127.0.0.1"),
            *(f"--option={name}={value.format(**values)}" for name, value in _OPTIONS.items()),
        )
        text = self._configuration.read_text(encoding="utf-8")
        self._configuration.write_text(
            text.replace("[global]", "[global]\n\tserver services = ldap, kdc, cldap", 1), encoding="utf-8"
        )
        database = ["--configfile", str(self._configuration), "-H", str(self.folder / "private" / "sam.ldb")]
        loose = ("--complexity=off", "--min-pwd-length=1", "--min-pwd-age=0", "--history-length=0")
        self._run("domain", "passwordsettings", "set", *loose, *database)
        for person in PEOPLE.values():
            self._run("user", "add", person.name, person.password, *database)
        self._run("spn", "add", f"ldap/{self.host}", "DC$", *database)

    def _run(self, *arguments: str) -> None:
        command = [program("samba-tool"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise ServerDidNotStart(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    @contextlib.contextmanager
    def _known_realm(self) -> Iterator[None]:
        path = self.folder / "krb5.conf"
        path.write_text(_KERBEROS.format(realm=self.realm), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KRB5_CONFIG", str(path))
            patch.setenv("KRB5CCNAME", f"FILE:{self.folder}/none")
            yield


def _version() -> tuple[int, ...]:
    told = subprocess.run([program("samba"), "--version"], capture_output=True, text=True, check=True, timeout=30)
    return tuple(map(int, told.stdout.split()[1].split(".")[:2]))


def _leave_the_network() -> None:
    """Move this thread, and what it starts, into a network of its own, in which there is nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)  # Python has os.unshare from 3.12 on
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
