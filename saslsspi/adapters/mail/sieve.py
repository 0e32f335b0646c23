"""ManageSieve (RFC 5804) with SASL and its layers; the standard library has no client for it, so this is one.

Scripts are octets, as Sieve has them in UTF-8; names are text. One thread uses a client at a time.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import NamedTuple, Self, Unpack

from saslsspi.adapters.mail.dialogue import Refused
from saslsspi.adapters.mail.line_protocol import Capabilities, Reply, ReplyKind, ends_here, printable
from saslsspi.adapters.mail.lines import LineFile, asking, check_silence, layered, read
from saslsspi.adapters.mail.logon import Carrier, MailLogon, MailOptions, authenticate, closing_on_error
from saslsspi.adapters.mail.protocols.sieve import SIEVE, read_strings
from saslsspi.adapters.mail.strings import string
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, LogonDenied, PeerUnsupported, RemoteError
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import MechanismNames
from saslsspi.status import SecurityStatus

__all__ = ["SaslSieve", "SieveLogonDenied", "SieveRefused", "SieveScript"]


class SieveLogonDenied(LogonDenied):
    """The server refuses the credentials; the connection can be used for another try."""

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Make the error of a refusal."""
        return cls(refused.shown)


class SieveRefused(RemoteError):
    """The server says NO to a command; the session goes on."""

    status = SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


class SieveScript(NamedTuple):
    """A script in the server's list.

    Attributes:
        active: Whether it is the one that filters mail now.
    """

    name: str
    active: bool


class SaslSieve:
    """A ManageSieve client. `with` logs out.

    Args:
        host: The server's name.
        port: 4190 is the usual one.
        timeout: For each answer, in seconds; None waits without end.

    Attributes:
        capabilities: What the server listed last.
        security: What authenticate_sasl negotiated; None before.

    Raises:
        SaslError: what answers is no ManageSieve server, or has no time for us.
        OSError: it cannot be reached.
    """

    def __init__(self, host: str, port: int = SIEVE.port, *, timeout: float | None = None) -> None:
        self.host = host
        self.security: Security | None = None
        self.sock: socket.socket = socket.create_connection((host, port), timeout=timeout)
        self._file = LineFile(self.sock)
        with closing_on_error(self.close):
            self.capabilities = self._announced()

    def __enter__(self) -> Self:
        """Return the client; the end of the block logs out."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log out, where there is somebody to say it to, and close."""
        with contextlib.suppress(OSError):
            self.logout()

    def starttls(self, context: ssl.SSLContext | None = None) -> None:
        """Begin TLS (RFC 5804 section 2.2), under a verified name unless the context says otherwise.

        Raises:
            ContextMisuse: a layer is in force, or somebody is logged on.
            PeerUnsupported: the server does not begin TLS.
            InvalidToken: octets in clear stand behind its reply; the connection is closed.
            OSError: TLS fails; the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("TLS begins before authentication (RFC 5804 section 2.2)")
        if not self._command(SIEVE.starttls).positive:
            raise PeerUnsupported("the server does not begin TLS")
        with closing_on_error(self.close):
            check_silence(self._file, "the reply to STARTTLS")
            wrapped = (context or ssl.create_default_context()).wrap_socket(self.sock, server_hostname=self.host)
            self.sock, self._file = wrapped, LineFile(wrapped)
            self.capabilities = self._announced()

    def authenticate_sasl(self, mechanism: MechanismNames = None, **options: Unpack[MailOptions]) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is in force when this returns. The keywords are those of MailOptions.

        Raises:
            SieveLogonDenied: the server says NO; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound, PeerUnsupported: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already (RFC 5804 section 2.1)")
        logon = MailLogon.over(self.sock, mechanism, options, host=self.host)
        carrier = Carrier(
            ask=lambda turn: asking(self._file, SIEVE)(turn),
            install=self._install,
            capabilities=self._announced,
            drop=self.close,
            denied=SieveLogonDenied.of,
        )
        self.security = authenticate(carrier, SIEVE, logon, self.capabilities)
        return self.security

    def capability(self) -> Capabilities:
        """Ask what the server can."""
        self._send(SIEVE.capability)
        self.capabilities = read(self._file, SIEVE.read_capabilities(b""))
        return self.capabilities

    def listscripts(self) -> list[SieveScript]:
        """Return the scripts (section 2.7)."""
        _, lines = self._strings(b"LISTSCRIPTS")
        return [SieveScript(words[0].decode("utf-8", "replace"), len(words) > 1) for words in lines]

    def getscript(self, name: str) -> bytes:
        """Return a script (section 2.9)."""
        _, lines = self._strings(b"GETSCRIPT", name.encode())
        return lines[0][0] if lines else b""

    def putscript(self, name: str, script: bytes) -> None:
        """Store a script, in the place of one of its name (section 2.6)."""
        self._done(b"PUTSCRIPT", name.encode(), script)

    def checkscript(self, script: bytes) -> None:
        """Have a script looked at and not stored (section 2.12)."""
        self._done(b"CHECKSCRIPT", script)

    def setactive(self, name: str) -> None:
        """Say which script filters mail; "" is none (section 2.8)."""
        self._done(b"SETACTIVE", name.encode())

    def deletescript(self, name: str) -> None:
        """Delete a script (section 2.10)."""
        self._done(b"DELETESCRIPT", name.encode())

    def noop(self) -> str:
        """Do nothing, and return what the server says (section 2.13)."""
        return printable(self._done(SIEVE.noop).text)

    def logout(self) -> None:
        """Say good-bye and close."""
        try:
            self._command(SIEVE.leave)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection without another word."""
        self.security = None
        self.sock.close()

    def _announced(self) -> Capabilities:
        """Read the capabilities that come unasked: as greeting, and where TLS or a layer has begun."""
        self.capabilities = read(self._file, SIEVE.read_capabilities(b""))
        return self.capabilities

    def _install(self, layer: Layer) -> None:
        # Section 2.1: what stands behind the OK is under the layer already; clear text that was put in there does not
        # pass for a protected buffer.
        unread = self._file.unread
        self.sock = layered(self._file.sock, layer)
        self._file = LineFile(self.sock, layer.unwrap(unread))

    def _send(self, name: bytes, *arguments: bytes) -> None:
        line = b" ".join([name, *(string(argument, from_client=True) for argument in arguments)])
        self.sock.sendall(line + b"\r\n")

    def _command(self, name: bytes, *arguments: bytes) -> Reply:
        with closing_on_error(self.close):
            self._send(name, *arguments)
            return read(self._file, SIEVE.read(b""))

    def _done(self, name: bytes, *arguments: bytes) -> Reply:
        return _positive(name, self._command(name, *arguments))

    def _strings(self, name: bytes, *arguments: bytes) -> tuple[Reply, list[list[bytes]]]:
        with closing_on_error(self.close):
            self._send(name, *arguments)
            reply, lines = read(self._file, read_strings())
        return _positive(name, reply), lines


def _positive(name: bytes, reply: Reply) -> Reply:
    if reply.kind is ReplyKind.BYE:
        raise ends_here(reply.text)
    if not reply.positive:
        raise SieveRefused(f"{name.decode()} is answered with NO: {printable(reply.text) or 'no reason given'}")
    return reply
