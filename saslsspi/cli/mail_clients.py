"""The protocols of lines as `auth` and `demo` use them: our clients, each with the same few verbs."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Unpack

from saslsspi.adapters.imap import SaslIMAP4, SaslIMAP4_SSL
from saslsspi.adapters.mail.line_protocol import printable
from saslsspi.adapters.mail.logon import MailOptions
from saslsspi.adapters.pop3 import SaslPOP3, SaslPOP3_SSL
from saslsspi.adapters.sieve import SaslSieve
from saslsspi.adapters.smtp import SaslSMTP, SaslSMTP_SSL
from saslsspi.engine.security import Security
from saslsspi.errors import SaslError

__all__ = ["CLIENTS", "ImapClient", "MailClient", "Pop3Client", "SieveClient", "SmtpClient", "own_errors", "tls_for"]


class MailClient(Protocol):
    """One connection.

    Attributes:
        library: Whose client it is.
        operation: The harmless command that `ask` gives.
    """

    library: str
    operation: str

    def __init__(self, host: str, port: int, timeout: int, tls: ssl.SSLContext | None) -> None:
        """Connect; with TLS from the start where there is a context."""

    @property
    def sock(self) -> Any:
        """The socket, before a layer is on it."""

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS, and ask for the capabilities anew."""

    def authenticate(self, mechanism: str | Sequence[str] | None, **options: Unpack[MailOptions]) -> Security:
        """See authenticate_sasl."""

    def ask(self) -> str:
        """Do something harmless under the layer, and return what the server says."""

    def carry(self, message: bytes) -> bytes | None:
        """Move a message to the server and back, as far as the protocol does; None where it only takes one there.

        Where it only brings one, it is the last one that the server has.
        """

    def close(self) -> None:
        """Take leave, whatever state the connection is in."""


