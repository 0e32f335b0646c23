"""`saslsspi gateway` between other people's programs: ldapsearch and ldap3, a Samba domain controller and slapd; the
standard library's mail clients and curl, and Dovecot.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest

from adapters.mail_world import IMAP, MESSAGE, SMTP, serving
from interop.dovecot import Dovecot
from interop.gateway import GatewayProcess
from interop.kdc import REALM, Kdc
from interop.people import ALICE, JOERG
from interop.require import program, require_peer
from interop.samba import Samba
from interop.slapd import PEOPLE_BASE, SUFFIX, Slapd
from saslsspi import Account, MemoryAuthority

pytestmark = pytest.mark.interop

ALICE_ENTRY = f"CN={ALICE.name},CN=Users,{Samba.base}"
STRONGER_AUTH, INVALID_CREDENTIALS, UNWILLING = 8, 49, 53


def ldapsearch(url: str, user: str, password: str, base: str, *more: str) -> tuple[int, int, str]:
    """Bind simply and search; return the exit status, how many entries came, and what was said."""
    require_peer("ldap-utils")
    command = [program("ldapsearch"), "-x", "-LLL", "-N", "-H", url, "-D", user, "-w", password, "-b", base, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.count("\ndn:") + done.stdout.startswith("dn:"), done.stderr


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    require_peer("gssapi")
    with Samba() as server:
        yield server


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "reader"
    path.write_text(JOERG.password + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def known_by_name(folder: Path) -> dict[str, str]:
    """The environment of a process to which the controller's full name is 127.0.0.1."""
    (folder / "hosts").write_text(f"127.0.0.1 {Samba.host} localhost\n", encoding="utf-8")
    return {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": str(folder / "hosts")}


WAYS = {
    "sealed": "",
    "GSS-SPNEGO": 'mechanisms = ["GSS-SPNEGO"]',
    "NTLM": 'mechanisms = ["NTLM"]',
    "GSSAPI": 'mechanisms = ["GSSAPI"]',
    "LDAPS": 'tls = "immediate"\nca = "{ca}"',
    "StartTLS": 'tls = "starttls"\nca = "{ca}"',
}


@pytest.mark.parametrize("way", WAYS)
def test_a_domain_controller_that_demands_sealing(samba: Samba, way: str, secret: Path, tmp_path: Path) -> None:
    # The certificate is of localhost, and tickets are for the controller's full name.
    host = "localhost" if "ca =" in WAYS[way] else Samba.host
    authority = (
        f'servers = ["127.0.0.1:1", "{host}"]\n' + WAYS[way].format(ca=samba.ca_file)
        + f'\nlookup_user = "{JOERG.name}@{Samba.realm}"\nlookup_password_file = "{secret}"\n'
    )  # fmt: skip
    environment = known_by_name(tmp_path)

    def run() -> None:
        straight = ldapsearch("ldap://127.0.0.1", f"{ALICE.name}@{Samba.realm}", ALICE.password, Samba.base)
        assert straight[0] == STRONGER_AUTH
        with GatewayProcess(tmp_path, authority, environment=environment) as gateway:
            url = f"ldap://127.0.0.1:{gateway.port}"
            short = f"{Samba.domain}\\{ALICE.name}"  # Kerberos knows no short names of domains
            for user in (f"{ALICE.name}@{Samba.realm}", ALICE_ENTRY, *([] if way == "GSSAPI" else [short])):
                code, count, said = ldapsearch(url, user, ALICE.password, Samba.base, "-E", "pr=50/noprompt")
                assert (code, count > 150) == (0, True), (user, said, gateway.log)
                code, _, said = ldapsearch(url, user, "looking-glass", Samba.base)
                assert code == INVALID_CREDENTIALS, (user, said, gateway.log)
            assert ldapsearch(url, f"CN=nobody,{Samba.base}", "x", Samba.base)[0] == INVALID_CREDENTIALS
            assert ldapsearch(url, ALICE_ENTRY, "", Samba.base)[0] == UNWILLING
            by_path = f"ldapi://{str(gateway.path).replace('/', '%2F')}"
            code, count, said = ldapsearch(by_path, f"{JOERG.name}@{Samba.realm}", JOERG.password, Samba.base)
            assert (code, count > 150) == (0, True), (said, gateway.log)
            assert "Traceback" not in gateway.log

    samba.within(run)


def test_ldap3_reads_changes_and_binds_again(samba: Samba, tmp_path: Path) -> None:
    def run() -> None:
        environment = known_by_name(tmp_path)
        with GatewayProcess(tmp_path, f'servers = ["{Samba.host}"]', environment=environment) as gateway:
            server = ldap3.Server("127.0.0.1", port=gateway.port, get_info=ldap3.NONE)
            user = f"{ALICE.name}@{Samba.realm}"
            connection = ldap3.Connection(server, user, ALICE.password, auto_bind=True)
            assert connection.modify(ALICE_ENTRY, {"telephoneNumber": [(ldap3.MODIFY_REPLACE, ["1"])]})
            assert not connection.delete(ALICE_ENTRY)
            assert connection.result["description"] == "insufficientAccessRights"
            found = connection.extend.standard.paged_search(Samba.base, "(objectClass=*)", paged_size=40)
            assert sum(1 for each in found if each["type"] == "searchResEntry") > 150
            assert connection.rebind(f"{JOERG.name}@{Samba.realm}", JOERG.password)
            assert connection.search(ALICE_ENTRY, "(objectClass=*)", ldap3.BASE)
            assert not connection.rebind(user, "looking-glass")
            assert connection.result["description"] == "invalidCredentials"
            connection.unbind()

    samba.within(run)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd(sasl_secprops="noanonymous", extra="security ssf=56\n", entries=500) as server:
        yield server


@pytest.mark.parametrize("way", ["sealed", "StartTLS", "LDAPS"])
def test_openldap_that_demands_sealing(slapd: Slapd, way: str, secret: Path, tmp_path: Path) -> None:
    there = slapd.tls_port if way == "LDAPS" else slapd.port
    authority = (
        f'servers = ["{slapd.host}:{there}"]\n'
        + WAYS[way].format(ca=slapd.ca_file)
        + f'\nlookup_user = "{JOERG.name}"\nlookup_password_file = "{secret}"\n'
    )
    entry = f"uid={ALICE.name},{PEOPLE_BASE}"
    assert ldapsearch(slapd.url, entry, ALICE.password, SUFFIX)[0] != 0
    with GatewayProcess(tmp_path, authority) as gateway:
        url = f"ldap://127.0.0.1:{gateway.port}"
        for user in (ALICE.name, f"{ALICE.name}@{slapd.realm}", entry, f"UID={ALICE.name}, {PEOPLE_BASE}"):
            code, count, said = ldapsearch(url, user, ALICE.password, slapd.many_base)
            assert (code, count) == (0, 501), (user, said, gateway.log)
            assert ldapsearch(url, user, "looking-glass", SUFFIX)[0] == INVALID_CREDENTIALS
        assert "Traceback" not in gateway.log


KEY = b"0123456789abcdef0123456789abcdef"
_TOKENS = """\
import pathlib, sys, time
import jwt
place = pathlib.Path(sys.argv[0]).with_name("asked")
asked = place.read_text() if place.exists() else ""
place.write_text(asked + sys.argv[1] + "\\n")
now = int(time.time())
expired = sys.argv[1] not in asked  # the first token of everybody
facts = {"sub": sys.argv[1], "email": sys.argv[1], "scope": "mail", "iat": now - 7200,
         "exp": now - 3600 if expired else now + 600}
print(jwt.encode(facts, %r, algorithm="HS256"))
"""


@pytest.fixture(scope="module")
def relayed() -> Iterator[tuple[Dovecot, list[bytes]]]:
    with (
        serving(SMTP, auth_required=False) as (relay, _),
        Dovecot(
            relay_port=relay.port, mechanisms="plain oauthbearer xoauth2 scram-sha-256 digest-md5", token_key=KEY
        ) as server,
    ):
        yield server, relay.mailbox.messages


def old_login(protocol: str, port: int, user: str, password: str) -> None:
    """What programs have always done: log on with the standard library's own method, and use it."""
    if protocol == "imap":
        with imaplib.IMAP4("localhost", port, timeout=30) as imap:
            imap.login(user, password)
            assert imap.append("INBOX", "", "", MESSAGE)[0] == "OK"
            assert imap.select()[0] == "OK"
            assert imap.fetch("1", "(RFC822.SIZE)")[0] == "OK"
    elif protocol == "smtp":
        with smtplib.SMTP("localhost", port, timeout=30) as smtp:
            smtp.login(user, password)
            smtp.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
    else:
        with contextlib.closing(poplib.POP3("localhost", port, timeout=30)) as pop3:
            pop3.user(user)
            pop3.pass_(password)
            assert pop3.stat()[0] >= 0
            pop3.quit()


def there(dovecot: Dovecot, protocol: str) -> str:
    port = {"imap": dovecot.imap_port, "smtp": dovecot.submission_port, "pop3": dovecot.pop3_port}[protocol]
    return f'servers = ["{dovecot.host}:{port}"]\ntls = "starttls"\nca = "{dovecot.ca_file}"\n'


REFUSED = (imaplib.IMAP4.error, smtplib.SMTPException, poplib.error_proto)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2", ""])
@pytest.mark.parametrize("protocol", ["imap", "smtp", "pop3"])
def test_old_logins_reach_dovecot_s_oauth(
    relayed: tuple[Dovecot, list[bytes]], protocol: str, mechanism: str, tmp_path: Path
) -> None:
    pytest.importorskip("jwt")
    dovecot, messages = relayed
    (tmp_path / "tokens.py").write_text(_TOKENS % KEY)
    accounts = tmp_path / "accounts"
    accounts.write_text('[accounts]\nalice = "of this machine alone"\n')
    accounts.chmod(0o600)
    authority = there(dovecot, protocol) + f'accounts = ["toml:{accounts}"]\n'
    authority += f'token_command = "{sys.executable} {tmp_path}/tokens.py {{user}}"\n'
    authority += f'mechanisms = ["{mechanism}"]\n' if mechanism else ""
    before = len(messages)
    with GatewayProcess(tmp_path, authority, protocol=protocol) as gateway:
        for _ in range(2):
            old_login(protocol, gateway.port, "alice", "of this machine alone")
        for user, password in (("alice", ALICE.password), ("bob", "of this machine alone")):
            with pytest.raises(REFUSED):
                old_login(protocol, gateway.port, user, password)
        log = gateway.log
    # The first had expired; the second served both logons, and nobody got one whose password was wrong.
    assert (tmp_path / "asked").read_text() == "alice\nalice\n"
    assert len(messages) - before == (2 if protocol == "smtp" else 0)
    assert f"({mechanism or 'OAUTHBEARER'})" in log
    assert "Traceback" not in log
    assert "of this machine alone" not in log


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "DIGEST-MD5"])
@pytest.mark.parametrize("protocol", ["imap", "smtp", "pop3"])
def test_old_logins_go_out_as_better_ones(
    relayed: tuple[Dovecot, list[bytes]], protocol: str, mechanism: str, tmp_path: Path
) -> None:
    authority = there(relayed[0], protocol) + f'mechanisms = ["{mechanism}"]\n'
    with GatewayProcess(tmp_path, authority, protocol=protocol) as gateway:
        old_login(protocol, gateway.port, ALICE.name, ALICE.password)
        with pytest.raises(REFUSED):
            old_login(protocol, gateway.port, ALICE.name, "looking-glass")
        assert f"({mechanism})" in gateway.log


