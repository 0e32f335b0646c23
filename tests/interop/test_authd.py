"""`saslsspi authd` behind real Postfix, Exim and Cyrus programs, with accounts in PostgreSQL."""

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from interop.authd import Authd
from interop.exim import Exim
from interop.people import ALICE, JOERG, Person
from interop.postfix import Postfix
from interop.postgresql import PostgreSql
from interop.require import program, require_peer
from saslsspi import LogonDenied, Password, Policy, SaslError
from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived
from saslsspi.adapters.smtp import SaslSMTP

pytestmark = pytest.mark.interop
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM", "LOGIN", "CRAM-MD5"]
REALM = "example.test"
# What msmtp and swaks have of NTLM is its first version, which is refused unless a policy names it; and so are these.
NAMED = 'ntlm.responses = ["V2", "V1"]\nweak_mechanisms = ["LOGIN", "CRAM-MD5"]'


@pytest.fixture(scope="module")
def authd() -> Iterator[Authd]:
    kinds = (Secret.SCRAM_SHA_256, Secret.HA1, Secret.NT_HASH)
    with TemporaryDirectory(prefix="saslsspi-authd-") as room, PostgreSql() as database:
        folder = Path(room)
        folder.chmod(0o755)  # the servers run as other users
        people = {one.name: derived(one.name, one.password, kinds=kinds, realms=[REALM]) for one in (ALICE, JOERG)}
        store_at(database.url()).write(people)
        passwords = folder / "passwords.toml"  # which CRAM-MD5 needs as they are
        passwords.write_text(f'[accounts]\n{ALICE.name} = "{ALICE.password}"\n"{JOERG.name}" = "{JOERG.password}"\n')
        passwords.chmod(0o600)
        with Authd(folder, [f"toml:{passwords}", database.url()], workers=2, policy=NAMED) as service:
            yield service


@pytest.fixture(scope="module", params=["postfix", "exim"])
def server(request: pytest.FixtureRequest, authd: Authd) -> Iterator[Postfix | Exim]:
    with Postfix(authd.dovecot) if request.param == "postfix" else Exim(authd.dovecot, MECHANISMS) as started:
        yield started


def log_on(server: Postfix | Exim, mechanism: str, person: Person, *, tls: bool = True) -> str:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with SaslSMTP(server.host, server.port, timeout=30) as client:
        if tls:
            client.starttls(context=context)
        security = client.authenticate_sasl(
            mechanism=mechanism,
            credentials=Password(person.name, person.password, realm=None),
            policy=Policy(weak_mechanisms=("LOGIN", "CRAM-MD5")),
        )
        client.mail("a@example.test")
        code, _ = client.rcpt("b@example.test")
        assert code == 250
        return security.mechanism


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("person", [ALICE, JOERG], ids=lambda person: person.name)
def test_our_client(mechanism: str, person: Person, server: Postfix | Exim) -> None:
    assert log_on(server, mechanism, person) == mechanism
    with pytest.raises((LogonDenied, smtplib.SMTPAuthenticationError)):
        log_on(server, mechanism, Person(person.name, "wrong"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "DIGEST-MD5", "NTLM", "CRAM-MD5"])
def test_without_tls(mechanism: str, server: Postfix | Exim) -> None:
    assert log_on(server, mechanism, ALICE, tls=False) == mechanism


def test_a_password_does_not_cross_in_clear(server: Postfix | Exim) -> None:
    with SaslSMTP(server.host, server.port, timeout=30) as client, pytest.raises((SaslError, smtplib.SMTPException)):
        client.authenticate_sasl(mechanism="PLAIN", credentials=Password(ALICE.name, ALICE.password))


@pytest.mark.parametrize("mechanism", ["PLAIN", "DIGEST-MD5", "NTLM", "LOGIN", "CRAM-MD5"])
def test_swaks(mechanism: str, server: Postfix | Exim) -> None:
    require_peer("swaks")
    for password, right in ((ALICE.password, True), ("wrong", False)):
        command = [
            program("swaks"), "--server", f"127.0.0.1:{server.port}", "--tls", "--auth", mechanism, "--auth-user",
            ALICE.name, "--auth-password", password, "--to", "b@example.test", "--from", "a@example.test",
            "--auth-extra", f"realm={REALM}", "--quit-after", "RCPT",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode == 0) is right, done.stdout


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "digest-md5", "ntlm", "login", "cram-md5"])
def test_msmtp(mechanism: str, server: Postfix | Exim, tmp_path: Path) -> None:
    require_peer("msmtp")
    for password, right in ((ALICE.password, True), ("wrong", False)):
        command = [
            program("msmtp"), f"--host={server.host}", f"--port={server.port}", "--tls=on",
            f"--tls-trust-file={server.ca_file}", f"--auth={mechanism}", f"--user={ALICE.name}",
            f"--passwordeval=printf {password}", "--from=a@example.test",
            "--timeout=30", "--", "b@example.test",
        ]  # fmt: skip
        done = subprocess.run(
            command, input="Subject: x\n\nx\n", capture_output=True, text=True, check=False, timeout=60,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert (done.returncode == 0) is right, done.stderr


def test_curl(server: Postfix | Exim, tmp_path: Path) -> None:
    require_peer("curl")
    (tmp_path / "mail").write_text("Subject: x\r\n\r\nx\r\n")
    for password, right in ((ALICE.password, True), ("wrong", False)):
        command = [
            program("curl"), "--silent", "--ssl-reqd", "--cacert", str(server.ca_file), f"smtp://localhost:{server.port}",
            "--user", f"{ALICE.name}:{password}", "--mail-from", "a@example.test", "--mail-rcpt", "b@example.test",
            "--upload-file", str(tmp_path / "mail"),
        ]  # fmt: skip
        assert (subprocess.run(command, check=False, timeout=60).returncode == 0) is right


def test_many_at_once(server: Postfix | Exim) -> None:
    with ThreadPoolExecutor(30) as pool:
        done = list(pool.map(lambda _: log_on(server, "SCRAM-SHA-256", ALICE), range(90)))
    assert done == ["SCRAM-SHA-256"] * 90


def test_programs_of_cyrus_ask_for_plain_passwords(authd: Authd) -> None:
    require_peer("testsaslauthd")
    for password, right in ((ALICE.password, True), ("wrong", False)):
        command = [program("testsaslauthd"), "-u", ALICE.name, "-p", password, "-f", str(authd.saslauthd), "-s", "imap"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode == 0) is right, done.stdout + done.stderr
