"""SASL for imaplib: SaslIMAP4 and SaslIMAP4_SSL are imaplib's classes with one method more (RFC 9051, RFC 4959).

They own read, readline and send, the methods that imaplib documents as overridable: its own buffering changed in
Python 3.14, and a security layer must know what was read and what was not. `fetch`, `append` and the rest stay as they
are.
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final, Literal, Self, Unpack

from saslsspi.adapters.mail.dialogue import Refused, Turn, check_argument
from saslsspi.adapters.mail.line_protocol import Capabilities, Reply
from saslsspi.adapters.mail.lines import LineFile, asking, check_silence, layered, strength_of
from saslsspi.adapters.mail.login import log_in
from saslsspi.adapters.mail.logon import Carrier, MailLogon, MailOptions, authenticate, closing_on_error
from saslsspi.adapters.mail.protocols.imap import IMAP, imap_capabilities
from saslsspi.credentials import Password
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import MechanismNames

__all__ = ["ImapLogonDenied", "SaslIMAP4", "SaslIMAP4_SSL"]

_TLS_PORT: Final = 993  # RFC 8314 section 7.2
_MAX_RESPONSE_LINE: Final = 1_000_000  # imaplib's own limit
_UNTAGGED: Final = re.compile(rb"\* ([A-Za-z]+)(?: (.*))?\Z", re.S)


class ImapLogonDenied(LogonDenied, imaplib.IMAP4.error):
    """The server's NO, for those who catch imaplib's exception and for those who catch ours."""

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Make the error of a refusal."""
        return cls(refused.shown)


