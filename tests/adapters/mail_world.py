"""What the mail tests share: servers, clients, certificates, a raw wire, and servers that follow a script."""

import contextlib
import imaplib
import poplib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import saslsspi
from interop.certificate import make_server_certificate
from saslsspi.adapters.imap import SaslIMAP4, SaslIMAP4_SSL
from saslsspi.adapters.pop3 import SaslPOP3, SaslPOP3_SSL
from saslsspi.adapters.smtp import SaslSMTP, SaslSMTP_SSL
from saslsspi.testbed import loopback
from saslsspi.testbed.mail.imap import ImapServer
from saslsspi.testbed.mail.pop3 import Pop3Server
from saslsspi.testbed.mail.server import Authenticated, MailServer
from saslsspi.testbed.mail.smtp import SmtpServer

TIMEOUT = 10
REALM = "example.test"
ALICE = saslsspi.Password("alice", "wonderland")
PEOPLE = {"alice": "wonderland", "bob": "builder", "jörg": "grüße"}
MESSAGE = b"Subject: carried\r\n\r\n" + b"..two dots and forty octets more of text\r\n" * 50

Client = Any  # smtplib, imaplib and poplib have no base in common


@dataclass(frozen=True)
class Certificate:
    """A server's TLS context, a client's that trusts it, and the bindings."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    bindings: saslsspi.ChannelBindings


@cache
def certificate() -> Certificate:
    with TemporaryDirectory() as folder:
        made = make_server_certificate(Path(folder))
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(made.certificate_file, made.key_file)
        client = ssl.create_default_context(cafile=str(made.ca_file))
        der = ssl.PEM_cert_to_DER_cert(made.certificate_file.read_text())
    return Certificate(server, client, saslsspi.ChannelBindings.tls_server_end_point(der))


_OPENED: list[Client] = []


def opened(client: Client) -> Client:
    """Note a client that has to be closed with its test."""
    _OPENED.append(client)
    return client


def close_opened() -> None:
    while _OPENED:
        client = _OPENED.pop()
        with contextlib.suppress(OSError):
            if not isinstance(client, imaplib.IMAP4):
                client.close()
            elif client.sock.fileno() != -1:
                client.shutdown()


@dataclass(frozen=True)
class MailProtocol:
    """One protocol's server and clients, in the same words for all three."""

    name: str
    server: Callable[..., MailServer]
    connect: Callable[[str, int], Client]
    connect_tls: Callable[[str, int, ssl.SSLContext], Client]
    start_tls: Callable[[Client, ssl.SSLContext], object]
    error: type[Exception]
    """What users of the standard library catch."""

    def __str__(self) -> str:
        return self.name


SMTP = MailProtocol(
    "smtp",
    SmtpServer,
    lambda host, port: opened(SaslSMTP(host, port, timeout=TIMEOUT)),
    lambda host, port, context: opened(SaslSMTP_SSL(host, port, timeout=TIMEOUT, context=context)),
    lambda client, context: client.starttls(context=context),
    smtplib.SMTPAuthenticationError,
)
IMAP = MailProtocol(
    "imap",
    ImapServer,
    lambda host, port: opened(SaslIMAP4(host, port, timeout=TIMEOUT)),
    lambda host, port, context: opened(SaslIMAP4_SSL(host, port, timeout=TIMEOUT, ssl_context=context)),
    lambda client, context: client.starttls(context),
    imaplib.IMAP4.error,
)
POP3 = MailProtocol(
    "pop3",
    Pop3Server,
    lambda host, port: opened(SaslPOP3(host, port, timeout=TIMEOUT)),
    lambda host, port, context: opened(SaslPOP3_SSL(host, port, timeout=TIMEOUT, context=context)),
    lambda client, context: client.stls(context),
    poplib.error_proto,
)
PROTOCOLS = [SMTP, IMAP, POP3]


def move_message(client: Client, server: MailServer, message: bytes) -> None:
    """Move a message through a client that is logged on, as its user would, and see that it arrives whole."""
    if isinstance(client, smtplib.SMTP):
        client.sendmail("alice@example.test", ["bob@example.test"], message)
        assert server.mailbox.messages[-1] == message
    elif isinstance(client, imaplib.IMAP4):
        assert client.append("INBOX", "", "", message)[0] == "OK"
        count = client.select()[1][0].decode()
        fetched = client.fetch(count, "(RFC822.SIZE BODY.PEEK[])")[1]
        assert fetched[0][1] == message
        assert client.namespace()[0] == "OK"
    else:
        count, size = client.stat()
        assert size == sum(map(len, server.mailbox.messages))
        assert b"\r\n".join(client.retr(count)[1]) + b"\r\n" == server.mailbox.messages[-1]
        assert client.noop().startswith(b"+OK")


def leave(client: Client) -> None:
    """Say good-bye."""
    client.logout() if isinstance(client, imaplib.IMAP4) else client.quit()


def is_closed(client: Client) -> bool:
    """Whether the object's connection is closed."""
    if isinstance(client, imaplib.IMAP4):
        return client.sock.fileno() == -1
    return client.sock is None


@contextlib.contextmanager
def serving(protocol: MailProtocol, **options: Any) -> Iterator[tuple[MailServer, list[Authenticated]]]:
    """Run a server that knows PEOPLE; also return what it reports."""
    reports: list[Authenticated] = []
    options.setdefault("authority", saslsspi.MemoryAuthority(PEOPLE))
    options.setdefault("realm", REALM)
    if protocol is POP3:
        options.setdefault("messages", [MESSAGE])
    with loopback.running(protocol.server(on_security=reports.append, **options)) as server:
        try:
            yield server, reports
        finally:
            close_opened()


class Wire:
    """A raw connection: lines out, lines in."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()

    def send(self, *lines: bytes) -> None:
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def line(self) -> bytes:
        """Return the next line without its CRLF; b"" at the end."""
        line = self._file.readline()
        assert not line or line.endswith(b"\r\n")
        return line.removesuffix(b"\r\n")

    def ask(self, line: bytes) -> bytes:
        self.send(line)
        return self.line()

    def until(self, *marks: bytes) -> list[bytes]:
        """Return lines up to the first that begins with one of marks."""
        lines = [self.line()]
        while not lines[-1].startswith(marks):
            assert len(lines) < 1000, lines
            lines.append(self.line())
        return lines

    def rest(self) -> bytes:
        return self._file.read()


class Peer:
    """The server's end of a scripted connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard: list[bytes] = []
        self._file = sock.makefile("rb")

    def say(self, *lines: bytes) -> None:
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def hear(self) -> bytes:
        line = self._file.readline().removesuffix(b"\r\n")
        self.heard.append(line)
        return line

    def rest(self) -> bytes:
        """Return what still comes until the client closes."""
        return self._file.read()

    def close(self) -> None:
        self._file.close()
        self.sock.close()


@contextlib.contextmanager
def scripted(script: Callable[[Peer], object]) -> Iterator[tuple[int, Callable[[], Peer]]]:
    """Run a script against the first client; yield the port and a function that joins and returns the peer."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(TIMEOUT)
    peers: list[Peer] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            sock.settimeout(TIMEOUT)
            peer = Peer(sock)
            peers.append(peer)
            try:
                script(peer)
            finally:
                peer.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> Peer:
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "the script waits for something that the client does not send"
        return peers[0]

    try:
        yield listener.getsockname()[1], join
    finally:
        close_opened()
        listener.close()
        thread.join(TIMEOUT)
