"""OpenLDAP's slapd with Cyrus SASL on a loopback port, configuration and database in a temporary directory.

slapd does not look at SASL_CONF_PATH; what it tells Cyrus SASL comes from the `sasl-` lines of its own configuration.
The passwords stand in the directory in clear text, where the `slapd` auxprop plugin finds them: no sasldb, no root.
"""

import base64
import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.certificate import ServerCertificate, make_server_certificate
from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import ALICE, BOB, PEOPLE, REALM, Person
from interop.require import program, require_peer

SUFFIX: Final = "dc=example,dc=test"
PEOPLE_BASE: Final = f"ou=people,{SUFFIX}"
MANY_BASE: Final = f"ou=many,{SUFFIX}"

_SCHEMA_FOLDERS: Final = ("/etc/ldap/schema", "/etc/openldap/schema")
_MODULE_FOLDERS: Final = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap")

# LDAPv3 simple bind as nobody, message 1, and the answer "success" (RFC 4511 section 4.2).
_ANONYMOUS_BIND: Final = bytes.fromhex("300c020101600702010304008000")
_BIND_SUCCESS: Final = bytes.fromhex("300c02010161070a010004000400")

_CONFIGURATION: Final = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
{load_backend}
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
sizelimit unlimited
timelimit unlimited
TLSCACertificateFile {tls.ca_file}
TLSCertificateFile {tls.certificate_file}
TLSCertificateKeyFile {tls.key_file}
sasl-host {host}
sasl-realm {realm}
sasl-auxprops slapd
sasl-secprops {sasl_secprops}
authz-regexp "^uid=([^,]+),(cn=[^,]+,)?cn=[^,]+,cn=auth$" "uid=$1,{people}"
authz-policy to
{extra}
database mdb
suffix {suffix}
rootdn cn=admin,{suffix}
directory {folder}/database
maxsize 268435456
dbnosync
index objectClass,uid eq
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""


@dataclass(frozen=True)
class LdapUser(Person):
    """A person of the directory. `dn` is what "Who am I?" answers after "dn:"."""

    dn: str


class Slapd:
    """A slapd of one's own: `with Slapd() as slapd: ... slapd.url`.

    Attributes:
        host: The name clients should use; the certificate has it, and the digest-uri should.
        port: Plain LDAP and StartTLS.
        tls_port: LDAPS.
        realm: The only realm that it offers.
        suffix: The directory's suffix.
        many_base: The base below which the `entries` numbered entries lie.
        entries: How many they are.
        ca_file: What a TLS client has to trust.
        log_file: What slapd printed (`debug` says how much).
    """

    host: Final = "localhost"
    realm: Final = REALM
    suffix: Final = SUFFIX
    many_base: Final = MANY_BASE

    def __init__(
        self,
        *,
        sasl_secprops: str = "none",
        entries: int = 0,
        extra: str = "",
        debug: str = "0",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a server; nothing runs before the `with`.

        Args:
            sasl_secprops: The value of `sasl-secprops`, such as "minssf=56,maxbufsize=4096".
            entries: How many entries to put below `many_base`.
            extra: More lines for the global part of slapd.conf.
            debug: slapd's -d, such as "stats" or "packets,ber".
            environment: More variables for slapd, such as those of a Kerberos realm.
        """
        self.entries = entries
        self._sasl_secprops = sasl_secprops
        self._extra = extra
        self._debug = debug
        self._environment = None if environment is None else os.environ | dict(environment)
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Load the directory and start slapd; skips the running test where there is none."""
        require_peer("slapd")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-slapd-")))
            self._certificate = make_server_certificate(self.folder)
            self.ca_file = self._certificate.ca_file
            self.log_file = self.folder / "slapd.log"
            configuration = self._write_configuration(self._certificate)
            self._load(configuration)
            enter_on_free_ports(cleanup, lambda: self._started(configuration))
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End slapd and remove its files."""
        self._cleanup.close()

    @property
    def url(self) -> str:
        """ldap://HOST:PORT, for plain LDAP and StartTLS."""
        return f"ldap://{self.host}:{self.port}"

    @property
    def tls_url(self) -> str:
        """ldaps://HOST:PORT."""
        return f"ldaps://{self.host}:{self.tls_port}"

    def user(self, name: str) -> LdapUser:
        """Return one of the people that the directory holds."""
        person = PEOPLE[name]
        return LdapUser(person.name, person.password, _dn(person))

    def log(self) -> str:
        """Return what slapd has printed so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def _write_configuration(self, tls: ServerCertificate) -> Path:
        path = self.folder / "slapd.conf"
        modules = _first_folder(_MODULE_FOLDERS, "back_mdb.*")
        text = _CONFIGURATION.format(
            schema=_first_folder(_SCHEMA_FOLDERS, "core.schema"),
            load_backend=f"modulepath {modules}\nmoduleload back_mdb" if modules else "",
            folder=self.folder,
            tls=tls,
            host=self.host,
            realm=self.realm,
            sasl_secprops=self._sasl_secprops,
            suffix=SUFFIX,
            people=PEOPLE_BASE,
            extra=self._extra,
        )
        path.write_text(text, encoding="utf-8")
        return path

    def _load(self, configuration: Path) -> None:
        (self.folder / "database").mkdir()
        ldif = self.folder / "directory.ldif"
        ldif.write_text("\n\n".join(_entries(self.entries)) + "\n", encoding="utf-8")
        command = [program("slapadd"), "-q", "-f", str(configuration), "-l", str(ldif)]
        loaded = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if loaded.returncode:
            raise ServerDidNotStart(f"slapadd ended with {loaded.returncode}:\n{loaded.stderr}")

    def _started(self, configuration: Path) -> contextlib.AbstractContextManager[object]:
        self.port, self.tls_port = free_port(), free_port()
        listeners = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        command = [program("slapd"), "-f", str(configuration), "-h", listeners, "-d", self._debug]
        return running(command, log=self.log_file, answers=self._answers, environment=self._environment)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(_ANONYMOUS_BIND)
            return connection.recv(len(_BIND_SUCCESS)) == _BIND_SUCCESS


def _first_folder(folders: tuple[str, ...], pattern: str) -> str:
    return next((folder for folder in folders if any(Path(folder).glob(pattern))), "")


def _dn(person: Person) -> str:
    return f"uid={person.name},{PEOPLE_BASE}"


def _entries(count: int) -> Iterator[str]:
    yield f"dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: Example"
    for base in (PEOPLE_BASE, MANY_BASE):
        yield f"dn: {base}\nobjectClass: organizationalUnit"
    for person in PEOPLE.values():
        lines = [
            "objectClass: inetOrgPerson",
            _line("uid", person.name),
            _line("cn", person.name),
            _line("sn", person.name),
            _line("userPassword", person.password),
        ]
        if person is ALICE:
            lines.append(f"authzTo: dn.exact:{_dn(BOB)}")  # alice may act as bob, and nobody else as anybody
        yield "\n".join([_line("dn", _dn(person)), *lines])
    for number in range(count):
        name = f"entry{number:05}"
        yield (
            f"dn: uid={name},{MANY_BASE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: Entry {number}\nsn: Entry\n"
            f"description: Entry number {number} of many, long enough to fill a security layer's buffers"
        )


def _line(attribute: str, value: str) -> str:
    # RFC 2849: a value that is not plain ASCII travels in base64.
    if value.isascii():
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"
