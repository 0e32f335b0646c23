"""`auth` over SMTP, IMAP and POP3: log on with the standard library's client, then one harmless command."""

from __future__ import annotations

import ssl
import time

from saslsspi.cli.auth.report import Report, Target
from saslsspi.cli.mail_clients import CLIENTS, MailClient, own_errors, tls_for
from saslsspi.sasl.logon import Logon, options_of

__all__ = ["log_on"]


def log_on(target: Target, logon: Logon) -> Report:
    """Authenticate and ask.

    Raises:
        SaslError: the server refused, or this side found something wrong.
        OSError: the server cannot be reached, or broke its protocol.
    """
    tls = None
    if target.secure or target.starttls:
        tls = tls_for(logon.host or target.host, target.ca, target.certificate, target.key)
    with own_errors():
        client = CLIENTS[target.protocol](target.host, target.port, target.timeout, tls if target.secure else None)
        try:
            if target.starttls and tls is not None:
                client.start_tls(tls)
            return _authenticate_and_ask(client, logon)
        finally:
            client.close()


def _authenticate_and_ask(client: MailClient, logon: Logon) -> Report:
    # What TLS is there can be asked before a layer stands on the socket.
    cipher = client.sock.cipher() if isinstance(client.sock, ssl.SSLSocket) else None
    started = time.perf_counter()
    security = client.authenticate(logon.mechanism, **options_of(logon))
    elapsed = (time.perf_counter() - started) * 1000
    answer = client.ask()
    tls = f"{cipher[1]} {cipher[0]}" if cipher else ""
    return Report(security, tls, None, round(elapsed, 1), client.operation, answer)