class _Sasl(imaplib.IMAP4):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    capabilities: tuple[str, ...] = ()
    _reader: LineFile | None = None
    _layered = False
    _commands = 0  # that this class has sent itself

    def authenticate_sasl(
        self,
        mechanism: MechanismNames = None,
        **options: Unpack[MailOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns, and the capabilities are asked anew. The
        keywords are those of MailOptions.

        Raises:
            ImapLogonDenied: the server says NO; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.state != "NONAUTH":
            raise ContextMisuse(f"AUTHENTICATE is not for the state {self.state}")
        logon = MailLogon.over(self.sock, mechanism, options, host=self.host)
        carrier = Carrier(
            ask=self._ask,
            install=self._install,
            capabilities=self._refresh,
            drop=self._drop,
            denied=ImapLogonDenied.of,
            foreign=(imaplib.IMAP4.error,),
        )
        security = authenticate(carrier, IMAP, logon, self._listed(), tags=self._tags())
        self.state = "AUTH"
        if not self._layered:
            with closing_on_error(self._drop, imaplib.IMAP4.error):
                self._refresh()
        self.security = security
        return security

    def login(self, user: str, password: str) -> tuple[Literal["OK"], list[bytes]]:
        """Log on as imaplib's login, with the strongest mechanism of the server.

        A server that has none for a password is logged on to with LOGIN, under verified TLS only.

        Raises:
            ImapLogonDenied: as authenticate_sasl.
            imaplib.IMAP4.error: everything else, which is also the SaslError of authenticate_sasl.
        """
        return log_in(
            lambda: self.authenticate_sasl(credentials=Password(user, password)),
            lambda: imaplib.IMAP4.login(self, user, password),
            ("OK", [b"AUTHENTICATE completed"]),
            verified=strength_of(self.sock) > 0,
            base=imaplib.IMAP4.error,
        )

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> tuple[Literal["OK"], list[None]]:
        """Start TLS as imaplib does; octets that came in clear behind the reply are an error, not a response."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        return super().starttls(ssl_context)

    def read(self, size: int) -> bytes:
        """Read size octets."""
        return self._incoming().read(size)

    def readline(self) -> bytes:
        """Read a line of bounded length.

        Raises:
            InvalidToken: it is longer; the connection is closed.
        """
        line = self._incoming().readline(_MAX_RESPONSE_LINE + 1)
        if len(line) > _MAX_RESPONSE_LINE:
            self._drop()
            raise InvalidToken(f"a line of the server is longer than {_MAX_RESPONSE_LINE} octets")
        return line

    def send(self, data: bytes) -> None:  # type: ignore[override]  # octets are all that imaplib sends
        """Send octets, under the layer where there is one."""
        self.sock.sendall(data)

    def _incoming(self) -> LineFile:
        reader = self._reader
        if reader is None or reader.sock is not self.sock:
            if reader is not None:  # the connection has just got its TLS
                check_silence(reader, "the reply to STARTTLS")
            reader = self._reader = LineFile(self.sock)
        return reader

    def _command(self, name: str, *args: Any) -> bytes:
        for argument in args:
            if argument is not None:
                check_argument(argument)
        return super()._command(name, *args)  # type: ignore[misc, no-any-return]

    def _listed(self) -> Capabilities:
        """Return what imaplib has kept of the last CAPABILITY."""
        return imap_capabilities([b"* CAPABILITY " + " ".join(self.capabilities).encode("utf-8", "replace")])

    def _tags(self) -> Iterator[bytes]:
        """Make tags that imaplib makes none of."""
        while True:
            self._commands += 1
            yield b"%bS%d" % (self.tagpre, self._commands)  # type: ignore[str-format]  # typeshed takes it for text

    def _ask(self, turn: Turn) -> Reply:
        reply = asking(self._incoming(), IMAP)(turn)
        for line in reply.lines[:-1]:
            if (untagged := _UNTAGGED.match(line)) is not None:
                self._append_untagged(untagged[1].decode("ascii").upper(), untagged[2] or b"")
        if b"[CAPABILITY " in reply.lines[-1].upper():
            self.untagged_responses["CAPABILITY"] = [" ".join(imap_capabilities(reply.lines[-1:]).values).encode()]
        return reply

    def _install(self, layer: Layer) -> None:
        reader = self._incoming()
        # What stands behind the tagged OK is under the layer already (RFC 3501 section 6.2.2); clear text that was
        # put in there does not pass for a protected buffer.
        self.sock = layered(reader.sock, layer)
        self._reader = LineFile(self.sock, layer.unwrap(reader.unread))
        self._layered = True
        # RFC 3501 section 6.2.2: "the client MUST" ask for the capabilities again under a layer.
        self.untagged_responses.pop("CAPABILITY", None)

    def _refresh(self) -> Capabilities:
        """Take the capabilities that came with the OK, or ask."""
        data = self.response("CAPABILITY")[1]
        if data == [None]:
            data = self.capability()[1]
        self._keep(data)
        return self._listed()

    def _keep(self, data: list[Any]) -> None:
        """Keep the capabilities as imaplib does, whatever octets stand in them."""
        if data and isinstance(data[-1], bytes):
            self.capabilities = tuple(data[-1].decode("ascii", "replace").upper().split())

    def _get_capabilities(self) -> None:
        self._keep(self.capability()[1])

    def _drop(self) -> None:
        """Close the connection without another word."""
        self.state = "LOGOUT"
        self.security = None
        try:
            self.shutdown()
        except OSError:
            return


class SaslIMAP4(_Sasl):
    """imaplib.IMAP4 with authenticate_sasl; use `starttls` first where the server has it."""


class SaslIMAP4_SSL(_Sasl, imaplib.IMAP4_SSL):  # noqa: N801  # imaplib's own spelling
    """imaplib.IMAP4_SSL with authenticate_sasl; without an `ssl_context` of its own it verifies the server."""

    def __init__(
        self,
        host: str = "",
        port: int = _TLS_PORT,
        *,
        ssl_context: ssl.SSLContext | None = None,
        timeout: float | None = None,
    ) -> None:
        context = ssl.create_default_context() if ssl_context is None else ssl_context
        super().__init__(host, port, ssl_context=context, timeout=timeout)
