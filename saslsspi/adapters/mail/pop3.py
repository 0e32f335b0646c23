"""SASL for poplib: SaslPOP3 and SaslPOP3_SSL are poplib's classes with one method more (RFC 5034).

`stat`, `retr` and the rest stay as they are, under a security layer where one was negotiated.
"""

from __future__ import annotations

import contextlib
import poplib
import ssl
from collections.abc import Iterator
from typing import Self, Unpack

from saslsspi.adapters.mail.dialogue import Refused, Turn, check_argument
from saslsspi.adapters.mail.line_protocol import Capabilities, Reply
from saslsspi.adapters.mail.lines import DEFAULT_TIMEOUT, LineFile, asking, check_silence, layered, read, strength_of
from saslsspi.adapters.mail.login import log_in
from saslsspi.adapters.mail.logon import Carrier, MailLogon, MailOptions, authenticate, closing_on_error
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.credentials import Password
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, LogonDenied, SaslError
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import MechanismNames

__all__ = ["PopLogonDenied", "SaslPOP3", "SaslPOP3_SSL"]


class PopLogonDenied(LogonDenied, poplib.error_proto):
    """The server's -ERR, for those who catch poplib's exception and for those who catch ours."""

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Make the error of a refusal."""
        return cls(refused.shown)


class _Sasl(poplib.POP3):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _layered = False
    _user = ""

    @contextlib.contextmanager
    def _greeted(self) -> Iterator[None]:
        """Close the connection on an error: poplib leaves it open when what greets it is no POP3 server."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(AttributeError):  # there is none yet
                self._drop()
            raise

    def __enter__(self) -> Self:
        """Return the connection; the end of the block leaves it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say good-bye, where there is somebody to say it to, and close."""
        if self.sock is not None:
            with contextlib.suppress(OSError, poplib.error_proto):
                self.quit()
        self._drop()

    def authenticate_sasl(
        self,
        mechanism: MechanismNames = None,
        **options: Unpack[MailOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns. The keywords are those of MailOptions. One
        that is named is tried on servers, too, whose CAPA does not list it, or that have no CAPA.

        Raises:
            PopLogonDenied: the server says -ERR; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound, UnsupportedFunction: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already (RFC 5034 section 4)")
        logon = MailLogon.over(self.sock, mechanism, options, host=self.host)
        with closing_on_error(self._drop, poplib.error_proto):
            listed = self._capabilities()
        carrier = Carrier(
            ask=self._ask,
            install=self._install,
            capabilities=self._capabilities,
            drop=self._drop,
            denied=PopLogonDenied.of,
            foreign=(poplib.error_proto,),
        )
        self.security = authenticate(carrier, POP3, logon, listed)
        return self.security

    def user(self, user: str) -> bytes:
        """Keep the name for pass_; nothing is sent before the server has proved, by TLS, who it is."""
        self._user = user
        return b"+OK"

    def pass_(self, pswd: str) -> bytes:
        """Log on as poplib's user and pass_, with the strongest mechanism of the server.

        A server that has none for a password is logged on to with USER and PASS, under verified TLS only.

        Raises:
            PopLogonDenied: as authenticate_sasl.
            poplib.error_proto: everything else, which is also the SaslError of authenticate_sasl.
        """
        user = self._user

        def by_words() -> bytes:
            poplib.POP3.user(self, user)
            return poplib.POP3.pass_(self, pswd)

        return log_in(
            lambda: self.authenticate_sasl(credentials=Password(user, pswd)),
            by_words,
            b"+OK logged on",
            verified=strength_of(self.sock) > 0,
            base=poplib.error_proto,
        )

    def capa(self) -> dict[str, list[str]]:
        """Return the capabilities as poplib does, whatever octets stand in them."""
        return {name: value.split() for name, value in self._capabilities().values.items()}

    def stls(self, context: ssl.SSLContext | None = None) -> bytes:
        """Start TLS as poplib does; octets that came in clear behind the reply are an error, not a reply."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        before = self._open_file()
        answer = super().stls(context)
        try:
            check_silence(before, "the reply to STLS")
        except SaslError:
            self._drop()
            raise
        return answer

    def _open_file(self) -> LineFile:
        if not isinstance(self.file, LineFile) or self.file.sock is not self.sock:
            self.file = LineFile(self.sock)  # type: ignore[assignment]  # it has a file's shape
        reader: LineFile = self.file  # type: ignore[assignment]
        return reader

    def _getline(self) -> tuple[bytes, int]:
        self._open_file()
        answer: tuple[bytes, int] = super()._getline()  # type: ignore[misc]
        return answer

    def _putcmd(self, line: str) -> None:
        check_argument(line)
        if self.sock is None:
            raise ContextMisuse("the connection is closed")
        super()._putcmd(line)  # type: ignore[misc]

    def _ask(self, turn: Turn) -> Reply:
        return asking(self._open_file(), POP3)(turn)

    def _capabilities(self) -> Capabilities:
        file = self._open_file()
        file.sock.sendall(POP3.command(POP3.capability))
        return read(file, POP3.read_capabilities(b""))

    def _install(self, layer: Layer) -> None:
        file = self._open_file()
        # No server speaks POP3 unasked: what stands behind the +OK belongs to nobody.
        check_silence(file, "the server's success")
        self.sock = layered(file.sock, layer)
        self._layered = True

    def _drop(self) -> None:
        """Close the connection without another word."""
        self.security = None
        try:
            self.close()
        except OSError:
            return


class SaslPOP3(_Sasl):
    """poplib.POP3 with authenticate_sasl; use `stls` first where the server has it."""

    def __init__(self, host: str, port: int = poplib.POP3_PORT, timeout: float = DEFAULT_TIMEOUT) -> None:
        with self._greeted():
            super().__init__(host, port, timeout)


class SaslPOP3_SSL(_Sasl, poplib.POP3_SSL):  # type: ignore[misc]  # noqa: N801  # stls differs in typeshed only
    """poplib.POP3_SSL with authenticate_sasl; without a `context` of its own it verifies the server."""

    def __init__(
        self,
        host: str,
        port: int = poplib.POP3_SSL_PORT,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        context: ssl.SSLContext | None = None,
    ) -> None:
        verifying = ssl.create_default_context() if context is None else context
        with self._greeted():
            super().__init__(host, port, timeout=timeout, context=verifying)
