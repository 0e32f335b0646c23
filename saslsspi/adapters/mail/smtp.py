"""SASL for smtplib: SaslSMTP and SaslSMTP_SSL are smtplib's classes with one method more (RFC 4954).

Everything else stays what it is: `sendmail` and `send_message` go on working, under a security layer where one was
negotiated.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from typing import Any, Final, Unpack

from saslsspi.adapters.mail.dialogue import MAX_LINE, Profile, Refused, Reply, ReplyKind, check_argument
from saslsspi.adapters.mail.lines import LineFile, check_silence, layered
from saslsspi.adapters.mail.logon import (
    Dialogue,
    Established,
    Logon,
    LogonOptions,
    check_not_hidden,
    closing_on_error,
    ended_of,
    log_on,
)
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, PeerUnsupported, SaslError
from saslsspi.sasl.layer import Layer

__all__ = ["SMTP_PROFILE", "SaslSMTP", "SaslSMTP_SSL", "SmtpLogonDenied", "reply_kind"]

# RFC 4954 section 4: the AUTH command keeps the limit of a command line, 512 octets (RFC 5321 section 4.5.3.1.4).
SMTP_PROFILE: Final = Profile("smtp", "AUTH", 512)

_MAX_REPLY_LINES: Final = 64


class SmtpLogonDenied(LogonDenied, smtplib.SMTPAuthenticationError):
    """The server's 535 and its like, for those who catch smtplib's exception and for those who catch ours."""

    def __init__(self, text: str, code: int, reply: bytes) -> None:
        OSError.__init__(self, code, reply)
        self.text, self.token, self.requirement = text, None, None
        self.smtp_code, self.smtp_error = code, reply


def reply_kind(code: int) -> ReplyKind:
    """Sort a reply to AUTH (RFC 4954 section 6)."""
    if code == 334:
        return ReplyKind.CHALLENGE
    if code == 235:
        return ReplyKind.SUCCESS
    if code in (504, 534, 538):
        return ReplyKind.UNSUITABLE
    if code == 535:
        return ReplyKind.DENIED
    return ReplyKind.TEMPORARY if 400 <= code < 500 else ReplyKind.REFUSED


class _Sasl(smtplib.SMTP):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _layered = False
    _silence_after_reply = False
    _server_name = ""
    _code = 0  # of the last reply to AUTH

    def connect(self, host: str = "localhost", port: int = 0, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Connect as smtplib does, and remember to whom."""
        name, colon, digits = host.rpartition(":")
        self._server_name = name if not port and colon and digits.isdigit() and ":" not in name else host
        return super().connect(host, port, *args, **kwargs)

    def authenticate_sasl(
        self,
        mechanism: str | Sequence[str] | None = None,
        **options: Unpack[LogonOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns, and EHLO is said again under it. The keywords
        are those of LogonOptions.

        Raises:
            SmtpLogonDenied: these credentials are refused; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already (RFC 4954 section 4)")
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("auth"):
            raise PeerUnsupported("the server does not offer AUTH")
        offered = self._offered()
        logon = Logon.over(self.sock, mechanism, options, host=self._server_name)
        dialogue = log_on(logon, SMTP_PROFILE, offered, initial_response=True)
        arguments = next(dialogue)
        with closing_on_error(self.close, smtplib.SMTPException):
            ended = self._carry(dialogue, arguments)
            if isinstance(ended, Established) and ended.layer is not None:
                self._install(ended.layer)
                self.ehlo()
                check_not_hidden(logon, ended.security, offered, self._offered())
        if isinstance(ended, Refused):
            raise self._refusal(ended)
        self.security = ended.security
        return ended.security

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Start TLS as smtplib does; octets that came in clear behind the reply are an error, not a reply."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        self._silence_after_reply = True
        try:
            return super().starttls(*args, **kwargs)
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

    def _offered(self) -> list[str]:
        return self.esmtp_features.get("auth", "").split()

    def _open_file(self) -> LineFile:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        if not isinstance(self.file, LineFile) or self.file.sock is not self.sock:
            self.file = LineFile(self.sock)
        return self.file

    def _carry(self, dialogue: Dialogue, arguments: bytes) -> Established | Refused:
        assert self.sock is not None
        line = b"AUTH " + arguments
        while True:
            self.sock.sendall(line + b"\r\n")
            self._code, text = self._read_reply()
            kind = reply_kind(self._code)
            try:
                line = dialogue.send(Reply(kind, text))
            except StopIteration as stop:
                return ended_of(stop)
            if kind is not ReplyKind.CHALLENGE:
                line = b"AUTH " + line

    def _read_reply(self) -> tuple[int, bytes]:
        """Read a reply of any number of lines, each as long as a challenge may be."""
        file = self._open_file()
        texts = []
        for _ in range(_MAX_REPLY_LINES):
            line = file.readline(MAX_LINE + 1)
            if not line.endswith(b"\n"):
                problem = "is longer than we read" if len(line) > MAX_LINE else "ends with the connection"
                raise InvalidToken(f"the server's reply to AUTH {problem}")
            if not line[:3].isdigit() or line[3:4] not in (b" ", b"-", b"\r", b"\n"):
                raise InvalidToken("the server's reply to AUTH is not an SMTP reply")
            texts.append(line[4:].rstrip(b"\r\n"))
            if line[3:4] != b"-":
                return int(line[:3]), b" ".join(texts)
        raise InvalidToken(f"the server's reply to AUTH has more than {_MAX_REPLY_LINES} lines")

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

    def _refusal(self, refused: Refused) -> SaslError:
        error = refused.error()
        if isinstance(error, LogonDenied):
            return SmtpLogonDenied(error.text, self._code, refused.reply.text)
        return error


class SaslSMTP(_Sasl):
    """smtplib.SMTP with authenticate_sasl; use `starttls` first where the server has it."""


class SaslSMTP_SSL(_Sasl, smtplib.SMTP_SSL):  # noqa: N801  # smtplib's own spelling
    """smtplib.SMTP_SSL with authenticate_sasl; without a `context` of its own it verifies the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context", ssl.create_default_context())
        super().__init__(*args, **kwargs)
