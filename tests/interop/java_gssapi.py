"""OpenJDK as the other side of GSSAPI: JavaGssapi.java in a process of its own, a message a line."""

import base64
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interop.kdc import Kdc
from interop.people import ALICE
from interop.require import program, require_peer

_SOURCE: Final = Path(__file__).with_name("JavaGssapi.java")
_LOGIN: Final = """\
com.sun.security.jgss.initiate {{
  com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true doNotPrompt=true ticketCache="{cache}";
}};
com.sun.security.jgss.accept {{
  com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true doNotPrompt=true
    isInitiator=false keyTab="{keytab}" principal="ldap/localhost";
}};
"""


class JavaPeer:
    """One side of an exchange; messages go in and come out as they are."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def send(self, message: bytes) -> None:
        """Give the peer a message."""
        self._write("=" + base64.b64encode(message).decode())

    def receive(self) -> bytes | None:
        """Return the peer's message, or None where it says that it has none."""
        line = self._read()
        return None if line == "-" else base64.b64decode(line[1:])

    def done(self) -> list[str]:
        """Wait for the end of the exchange; return what the peer tells of it, the quality of protection first."""
        line = self._read()
        assert line.startswith("done "), line
        return line.split()[1:]

    def wrap(self, data: bytes) -> bytes:
        """Protect data; Java's wrapped messages have no length before them."""
        return self._code("wrap", data)

    def unwrap(self, data: bytes) -> bytes:
        """Open a message without its length."""
        return self._code("unwrap", data)

    def _code(self, what: str, data: bytes) -> bytes:
        self._write(f"{what} ={base64.b64encode(data).decode()}")
        answer = self.receive()
        assert answer is not None
        return answer

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(timeout=30)
            assert self._process.stderr is not None
            raise AssertionError(f"Java ended:\n{self._process.stderr.read()}")
        return line.rstrip("\n")


@contextlib.contextmanager
def java_peer(kdc: Kdc, side: str, qop: str) -> Iterator[JavaPeer]:
    """Run OpenJDK's "client" or "server" with alice's tickets and the services' keytab."""
    require_peer("java")
    login = kdc.folder / "java-login.conf"
    cache = kdc.tickets(ALICE).removeprefix("FILE:")
    login.write_text(_LOGIN.format(cache=cache, keytab=kdc.keytab), encoding="utf-8")
    options = [
        f"-Djava.security.krb5.conf={kdc.environment['KRB5_CONFIG']}",
        f"-Djava.security.auth.login.config={login}",
        "-Djavax.security.auth.useSubjectCredsOnly=false",
        "-Dsun.security.krb5.rcache=none",
    ]
    pipe = subprocess.PIPE
    command = [program("java"), *options, str(_SOURCE), side, qop]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield JavaPeer(process)
        finally:
            process.kill()
