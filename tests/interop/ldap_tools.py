"""OpenLDAP's ldapwhoami and ldapsearch: libldap with the Cyrus SASL client, run against a URL."""

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interop.people import Person
from interop.require import program, require_peer

_SSF: Final = re.compile(r"^SASL SSF: (\d+)$", re.MULTILINE)
_RESULT: Final = re.compile(r"^ldap_[a-z_]+: .* \((-?\d+)\)$", re.MULTILINE)
_TIMEOUT: Final = 60.0


@dataclass(frozen=True)
class ToolResult:
    """How one run of a tool ended.

    Attributes:
        exit_status: 0 when the whole operation succeeded.
        result_code: The LDAP result (negative: libldap's own), 0 on success.
        identity: ldapwhoami: what followed "dn:"; None when there was no answer.
        ssf: The security strength factor of the SASL layer; None when the bind did not succeed.
        dns: ldapsearch: the DN of every entry, in order.
        output: Standard output.
        diagnostics: Standard error, with the server's words on a refusal.
    """

    exit_status: int
    result_code: int
    identity: str | None
    ssf: int | None
    dns: tuple[str, ...]
    output: str
    diagnostics: str

    @property
    def ok(self) -> bool:
        """Whether the whole operation succeeded."""
        return self.exit_status == 0


@dataclass(frozen=True, kw_only=True)
class LdapTool:
    """How the tools are to bind. They run with -N, so that libldap takes the host as the URL names it.

    Attributes:
        mechanism: The SASL mechanism.
        person: Who binds.
        realm: The realm to claim; None takes the one that the server offers.
        authzid: An authorization identity, such as "u:bob"; None sends none.
        min_ssf: Least security strength factor.
        max_ssf: Greatest security strength factor; None for no limit.
        max_buffer: `maxbufsize`, in octets; None for Cyrus's own.
        start_tls: Whether to insist on StartTLS first.
        ca_file: What to trust in TLS.
        environment: More variables for the tool, such as those of a Kerberos realm.
    """

    mechanism: str = "DIGEST-MD5"
    person: Person
    realm: str | None = None
    authzid: str | None = None
    min_ssf: int = 0
    max_ssf: int | None = None
    max_buffer: int | None = None
    start_tls: bool = False
    ca_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def whoami(self, url: str) -> ToolResult:
        """Bind and ask "Who am I?" (RFC 4532)."""
        return self._run("ldapwhoami", url, [])

    def search(
        self,
        url: str,
        base: str,
        *,
        scope: str = "sub",
        filter_: str = "(objectClass=*)",
        attributes: Sequence[str] = (),
    ) -> ToolResult:
        """Bind and search; LDIF of the entries is in `output`, their names in `dns`."""
        wanted = ["-LLL", "-o", "ldif-wrap=no", "-b", base, "-s", scope, filter_, *attributes]
        return self._run("ldapsearch", url, wanted)

    def _run(self, tool: str, url: str, arguments: Sequence[str]) -> ToolResult:
        require_peer("ldap-utils")
        with tempfile.TemporaryDirectory(prefix="saslsspi-ldap-tools-") as folder:
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "LC_ALL": "C.UTF-8",
                "HOME": folder,  # no .ldaprc of the person who runs the tests
                "LDAPCONF": str(self._write_configuration(Path(folder))),
                **self.environment,
            }
            command = [program(tool), "-H", url, "-N", *self._bind_arguments(), *arguments]
            ended = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT
            )
        return _parse(ended.returncode, ended.stdout.decode(), ended.stderr.decode(errors="replace"))

    def _bind_arguments(self) -> list[str]:
        properties = [f"minssf={self.min_ssf}"]
        if self.max_ssf is not None:
            properties.append(f"maxssf={self.max_ssf}")
        if self.max_buffer is not None:
            properties.append(f"maxbufsize={self.max_buffer}")
        arguments = [
            "-Y",
            self.mechanism,
            "-U",
            self.person.name,
            "-w",
            self.person.password,
            "-O",
            ",".join(properties),
        ]
        if self.realm is not None:
            arguments += ["-R", self.realm]
        if self.authzid is not None:
            arguments += ["-X", self.authzid]
        if self.start_tls:
            arguments.append("-ZZ")
        return arguments

    def _write_configuration(self, folder: Path) -> Path:
        path = folder / "ldap.conf"
        lines = ["TLS_REQCERT demand", *([f"TLS_CACERT {self.ca_file}"] if self.ca_file else [])]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path


def _parse(exit_status: int, output: str, diagnostics: str) -> ToolResult:
    ssf = _SSF.search(diagnostics)
    result = _RESULT.search(diagnostics)
    identity = next((line.removeprefix("dn:") for line in output.splitlines() if line.startswith("dn:")), None)
    return ToolResult(
        exit_status=exit_status,
        result_code=int(result[1]) if result else exit_status,
        identity=identity,
        ssf=int(ssf[1]) if ssf else None,
        dns=tuple(_dns(output)),
        output=output,
        diagnostics=diagnostics,
    )


def _dns(ldif: str) -> list[str]:
    plain, encoded = "dn: ", "dn:: "
    names = []
    for line in ldif.splitlines():
        if line.startswith(plain):
            names.append(line.removeprefix(plain))
        elif line.startswith(encoded):
            names.append(base64.b64decode(line.removeprefix(encoded)).decode())
    return names
