"""Mail programs as clients of our servers: curl, GNU SASL's gsasl, and Cyrus's imtest, pop3test and smtptest."""

import contextlib
import re
import selectors
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.cyrus_imap import mail_test_program
from interop.people import ALICE, REALM, Person
from interop.require import program, require_peer

_TIMEOUT: Final = 30.0
_SSF: Final = re.compile(r"Security strength factor: (\d+)")


@dataclass(frozen=True)
class CurlResult:
    """How one run of curl ended.

    Attributes:
        exit_status: 0 for success, 67 for a login that was denied.
        output: What it fetched.
        words: What it said.
    """

    exit_status: int
    output: bytes
    words: str


def curl(
    url: str,
    *,
    mechanism: str,
    person: Person = ALICE,
    ca_file: Path | None = None,
    upload: Path | None = None,
    mail: bool = False,
    initial_response: bool = False,
) -> CurlResult:
    """Run curl against an imap, pop3 or smtp URL; with a ca_file it insists on TLS."""
    require_peer("curl")
    command = [
        program("curl"),
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--user",
        f"{person.name}:{person.password}",
    ]
    command += ["--login-options", f"AUTH={mechanism}"]
    if ca_file is not None:
        command += ["--ssl-reqd", "--cacert", str(ca_file)]
    if upload is not None:
        command += ["--upload-file", str(upload)]
    if mail:
        command += ["--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test"]
    if initial_response:
        command.append("--sasl-ir")
    ended = subprocess.run([*command, url], capture_output=True, check=False, timeout=_TIMEOUT)
    return CurlResult(ended.returncode, ended.stdout, ended.stderr.decode("utf-8", "replace"))


def gsasl(
    protocol: str,
    port: int,
    *,
    mechanism: str,
    qop: str = "qop-auth",
    command: str = "",
    expect: str = "",
    ca_file: Path | None = None,
) -> str:
    """Run `gsasl --client` over IMAP or SMTP, send one command when it is in, and return all that it printed.

    Its own good-bye goes in clear even under a layer, so it is ended as soon as the answer is there.
    """
    require_peer("gsasl-tool")
    arguments = [
        program("gsasl"),
        "--client",
        f"--{protocol}",
        f"--connect=127.0.0.1:{port}",
        f"--mechanism={mechanism}",
        f"--authentication-id={ALICE.name}",
        f"--password={ALICE.password}",
        f"--realm={REALM}",
        "--hostname=localhost",
        f"--service={protocol}",
        f"--quality-of-protection={qop}",
        *([f"--x509-ca-file={ca_file}"] if ca_file is not None else ["--no-starttls"]),
    ]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None
        printed = _read_until(process, "application data")
        if command and "application data" in printed:
            process.stdin.write(command.encode() + b"\r\n")
            process.stdin.flush()
            printed += _read_until(process, expect)
        process.kill()
    return printed


def _read_until(process: subprocess.Popen[bytes], text: str) -> str:
    """Read what a program prints until a text, its end, or too long a silence."""
    assert process.stdout is not None
    printed, deadline = b"", time.monotonic() + 10
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while text.encode() not in printed and (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            octets = process.stdout.read1()  # type: ignore[attr-defined]  # it is buffered
            if not octets:
                break
            printed += octets
    return printed.decode("utf-8", "replace")


@dataclass(frozen=True)
class CyrusResult:
    """How one run of imtest, pop3test or smtptest ended.

    Attributes:
        authenticated: Whether it is in.
        ssf: Of the layer; None when it is not in.
        printed: All that it printed.
    """

    authenticated: bool
    ssf: int | None
    printed: str


def cyrus_test(
    name: str,
    port: int,
    *,
    mechanism: str,
    min_ssf: int = 0,
    max_ssf: int = 0,
    commands: str = "",
    person: Person = ALICE,
    ca_file: Path | None = None,
) -> CyrusResult:
    """Run imtest, pop3test or smtptest, and feed it commands when it is in; the last one should say good-bye."""
    arguments = [mail_test_program(name), "-p", str(port), "-m", mechanism, "-r", REALM]
    arguments += ["-a", person.name, "-u", person.name, "-w", person.password, "-k", str(min_ssf), "-l", str(max_ssf)]
    if ca_file is not None:
        arguments += ["-t", ""]
    try:
        ended = subprocess.run(
            [*arguments, "localhost"], input=commands.encode(), capture_output=True, check=False, timeout=_TIMEOUT
        )
        printed = (ended.stdout + ended.stderr).decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        printed = ((error.stdout or b"") + (error.stderr or b"")).decode("utf-8", "replace")
    found = _SSF.search(printed)
    authenticated = "Authenticated." in printed
    ssf: int | None = None
    with contextlib.suppress(TypeError):
        ssf = int(found[1]) if found and authenticated else None
    return CyrusResult(authenticated, ssf, printed)
