"""`demo` over the protocols of lines: our clients, the embedded servers, and a tap between them."""

from __future__ import annotations

import contextlib
import functools
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.certificate import bindings_of
from saslsspi.cli.demo.rows import PEOPLE, USER, Play, ProtectionLevel, Row, Stage, credentials_for
from saslsspi.cli.mail_clients import CLIENTS, MailClient, own_errors, tls_for
from saslsspi.engine.policy import Policy
from saslsspi.errors import SaslError
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.testbed.certificates import Certificates, make_certificates
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail import server_of
from saslsspi.testbed.mail.server import Authenticated, MailServer
from saslsspi.testbed.tap import Tap

__all__ = ["STAGES"]

_SECRET: Final = b"Line 00042 of the message"
_MESSAGE: Final = b"From: alice@localhost\r\nTo: bob@localhost\r\nSubject: demo\r\n\r\n" + b"".join(
    b"Line %05d of the message\r\n" % number for number in range(500)
)
_TIMEOUT: Final = 10


@contextlib.contextmanager
def _stage(protocol: LineProtocol) -> Iterator[Play]:
    """Run the embedded server.

    Raises:
        ModuleNotFoundError: it needs a library that is not installed.
    """
    make = server_of(protocol)
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


STAGES: Final[Mapping[str, Stage]] = MappingProxyType(
    {name: functools.partial(_stage, LINE_PROTOCOLS[name]) for name in CLIENTS}
)
"""By the names of the protocols."""


def _play(
    protocol: LineProtocol,
    server: MailServer,
    logons: list[Authenticated],
    certificates: Certificates,
    mechanism: Mechanism,
    level: ProtectionLevel,
) -> Row:
    make = CLIENTS[protocol.name]
    row = Row(f"{protocol.title} with {make.library}", mechanism.name, level.name, level.tls)
    server.mailbox.messages[:] = [_MESSAGE]
    logons.clear()
    try:
        with Tap("127.0.0.1", server.port) as tap, own_errors():
            client = make("127.0.0.1", tap.port, _TIMEOUT, None)
            try:
                if level.tls:
                    client.start_tls(tls_for("localhost", certificates.authority, certificates.client, None))
                row = _authenticate(row, tap, client, mechanism, level)
                moved = client.carry(_MESSAGE)
            finally:
                client.close()
            clear, wire = tap.saw(_SECRET), tap.turns()
    except (SaslError, OSError) as error:
        return row._replace(problem=str(error))
    told = logons[-1].security
    if moved is None:
        moved = server.mailbox.messages[-1] if len(server.mailbox.messages) > 1 else b""
    return row._replace(
        identity=told.authzid or told.authcid,
        found=int(moved == _MESSAGE),
        clear=clear,
        problem=_problem(moved, row.ssf > 1 or level.tls, clear),
        wire=wire,
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
