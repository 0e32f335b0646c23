"""`demo` over SMTP, IMAP and POP3: the standard library's clients, the embedded servers, and a tap between them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

from saslsspi.cli.certificate import bindings_of
from saslsspi.cli.demo.rows import PEOPLE, USER, Play, ProtectionLevel, Row, credentials_for
from saslsspi.cli.mail_clients import CLIENTS, ImapClient, MailClient, Pop3Client, SmtpClient, own_errors, tls_for
from saslsspi.engine.policy import Policy
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.testbed.certificates import Certificates, make_certificates
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail.server import Authenticated, MailServer
from saslsspi.testbed.tap import Tap

__all__ = ["imap", "pop3", "smtp"]

_SECRET: Final = b"Line 00042 of the message"
_MESSAGE: Final = b"From: alice@localhost\r\nTo: bob@localhost\r\nSubject: demo\r\n\r\n" + b"".join(
    b"Line %05d of the message\r\n" % number for number in range(500)
)
_TIMEOUT: Final = 10


class _Protocol(NamedTuple):
    """How a message is moved.

    Attributes:
        before: What is in the mailbox before.
        move: Moves a message under the layer, and returns it as it arrived.
    """

    name: str
    title: str
    module: str
    server: str
    before: tuple[bytes, ...]
    move: Callable[[MailClient, MailServer], bytes]


def _send(client: MailClient, server: MailServer) -> bytes:
    assert isinstance(client, SmtpClient)
    client.client.sendmail("alice@localhost", ["bob@localhost"], _MESSAGE)
    return server.mailbox.messages[-1] if server.mailbox.messages else b""


def _append_and_fetch(client: MailClient, server: MailServer) -> bytes:
    assert isinstance(client, ImapClient)
    client.client.append("INBOX", "", "", _MESSAGE)
    client.client.select("INBOX")
    data = client.client.fetch(str(len(server.mailbox.messages)), "(BODY[])")[1]
    return next((bytes(part[1]) for part in data if isinstance(part, tuple)), b"")


def _retrieve(client: MailClient, server: MailServer) -> bytes:
    assert isinstance(client, Pop3Client)
    lines = client.client.retr(len(server.mailbox.messages))[1]
    return b"".join(line + b"\r\n" for line in lines)


_SMTP: Final = _Protocol("smtp", "SMTP with smtplib", "smtp", "SmtpServer", (), _send)
_IMAP: Final = _Protocol("imap", "IMAP with imaplib", "imap", "ImapServer", (), _append_and_fetch)
_POP3: Final = _Protocol("pop3", "POP3 with poplib", "pop3", "Pop3Server", (_MESSAGE,), _retrieve)


@contextlib.contextmanager
def _stage(protocol: _Protocol) -> Iterator[Play]:
    """Run the embedded server."""
    make = cast(
        type[MailServer], getattr(importlib.import_module(f"saslsspi.testbed.mail.{protocol.module}"), protocol.server)
    )
    logons: list[Authenticated] = []
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder), USER)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.authority))
        context.load_cert_chain(certificates.server)
        context.verify_mode = ssl.CERT_OPTIONAL
        server = make(
            authority=PEOPLE,
            policy=Policy(allow_anonymous=True),
            realm="example.test",
            certificate=context,
            bindings=bindings_of(certificates.server),
            on_security=logons.append,
        )
        with running(server):
            yield lambda mechanism, level: _play(protocol, server, logons, certificates, mechanism, level)


smtp: Final = functools.partial(_stage, _SMTP)
imap: Final = functools.partial(_stage, _IMAP)
pop3: Final = functools.partial(_stage, _POP3)


def _play(
    protocol: _Protocol,
    server: MailServer,
    logons: list[Authenticated],
    certificates: Certificates,
    mechanism: Mechanism,
    level: ProtectionLevel,
) -> Row:
    row = Row(protocol.title, mechanism.name, level.name, level.tls)
    server.mailbox.messages[:] = protocol.before
    logons.clear()
    try:
        with Tap("127.0.0.1", server.port) as tap, own_errors():
            client = CLIENTS[protocol.name]("127.0.0.1", tap.port, _TIMEOUT, None)
            try:
                if level.tls:
                    client.start_tls(tls_for("localhost", certificates.authority, certificates.client, None))
                row = _authenticate(row, tap, client, mechanism, level)
                moved = protocol.move(client, server)
            finally:
                client.close()
            clear = tap.saw(_SECRET)
    except (SaslError, OSError) as error:
        return row._replace(problem=str(error))
    told = logons[-1].security
    return row._replace(
        identity=told.authzid or told.authcid,
        found=len(server.mailbox.messages),
        clear=clear,
        problem=_problem(moved, row.ssf > 1 or level.tls, clear),
    )


def _authenticate(row: Row, tap: Tap, client: MailClient, mechanism: Mechanism, level: ProtectionLevel) -> Row:
    tap.begin_count()
    started = time.perf_counter()
    security = client.authenticate(
        mechanism.name, credentials=credentials_for(mechanism), policy=level.policy, host="localhost"
    )
    elapsed = (time.perf_counter() - started) * 1000
    return row._replace(
        package=security.package,
        qop=security.qop,
        cipher=security.cipher,
        ssf=security.ssf,
        authcid=security.authcid,
        authzid=security.authzid,
        round_trips=tap.round_trips,
        milliseconds=round(elapsed, 1),
    )


def _problem(moved: bytes, encrypted: bool, clear: bool) -> str:
    if moved != _MESSAGE:
        return f"the message arrived as {len(moved)} octets and not as the {len(_MESSAGE)} that it has"
    if clear and encrypted:
        return "the message was readable on the wire"
    return ""
