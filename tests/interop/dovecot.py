"""Dovecot on loopback ports: IMAP, POP3, submission and, by Pigeonhole, ManageSieve.

Configuration and mail stand in a temporary directory.

As root its processes run under Debian's own users; otherwise all run as whoever runs the tests. Dovecot has
DIGEST-MD5 without layers, and SCRAM without channel bindings.
"""

import contextlib
import grp
import os
import pwd
import socket
import subprocess
import tempfile
from base64 import b64encode
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.certificate import make_server_certificate
from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import PEOPLE, REALM
from interop.require import program, require_peer

_CONFIGURATION: Final = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
debug_log_path = /dev/null
listen = 127.0.0.1
hostname = localhost
protocols = imap pop3 submission sieve
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
ssl = yes
auth_mechanisms = {mechanisms}
auth_realms = {realm}
auth_username_chars =
{limits}
first_valid_uid = 1
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
submission_relay_trusted = no
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {submission_port}
  }}
}}
service managesieve-login {{
  chroot =
  inet_listener sieve {{
    port = {sieve_port}
  }}
}}
service anvil {{
  chroot =
{penalty}
}}
service stats {{
  chroot =
}}
"""
_NO_LIMITS: Final = """\
auth_failure_delay = 0
mail_max_userip_connections = 100
"""
_NO_PENALTY: Final = """\
  unix_listener anvil-auth-penalty {
    mode = 0
  }