class SmtpClient:
    """SMTP with smtplib."""

    library = "smtplib"
    operation = "EHLO"

    def __init__(self, host: str, port: int, timeout: int, tls: ssl.SSLContext | None) -> None:
        if tls is None:
            self.client: SaslSMTP | SaslSMTP_SSL = SaslSMTP(host, port, timeout=timeout)
        else:
            self.client = SaslSMTP_SSL(host, port, timeout=timeout, context=tls)
        self.client.ehlo_or_helo_if_needed()

    @property
    def sock(self) -> Any:
        """See MailClient."""
        return self.client.sock

    def start_tls(self, context: ssl.SSLContext) -> None:
        """See MailClient."""
        code, text = self.client.starttls(context=context)
        if code != 220:
            raise ConnectionError(f"the server refuses STARTTLS: {code} {printable(text)}")
        self.client.ehlo()

    def authenticate(self, mechanism: str | Sequence[str] | None, **options: Unpack[MailOptions]) -> Security:
        """See MailClient."""
        return self.client.authenticate_sasl(mechanism, **options)

    def ask(self) -> str:
        """See MailClient."""
        code, text = self.client.ehlo()
        if code != 250:
            raise ConnectionError(f"EHLO is answered with {code} {printable(text)}")
        return printable(text.split(b"\n", 1)[0])

    def carry(self, message: bytes) -> None:
        """See MailClient."""
        self.client.sendmail("alice@localhost", ["bob@localhost"], message)

    def close(self) -> None:
        """See MailClient."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.client.quit()
        self.client.close()


class ImapClient:
    """IMAP with imaplib."""

    library = "imaplib"
    operation = "NOOP"

    def __init__(self, host: str, port: int, timeout: int, tls: ssl.SSLContext | None) -> None:
        if tls is None:
            self.client: SaslIMAP4 | SaslIMAP4_SSL = SaslIMAP4(host, port, timeout=timeout)
        else:
            self.client = SaslIMAP4_SSL(host, port, timeout=timeout, ssl_context=tls)

    @property
    def sock(self) -> Any:
        """See MailClient."""
        return self.client.sock

    def start_tls(self, context: ssl.SSLContext) -> None:
        """See MailClient."""
        self.client.starttls(context)

    def authenticate(self, mechanism: str | Sequence[str] | None, **options: Unpack[MailOptions]) -> Security:
        """See MailClient."""
        return self.client.authenticate_sasl(mechanism, **options)

    def ask(self) -> str:
        """See MailClient."""
        status, data = self.client.noop()
        if status != "OK":
            raise ConnectionError(f"NOOP is answered with {status}")
        return printable(data[-1] if data and isinstance(data[-1], bytes) else b"")

    def carry(self, message: bytes) -> bytes:
        """See MailClient."""
        self.client.append("INBOX", "", "", message)
        count = self.client.select("INBOX")[1][0] or b""
        data = self.client.fetch(count.decode(), "(BODY[])")[1]
        return next((bytes(part[1]) for part in data if isinstance(part, tuple)), b"")

    def close(self) -> None:
        """See MailClient."""
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            self.client.logout()
        with contextlib.suppress(OSError):
            self.client.shutdown()


class Pop3Client:
    """POP3 with poplib."""

    library = "poplib"
    operation = "STAT"

    def __init__(self, host: str, port: int, timeout: int, tls: ssl.SSLContext | None) -> None:
        if tls is None:
            self.client: SaslPOP3 | SaslPOP3_SSL = SaslPOP3(host, port, timeout=timeout)
        else:
            self.client = SaslPOP3_SSL(host, port, timeout=timeout, context=tls)

    @property
    def sock(self) -> Any:
        """See MailClient."""
        return self.client.sock

    def start_tls(self, context: ssl.SSLContext) -> None:
        """See MailClient."""
        self.client.stls(context=context)

    def authenticate(self, mechanism: str | Sequence[str] | None, **options: Unpack[MailOptions]) -> Security:
        """See MailClient."""
        return self.client.authenticate_sasl(mechanism, **options)

    def ask(self) -> str:
        """See MailClient."""
        count, size = self.client.stat()
        return f"{count} messages, {size} octets"

    def carry(self, message: bytes) -> bytes:
        """See MailClient."""
        lines = self.client.retr(self.client.stat()[0])[1]
        return b"".join(line + b"\r\n" for line in lines)

    def close(self) -> None:
        """See MailClient."""
        with contextlib.suppress(poplib.error_proto, OSError):  # ours is an OSError too
            self.client.quit()
        with contextlib.suppress(OSError):  # poplib ends both directions first, of a socket that may be gone
            self.client.close()


class SieveClient:
    """ManageSieve with our own client: it has no port that speaks TLS from the start."""

    library = "our own client"
    operation = "LISTSCRIPTS"

    def __init__(self, host: str, port: int, timeout: int, tls: ssl.SSLContext | None) -> None:
        self.client = SaslSieve(host, port, timeout=timeout)

    @property
    def sock(self) -> Any:
        """See MailClient."""
        return self.client.sock

    def start_tls(self, context: ssl.SSLContext) -> None:
        """See MailClient."""
        self.client.starttls(context)

    def authenticate(self, mechanism: str | Sequence[str] | None, **options: Unpack[MailOptions]) -> Security:
        """See MailClient."""
        return self.client.authenticate_sasl(mechanism, **options)

    def ask(self) -> str:
        """See MailClient."""
        return f"{len(self.client.listscripts())} scripts"

    def carry(self, message: bytes) -> bytes:
        """See MailClient: as a comment of a script."""
        self.client.putscript("demo", b"/*\r\n" + message + b"*/\r\n")
        return self.client.getscript("demo").removeprefix(b"/*\r\n").removesuffix(b"*/\r\n")

    def close(self) -> None:
        """See MailClient."""
        with contextlib.suppress(SaslError, OSError):
            self.client.logout()
        self.client.close()


CLIENTS: Final[dict[str, type[MailClient]]] = {
    "smtp": SmtpClient,
    "imap": ImapClient,
    "pop3": Pop3Client,
    "sieve": SieveClient,
}
"""By protocol."""


@contextlib.contextmanager
def own_errors() -> Iterator[None]:
    """Turn what the standard library's clients raise of their own into ConnectionError."""
    try:
        yield
    except SaslError:
        raise
    except (smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as error:
        raise ConnectionError(_text(error)) from error


def _text(error: Exception) -> str:
    answer = error.smtp_error if isinstance(error, smtplib.SMTPResponseException) else error.args and error.args[0]
    if not isinstance(answer, bytes):
        return str(error)
    code = f"{error.smtp_code} " if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0 else ""
    return f"the server says {code}{answer.decode(errors='replace')!r}"


class _NamedContext(ssl.SSLContext):
    """Verifies a server under the name that it was given and not under that of the connection."""

    verified_name: str

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """See ssl.SSLContext."""
        return super().wrap_socket(*args, **options | {"server_hostname": self.verified_name})


def tls_for(name: str, authority: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context for a server of this name.

    Raises:
        OSError: a file cannot be used.
    """
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the name
    context.verified_name = name
    if authority is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(authority)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
