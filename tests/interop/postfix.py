"""Postfix with Cyrus SASL on a loopback port, configuration and queue in a temporary directory.

Postfix forbids security layers. Its messages go to `discard`, which takes and forgets them. Debian's Postfix
reads CONFIG_DIR/sasl/smtpd.conf whatever cyrus_sasl_config_path says, up to 3.7 at least; 3.10 does as it says.
"""

import contextlib
import grp
import os
import pwd
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from interop.certificate import make_server_certificate
from interop.cyrus_imap import make_sasldb
from interop.daemon import ServerDidNotStart, enter_on_free_ports, free_port, running
from interop.people import REALM
from interop.require import give_up, require_peer

_DAEMONS: Final = Path("/usr/lib/postfix/sbin")
_QUEUES: Final = tuple(
    name.removesuffix(",")
    for name in [
        "active",
        "bounce",
        "corrupt",
        "defer",
        "deferred",
        "flush",
        "hold",
        "incoming",
        "maildrop",
        "pid",
        "private",
        "public",
        "saved",
        "trace",
    ]
)

_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = {owner}
setgid_group = {group}
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = discard:
local_transport = discard:
relay_transport = discard:
alias_maps =
local_recipient_maps =
message_size_limit = 20480000
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = {sasl_type}
smtpd_sasl_path = {sasl_path}
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_sasl_local_domain = {realm}
smtpd_sasl_security_options = noanonymous, noplaintext
smtpd_sasl_tls_security_options = noanonymous
smtpd_tls_security_level = may
smtpd_tls_cert_file = {tls.certificate_file}
smtpd_tls_key_file = {tls.key_file}
smtpd_tls_session_cache_database =
smtp_tls_session_cache_database =
"""

_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_SASL: Final = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb2
mech_list: DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 PLAIN
"""


class Postfix:
    """A Postfix of one's own: `with Postfix() as postfix: ... postfix.port`.

    Attributes:
        host: The name clients should use; the certificate has it.
        realm: The realm that it offers.
        port: SMTP and STARTTLS.
        ca_file: What a TLS client has to trust.
    """

    host: Final = "localhost"
    realm: Final = REALM

    def __init__(self, authentication: Path | None = None, *, main: str = "") -> None:
        """Describe a server; nothing runs before the `with`.

        Args:
            authentication: A socket of Dovecot's authentication protocol; None takes Cyrus SASL.
            main: More lines for main.cf, in the place of those of the same names.
        """
        self._authentication = authentication
        self._main = main
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start Postfix; skips the running test where there is none, or where it may not run."""
        require_peer("postfix", "saslpasswd2")
        if os.geteuid() != 0:
            give_up("Postfix's master runs as root only")
        with contextlib.ExitStack() as cleanup:
            self.folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="saslsspi-postfix-")))
            self._certificate = make_server_certificate(self.folder)
            self.ca_file = self._certificate.ca_file
            make_sasldb(self.folder / "sasldb2", self.realm)
            try:
                enter_on_free_ports(cleanup, self._started)
            except ServerDidNotStart as error:
                raise ServerDidNotStart(f"{error}\n{self.log()[-3000:]}") from error
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End Postfix and remove its files."""
        self._cleanup.close()

    def log(self) -> str:
        """Return what Postfix has logged so far."""
        path = self.folder / "log" / "mail.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _started(self) -> contextlib.AbstractContextManager[object]:
        self.port = free_port()
        self._write()
        command = [str(_DAEMONS / "master"), "-c", str(self.folder / "etc"), "-d"]
        return running(command, log=self.folder / "output.log", answers=self._answers)

    def _write(self) -> None:
        owner = pwd.getpwnam("postfix")
        values = {
            "folder": self.folder,
            "daemons": _DAEMONS,
            "owner": owner.pw_name,
            "group": grp.getgrnam("postdrop").gr_name,
            "realm": REALM,
            "tls": self._certificate,
            "port": self.port,
            "sasl_type": "dovecot" if self._authentication else "cyrus",
            "sasl_path": self._authentication or "smtpd",
        }
        self.folder.chmod(0o755)
        (self.folder / "sasldb2").chmod(0o644)
        for name in ("etc/sasl", "data", "log", "queue", *(f"queue/{queue}" for queue in _QUEUES)):
            path = self.folder / name
            path.mkdir(parents=True, exist_ok=True)
            if name not in ("etc/sasl", "queue", "queue/pid"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER), ("sasl/smtpd.conf", _SASL)):
            (self.folder / "etc" / name).write_text(text.format(**values), encoding="utf-8")
        with (self.folder / "etc" / "main.cf").open("a", encoding="utf-8") as lines:
            lines.write(self._main)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(1000).startswith(b"220")
