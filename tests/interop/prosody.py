"""Prosody on a loopback port: XMPP with StartTLS, SCRAM and PLAIN, in a temporary directory.

Its SCRAM has tls-unique's channel bindings inside TLS 1.2 and none inside 1.3.
"""

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.certificate import make_server_certificate
from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import ALICE, HANAKO, JOERG
from interop.require import program, require_peer

_CONFIGURATION: Final = """\
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}/certs"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping" }}
modules_disabled = {{ "s2s" }}
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
c2s_require_encryption = true
authentication = "internal_plain"
VirtualHost "localhost"
"""


@dataclass(frozen=True)
class Prosody:
    """Where it listens, and what a TLS client has to trust."""

    port: int
    ca_file: Path


@contextlib.contextmanager
def prosody() -> Iterator[Prosody]:
    """Run it for as long as the block lasts, with alice, jörg and 花子; skips the test where there is none."""
    require_peer("prosody")
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-prosody-")))
        made = make_server_certificate(folder)
        certificates = folder / "certs"
        certificates.mkdir()
        made.certificate_file.rename(certificates / "localhost.crt")
        made.key_file.rename(certificates / "localhost.key")
        configuration = folder / "prosody.cfg.lua"
        ports: list[int] = []

        def start() -> contextlib.AbstractContextManager[object]:
            ports.append(free_port())
            configuration.write_text(_CONFIGURATION.format(folder=folder, port=ports[-1]), encoding="utf-8")
            _register(configuration)
            command = [program("prosody"), "--config", str(configuration), "-F"]
            return running(command, log=folder / "log", answers=lambda: _answers(ports[-1]))

        enter_on_free_ports(cleanup, start)
        yield Prosody(ports[-1], made.ca_file)


def _register(configuration: Path) -> None:
    for person in (ALICE, JOERG, HANAKO):
        command = [program("prosodyctl"), "--config", str(configuration), "register", person.name, "localhost"]
        done = subprocess.run([*command, person.password], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ServerDidNotStart(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