"""
# What has other names since 2.4, which wants to be told the version before anything else.
_CONFIGURATION_2_3: Final = """\
ssl_cert = <{tls.certificate_file}
ssl_key = <{tls.key_file}
disable_plaintext_auth = yes
mail_location = maildir:{folder}/mail/%n
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {folder}/users
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={folder}/mail/%n
}}
"""
# Tokens are verified without asking anybody. 2.4 has them without a passdb.
_TOKENS_2_3: Final = """\
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {folder}/oauth2.conf
}}
"""
_OAUTH2_CONF: Final = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = email
scope = mail
"""
_TOKENS_2_4: Final = """\
oauth2 {{
  introspection_mode = local
  username_attribute = email
  scope = mail
}}
oauth2_local_validation {{
  dict fs {{
    fs posix {{
      prefix = {folder}/keys/
    }}
  }}
}}
"""
_VERSION_2_4: Final = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
"""
_CONFIGURATION_2_4: Final = """\
sieve_script personal {{
  path = {folder}/mail/%{{user | username}}/sieve
  active_path = {folder}/mail/%{{user | username}}/active.sieve
}}
ssl_server_cert_file = {tls.certificate_file}
ssl_server_key_file = {tls.key_file}
auth_allow_cleartext = no
mail_driver = maildir
mail_path = {folder}/mail/%{{user | username}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  auth_username_format = %{{user | username}}
  default_password_scheme = PLAIN
}}
userdb static {{
  fields {{
    uid = {mail_uid}
    gid = {mail_gid}
    home = {folder}/mail/%{{user | username}}
  }}
}}
"""


class Dovecot:
    """A Dovecot of one's own: `with Dovecot() as dovecot: ... dovecot.imap_port`.

    Attributes:
        host: The name clients should use; the certificate has it.
        realm: The realm that it offers.
        ca_file: What a TLS client has to trust.
    """

    host: Final = "localhost"
    realm: Final = REALM

    def __init__(
        self,
        *,
        relay_port: int = 9,
        mechanisms: str = "plain digest-md5 scram-sha-1 scram-sha-256",
        stock: bool = False,
        token_key: bytes = b"",
    ) -> None:
        """Describe a server; nothing runs before the `with`.

        Args:
            relay_port: Where submission hands messages on, an SMTP server on 127.0.0.1.
            mechanisms: Dovecot's auth_mechanisms.
            stock: Whether it has its usual delays, penalties and limits; else tests need not wait for them.
            token_key: Verifies tokens of OAuth: JWTs of HS256 with the scope mail, whose email is the user; empty takes
                none.
        """
        self._relay_port = relay_port
        self._token_key = token_key
        self._mechanisms = mechanisms
        self._stock = stock
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start Dovecot; skips the running test where there is none."""
        require_peer("dovecot")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-dovecot-")))
            self._certificate = make_server_certificate(self.folder)
            self.ca_file = self._certificate.ca_file
            self._write_users()
            try:
                enter_on_free_ports(cleanup, self._started)
            except ServerDidNotStart as error:
                raise ServerDidNotStart(f"{error}\n{self.log()[-3000:]}") from error
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End Dovecot and remove its files."""
        self._cleanup.close()

    def log(self) -> str:
        """Return what Dovecot has logged so far."""
        path = self.folder / "dovecot.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _write_users(self) -> None:
        lines = [f"{person.name}:{{PLAIN}}{person.password}::::::\n" for person in PEOPLE.values()]
        (self.folder / "users").write_text("".join(lines), encoding="utf-8")
        if self._token_key:
            keys = self.folder / "keys" / "default" / "HS256"  # azp, algorithm and, its name, the key's id
            keys.mkdir(parents=True)
            (keys / "default").write_bytes(b64encode(self._token_key))
            (self.folder / "oauth2.conf").write_text(_OAUTH2_CONF.format(folder=self.folder), encoding="utf-8")
        mail = self.folder / "mail"
        mail.mkdir()
        if os.geteuid() == 0:
            self.folder.chmod(0o755)
            os.chown(mail, *_mail_owner())

    def _started(self) -> contextlib.AbstractContextManager[object]:
        command = [program("dovecot"), "-F", "-c", str(self._write_configuration())]
        return running(command, log=self.folder / "output.log", answers=self._answers)

    def _write_configuration(self) -> Path:
        self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port, self.submission_port, self.sieve_port = (
            free_port() for _ in range(6)
        )
        me, my_group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
        is_root = os.geteuid() == 0
        mail_uid, mail_gid = _mail_owner()
        path = self.folder / "dovecot.conf"
        if _is_old():
            # A token stands before the passwords, which would be tried with it.
            template = _CONFIGURATION + (_TOKENS_2_3 if self._token_key else "") + _CONFIGURATION_2_3
        else:
            template = _VERSION_2_4 + _CONFIGURATION + _CONFIGURATION_2_4 + (_TOKENS_2_4 if self._token_key else "")
        path.write_text(
            template.format(
                folder=self.folder,
                tls=self._certificate,
                internal_user="dovecot" if is_root else me,
                internal_group="dovecot" if is_root else my_group,
                login_user="dovenull" if is_root else me,
                mechanisms=self._mechanisms,
                realm=REALM,
                relay_port=self._relay_port,
                limits="" if self._stock else _NO_LIMITS,
                penalty="" if self._stock else _NO_PENALTY,
                mail_uid=mail_uid,
                mail_gid=mail_gid,
                imap_port=self.imap_port,
                imaps_port=self.imaps_port,
                pop3_port=self.pop3_port,
                pop3s_port=self.pop3s_port,
                submission_port=self.submission_port,
                sieve_port=self.sieve_port,
            ),
            encoding="utf-8",
        )
        return path

    def _answers(self) -> bool:
        for port in (self.imap_port, self.pop3_port, self.submission_port, self.sieve_port):
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if not connection.recv(100).startswith((b"* OK", b"+OK", b"220", b'"IMPLEMENTATION"')):
                    return False
        return True


def _is_old() -> bool:
    told = subprocess.run([program("dovecot"), "--version"], capture_output=True, text=True, check=True, timeout=30)
    return told.stdout.startswith("2.3.")


def _mail_owner() -> tuple[int, int]:
    """Return who owns the mail; Dovecot lets nobody with user id 0 read any."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
