"""ZooKeeper on a loopback port with DIGEST-MD5, or with Kerberos, in a temporary directory."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interop.daemon import enter_on_free_ports, free_port, running
from interop.kdc import Kdc
from interop.people import ALICE, BOB
from interop.require import program, require_peer

_JAR: Final = "/usr/share/java/zookeeper.jar"  # it names those that it needs
_MAIN: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_CONFIGURATION: Final = """\
tickTime=2000
dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
4lw.commands.whitelist=ruok
"""
_LOGIN: Final = """\
Server {{
  org.apache.zookeeper.server.auth.DigestLoginModule required
  {users};
}};
"""
_KERBEROS: Final = """\
Server {{
  com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true useTicketCache=false
    keyTab="{keytab}" principal="zookeeper/localhost";
}};
"""


@contextlib.contextmanager
def zookeeper(kdc: Kdc | None = None) -> Iterator[int]:
    """Run it for as long as the block lasts, with alice and bob; the port. Skips the test where there is none.

    Args:
        kdc: A realm, whose tickets it takes in place of passwords.
    """
    require_peer("zookeeper", "java")
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-zookeeper-")))
        ports: list[int] = []
        realm: tuple[str, ...] = ()
        if kdc is None:
            users = "\n  ".join(f'user_{person.name}="{person.password}"' for person in (ALICE, BOB))
            login = _LOGIN.format(users=users)
        else:
            keytab = folder / "keytab"
            kdc.kadmin("addprinc -randkey zookeeper/localhost", f"ktadd -norandkey -k {keytab} zookeeper/localhost")
            login = _KERBEROS.format(keytab=keytab)
            realm = (f"-Djava.security.krb5.conf={kdc.environment['KRB5_CONFIG']}",)

        def start() -> contextlib.AbstractContextManager[object]:
            port = free_port()
            ports.append(port)
            (folder / "login.conf").write_text(login, encoding="utf-8")
            (folder / "zoo.cfg").write_text(_CONFIGURATION.format(folder=folder, port=port), encoding="utf-8")
            command = [program("java"), "-Xmx256m", *realm, f"-Djava.security.auth.login.config={folder}/login.conf",
                       "-cp", _JAR, _MAIN, str(folder / "zoo.cfg")]  # fmt: skip
            return running(command, log=folder / "log", answers=lambda: _answers(port), timeout=60)

        enter_on_free_ports(cleanup, start)
        yield ports[-1]


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
        probe.sendall(b"ruok")
        return probe.recv(4) == b"imok"
