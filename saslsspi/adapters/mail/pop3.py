"""SASL for poplib: SaslPOP3 and SaslPOP3_SSL are poplib's classes with one method more (RFC 5034).

`stat`, `retr` and the rest stay as they are, under a security layer where one was negotiated.
"""

from __future__ import annotations

import contextlib
import poplib
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

__all__ = ["POP3_PROFILE", "PopLogonDenied", "SaslPOP3", "SaslPOP3_SSL", "pop3_reply"]

# RFC 5034 section 4: the service name is "pop", and the command keeps POP3's limit of 255 octets.
POP3_PROFILE: Final = Profile("pop", "AUTH", 255)


class PopLogonDenied(LogonDenied, poplib.error_proto):
    """The server's -ERR, for those who catch poplib's exception and for those who catch ours."""


def pop3_reply(line: bytes) -> Reply:
    """Sort a reply to AUTH; the codes in brackets are RFC 3206's."""
    status, _, text = line.partition(b" ")
    if status == b"+":
        return Reply(ReplyKind.CHALLENGE, text)
    if status == b"+OK":
        return Reply(ReplyKind.SUCCESS, text)
    if status != b"-ERR":
        raise InvalidToken("the server's reply to AUTH is not a POP3 reply")
    code = text[1:].partition(b"]")[0].upper() if text.startswith(b"[") else b""
    if code == b"AUTH":
        return Reply(ReplyKind.DENIED, text)
    return Reply(ReplyKind.TEMPORARY if code in (b"SYS/TEMP", b"IN-USE") else ReplyKind.REFUSED, text)


class _Sasl(poplib.POP3):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _layered = False
    _at_end = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except BaseException:  # poplib leaves the connection open when what greets it is no POP3 server
            with contextlib.suppress(AttributeError):  # there is none yet
                self._drop()
            raise

    def authenticate_sasl(
        self,
        mechanism: str | Sequence[str] | None = None,
        *,
        without_capability: bool = False,
        **options: Unpack[LogonOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns. Keywords beside without_capability are those
        of LogonOptions.

        Args:
            mechanism: A name, or names in order of preference.
            without_capability: Try the named mechanisms on a server whose CAPA does not list SASL.
            **options: See LogonOptions.

        Raises:
            PopLogonDenied: the server says -ERR; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.security is not None:
            raise ContextMisuse("this session is authenticated already (RFC 5034 section 4)")
        logon = Logon.over(self.sock, mechanism, options, host=self.host)
        offered = self._offered()
        listed = offered is not None
        if offered is None:
            if not without_capability or not logon.preferred:
                raise PeerUnsupported("the server's CAPA does not list SASL")
            offered = list(logon.preferred)
        # RFC 5034 section 3: on a server without the capability the client "MUST NOT" send an initial response.
        dialogue = log_on(logon, POP3_PROFILE, offered, initial_response=listed)
        arguments = next(dialogue)
        with closing_on_error(self._drop, poplib.error_proto):
            ended = self._carry(dialogue, arguments)
            if isinstance(ended, Established) and ended.layer is not None:
                self._install(ended.layer)
                check_not_hidden(logon, ended.security, offered, self._offered() or ())
        if isinstance(ended, Refused):
            refusal = ended.error()
            raise PopLogonDenied(refusal.text) if isinstance(refusal, LogonDenied) else refusal
        self.security = ended.security
        return ended.security

    def stls(self, *args: Any, **kwargs: Any) -> bytes:
        """Start TLS as poplib does; octets that came in clear behind the reply are an error, not a reply."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        before = self._open_file()
        answer = super().stls(*args, **kwargs)
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
        try:
            answer: tuple[bytes, int] = super()._getline()  # type: ignore[misc]
        except poplib.error_proto:
            self._at_end = True
            raise
        return answer

    def _putcmd(self, line: str) -> None:
        check_argument(line)
        super()._putcmd(line)  # type: ignore[misc]

    def _carry(self, dialogue: Dialogue, arguments: bytes) -> Established | Refused:
        line = b"AUTH " + arguments
        while True:
            self.sock.sendall(line + b"\r\n")
            reply = self._read_reply()
            try:
                line = dialogue.send(reply)
            except StopIteration as stop:
                return ended_of(stop)
            if reply.kind is not ReplyKind.CHALLENGE:
                line = b"AUTH " + line

    def _read_reply(self) -> Reply:
        line = self._open_file().readline(MAX_LINE + 1)
        if not line.endswith(b"\n"):
            problem = "is longer than we read" if len(line) > MAX_LINE else "ends with the connection"
            raise InvalidToken(f"the server's reply to AUTH {problem}")
        return pop3_reply(line.rstrip(b"\r\n"))

    def _install(self, layer: Layer) -> None:
        file = self._open_file()
        # No server speaks POP3 unasked: what stands behind the +OK belongs to nobody.
        check_silence(file, "the server's success")
        self.sock = layered(file.sock, layer)
        self._layered = True

    def _offered(self) -> list[str] | None:
        """Ask for the SASL capability; poplib keeps no list."""
        try:
            return self.capa().get("SASL")
        except poplib.error_proto as error:
            if self._at_end:  # poplib says "not supported" then
                raise InvalidToken("the connection ended in the middle of CAPA") from error
            return None

    def _drop(self) -> None:
        """Close the connection without another word."""
        self.security = None
        try:
            self.close()
        except OSError:
            return


class SaslPOP3(_Sasl):
    """poplib.POP3 with authenticate_sasl; use `stls` first where the server has it."""


class SaslPOP3_SSL(_Sasl, poplib.POP3_SSL):  # type: ignore[misc]  # noqa: N801  # stls differs in typeshed only
    """poplib.POP3_SSL with authenticate_sasl; without a `context` of its own it verifies the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context", ssl.create_default_context())
        super().__init__(*args, **kwargs)