@pytest.mark.parametrize(("mechanism", "policy"), [("GSSAPI", ""), ("GS2-KRB5", "min_ssf = 0")])
def test_an_old_login_goes_out_with_a_ticket(kdc: Kdc, mechanism: str, policy: str, tmp_path: Path) -> None:
    require_peer("gssapi")
    with (
        kdc.inside(),
        serving(IMAP, authority=MemoryAuthority([Account(username=ALICE.name)])) as (server, reports),
        GatewayProcess(
            tmp_path,
            f'servers = ["localhost:{server.port}"]\nmechanisms = ["{mechanism}"]\n',
            protocol="imap",
            policy=policy,
            environment=kdc.environment,
        ) as gateway,
    ):
        for name in (ALICE.name, f"{ALICE.name}@{REALM.lower()}"):
            old_login("imap", gateway.port, name, ALICE.password)
        with pytest.raises(REFUSED):
            old_login("imap", gateway.port, ALICE.name, "looking-glass")
    assert [(report.security.mechanism, report.security.authcid) for report in reports] == [(mechanism, ALICE.name)] * 2
    assert "Traceback" not in gateway.log


def test_curl_reads_dovecot_s_mail_through_the_gateway(relayed: tuple[Dovecot, list[bytes]], tmp_path: Path) -> None:
    require_peer("curl")
    with GatewayProcess(tmp_path, there(relayed[0], "imap"), protocol="imap") as gateway:
        old_login("imap", gateway.port, ALICE.name, ALICE.password)
        for options in ((), ("--login-options", "AUTH=PLAIN"), ("--login-options", "AUTH=LOGIN")):
            url = f"imap://localhost:{gateway.port}/INBOX;MAILINDEX=1"
            command = [program("curl"), "--silent", "--max-time", "30", url, "--user", f"{ALICE.name}:{ALICE.password}"]
            done = subprocess.run([*command, *options], capture_output=True, check=False, timeout=60)
            assert b"Subject: carried" in done.stdout, (options, done.stderr, gateway.log)
