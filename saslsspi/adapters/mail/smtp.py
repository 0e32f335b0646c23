"""SASL for smtplib: SaslSMTP and SaslSMTP_SSL are smtplib's classes with one method more (RFC 4954).

`login` is still smtplib's to its callers, and goes the same way.

Everything else stays what it is: `sendmail` and `send_message` go on working, under a security layer where one was
negotiated.
"""

from __future__ import annotations

import smtplib
import ssl
from typing import Any, Self, Unpack

from saslsspi.adapters.mail.dialogue import Refused, Turn, check_argument
from saslsspi.adapters.mail.line_protocol import Capabilities, Reply
from saslsspi.adapters.mail.lines import (
    DEFAULT_TIMEOUT,
    LineFile,
    SourceAddress,
    asking,
    check_silence,
    layered,
    strength_of,
)
from saslsspi.adapters.mail.login import log_in
from saslsspi.adapters.mail.logon import Carrier, MailLogon, MailOptions, authenticate, closing_on_error
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.credentials import Password
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, LogonDenied, SaslError
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import MechanismNames

__all__ = ["SaslSMTP", "SaslSMTP_SSL", "SmtpLogonDenied"]


class SmtpLogonDenied(LogonDenied, smtplib.SMTPAuthenticationError):
    """The server's 535 and its like, for those who catch smtplib's exception and for those who catch ours."""

    def __init__(self, text: str, code: int, reply: bytes) -> None:
        OSError.__init__(self, code, reply)
        self.text, self.token, self.requirement = text, None, None
        self.smtp_code, self.smtp_error = code, reply

    @classmethod
    def of(cls, refused: Refused) -> Self:
        """Make the error of a refusal."""
        reply = refused.reply
        return cls(refused.shown, int(reply.word or 535), reply.text)


class _Sasl(smtplib.SMTP):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _layered = False
    _silence_after_reply = False
    _connected_name = ""

    def connect(  # type: ignore[override]  # smtplib's types take what no socket of TCP does
        self, host: str = "localhost", port: int = 0, source_address: SourceAddress | None = None
    ) -> tuple[int, bytes]:
        """Connect as smtplib does, and remember to whom."""
        name, colon, digits = host.rpartition(":")
        self._connected_name = name if not port and colon and digits.isdigit() and ":" not in name else host
        return super().connect(host, port, source_address)

    def authenticate_sasl(
        self,
        mechanism: MechanismNames = None,
        **options: Unpack[MailOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns, and EHLO is said again under it. The keywords
        are those of MailOptions.

        Raises:
            SmtpLogonDenied: these credentials are refused; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already (RFC 4954 section 4)")
        with closing_on_error(self.close, smtplib.SMTPException):
            self.ehlo_or_helo_if_needed()
        logon = MailLogon.over(self.sock, mechanism, options, host=self._connected_name)
        carrier = Carrier(
            ask=self._ask,
            install=self._install,
            capabilities=self._capabilities_anew,
            drop=self.close,
            denied=SmtpLogonDenied.of,
            foreign=(smtplib.SMTPException,),
        )
        self.security = authenticate(carrier, SMTP, logon, self._listed())
        return self.security

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """Log on as smtplib's login, with the strongest mechanism of the server.

        A server that has none for a password but LOGIN is logged on to by smtplib itself, under verified TLS only.

        Raises:
            SmtpLogonDenied: as authenticate_sasl.
            smtplib.SMTPException: everything else, which is also the SaslError of authenticate_sasl.
        """
        password_of: Any = {"credentials": Password(user, password), "initial_response": initial_response_ok}
        return log_in(
            lambda: self.authenticate_sasl(**password_of),
            lambda: smtplib.SMTP.login(self, user, password, initial_response_ok=initial_response_ok),
            (235, b"Authentication successful"),
            verified=strength_of(self.sock) > 0,
            base=smtplib.SMTPException,
        )

    def starttls(self, *, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:  # type: ignore[override, unused-ignore]  # Python 3.11 takes names of files too
        """Start TLS as smtplib does; octets that came in clear behind the reply are an error, not a reply."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        self._silence_after_reply = True
        try:
            return super().starttls(context=context)
        finally:
            self._silence_after_reply = False

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply as smtplib does, through a reader whose buffer can be examined."""
        self._open_file()
        try:
            answer = super().getreply()
        except smtplib.SMTPServerDisconnected as error:
            if isinstance(error.__context__, SaslError):  # smtplib hides every OSError behind its own
                raise error.__context__ from None
            raise
        if self._silence_after_reply and answer[0] == 220:
            self._silence_after_reply = False
            try:
                check_silence(self._open_file(), "the reply to STARTTLS")
            except SaslError:
                self.close()
                raise
        return answer

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command as smtplib does; no argument can begin another one."""
        check_argument(f"{cmd} {args}")
        super().putcmd(cmd, args)

    def close(self) -> None:
        """Close the connection; the next one begins without authentication."""
        self.security = None
        self._layered = False
        super().close()

    def _listed(self) -> Capabilities:
        """Return what smtplib has kept of the last EHLO."""
        mechanisms = tuple(self.esmtp_features["auth"].upper().split()) if self.has_extn("auth") else None
        values = {name.upper(): value for name, value in self.esmtp_features.items()}
        return Capabilities(mechanisms, mechanisms is not None, self.has_extn("starttls"), values)

    def _capabilities_anew(self) -> Capabilities:
        self.ehlo()
        return self._listed()

    def _open_file(self) -> LineFile:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        if not isinstance(self.file, LineFile) or self.file.sock is not self.sock:
            self.file = LineFile(self.sock)
        return self.file

    def _ask(self, turn: Turn) -> Reply:
        return asking(self._open_file(), SMTP)(turn)

    def _install(self, layer: Layer) -> None:
        file = self._open_file()
        # No server speaks SMTP unasked: what stands behind the 235 belongs to nobody.
        check_silence(file, "the server's success")
        self.sock = layered(file.sock, layer)
        self.file = None
        self._layered = True
        # RFC 4954 section 4: "the client MUST discard any knowledge obtained from the server".
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False


class SaslSMTP(_Sasl):
    """smtplib.SMTP with authenticate_sasl; use `starttls` first where the server has it."""


class SaslSMTP_SSL(_Sasl, smtplib.SMTP_SSL):  # noqa: N801  # smtplib's own spelling
    """smtplib.SMTP_SSL with authenticate_sasl; without a `context` of its own it verifies the server."""

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        local_hostname: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        source_address: SourceAddress | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            host,
            port,
            local_hostname,
            timeout=timeout,
            source_address=source_address,
            context=ssl.create_default_context() if context is None else context,
        )
