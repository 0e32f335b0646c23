"""MIT's KDC on a loopback port, with a realm, keytabs and tickets of its own in a temporary directory.

Nothing of the machine's own Kerberos is read or written: KRB5_CONFIG, KRB5CCNAME, KRB5_KTNAME and the replay cache
all point into the directory. `Kdc.environment` has them for a child, `inside` sets them for a block.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import ALICE, BOB, Person
from interop.require import program, require_peer

REALM: Final = "EXAMPLE.TEST"
SERVICES: Final = ("ldap", "imap", "HTTP")
ENCTYPE_SERVICE: Final = "smtp"
STRANGER: Final = "ldap/elsewhere.example.test"

_MASTER_PASSWORD: Final = "of the test's own database"

_CLIENT_CONFIGURATION: Final = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    forwardable = true
    allow_rc4 = true
    allow_des3 = true
    permitted_enctypes = {enctypes}
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {realm}
    .example.test = {realm}
"""
_KDC_CONFIGURATION: Final = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        supported_enctypes = aes256-cts:normal aes128-cts:normal
    }}
[logging]
    kdc = STDERR
"""
ALL_ENCTYPES: Final = "aes256-cts aes128-cts aes256-sha2 aes128-sha2 camellia256-cts des3-cbc-sha1 arcfour-hmac"


class Kdc:
    """A realm of one's own: `with Kdc() as kdc, kdc.inside(): ...`.

    alice and bob have the passwords of people.py. The keytab holds ldap, imap and HTTP at localhost, another host's
    ldap, and for each encryption type an smtp service at a host of that name, whose sessions are of that type alone.

    Attributes:
        realm: Its name.
        port: Where the KDC listens, TCP and UDP.
        folder: Everything that it wrote.
        keytab: The keys of the services.
    """

    realm: Final = REALM

    def __init__(self) -> None:
        """Describe a realm; nothing runs before the `with`."""
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the database and start the KDC; skips the running test where there is none."""
        require_peer("krb5-kdc", "gssapi")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-kdc-")))
            self.keytab = self.folder / "services.keytab"
            self.port = free_port()
            self._configure()
            self._make_database()
            enter_on_free_ports(cleanup, self._started)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the KDC and remove its files."""
        self._cleanup.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to be in this realm, with no ticket yet."""
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{self.folder}/none",
            "KRB5_KTNAME": f"FILE:{self.keytab}",
            "KRB5RCACHENAME": f"file2:{self.folder}/replays",
        }

    @contextlib.contextmanager
    def inside(self, **more: str) -> Iterator[None]:
        """Put this process into the realm for as long as the block lasts."""
        wanted = self.environment | more
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def tickets(self, person: Person, *, options: tuple[str, ...] = ()) -> str:
        """Get a ticket with kinit and return the name of the cache that holds it, and nothing else."""
        cache = f"FILE:{tempfile.mkdtemp(dir=self.folder)}/{person.name}"
        command = [program("kinit"), *options, person.name]
        self._run(command, environment={"KRB5CCNAME": cache}, text=f"{person.password}\n")
        return cache

    def as_user(self, person: Person) -> contextlib.AbstractContextManager[None]:
        """Put this process into the realm with a person's tickets."""
        return self.inside(KRB5CCNAME=self.tickets(person))

    def configuration(self, *, enctypes: str) -> str:
        """Write another krb5.conf with these encryption types and return its name, for KRB5_CONFIG."""
        path = self.folder / f"krb5-{enctypes.replace(' ', '-')}.conf"
        path.write_text(_CLIENT_CONFIGURATION.format(realm=REALM, port=self.port, enctypes=enctypes), encoding="utf-8")
        return str(path)

    def kadmin(self, *queries: str) -> None:
        """Run kadmin.local commands."""
        for query in queries:
            self._run([program("kadmin.local"), "-r", REALM, "-q", query])

    def _started(self) -> contextlib.AbstractContextManager[object]:
        self.port = free_port()
        self._configure()
        return running(
            [program("krb5kdc"), "-n", "-r", REALM, "-P", str(self.folder / "krb5kdc.pid")],
            log=self.folder / "kdc.log",
            answers=self._answers,
            environment=self._server_environment(),
        )

    def _configure(self) -> None:
        client = _CLIENT_CONFIGURATION.format(realm=REALM, port=self.port, enctypes=ALL_ENCTYPES)
        (self.folder / "krb5.conf").write_text(client, encoding="utf-8")
        server = _KDC_CONFIGURATION.format(realm=REALM, port=self.port, folder=self.folder)
        (self.folder / "kdc.conf").write_text(server, encoding="utf-8")

    def _make_database(self) -> None:
        self._run([program("kdb5_util"), "create", "-s", "-r", REALM, "-P", _MASTER_PASSWORD])
        principals = [*(f"{service}/localhost" for service in SERVICES), STRANGER]
        for enctype in ALL_ENCTYPES.split():
            name = f"{ENCTYPE_SERVICE}/{enctype}"
            self.kadmin(
                f"addprinc -randkey -e {enctype}:normal {name}",
                f"setstr {name} session_enctypes {enctype}",
                f"ktadd -norandkey -k {self.keytab} {name}",
            )
        self.kadmin(
            *(f"addprinc -pw {person.password} {person.name}" for person in (ALICE, BOB)),
            "modprinc +requires_preauth bob",
            *(f"addprinc -randkey {name}" for name in principals),
            f"ktadd -k {self.keytab} {' '.join(principals)}",
        )

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True

    def _server_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            **self.environment,
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
        }

    def _run(self, command: list[str], *, environment: Mapping[str, str] | None = None, text: str = "") -> None:
        ended = subprocess.run(
            command,
            env=self._server_environment() | dict(environment or {}),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if ended.returncode:
            raise ServerDidNotStart(f"{command} ended with {ended.returncode}:\n{ended.stderr}")


@pytest.fixture(scope="session")
def kdc() -> Iterator[Kdc]:
    """One realm for the tests of a folder; its conftest imports this name."""
    with Kdc() as running_kdc:
        yield running_kdc
