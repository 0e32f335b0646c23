"""SASL for imaplib: SaslIMAP4 and SaslIMAP4_SSL are imaplib's classes with one method more (RFC 9051, RFC 4959).

They own read, readline and send, the methods that imaplib documents as overridable: its own buffering changed in
Python 3.14, and a security layer must know what was read and what was not. `fetch`, `append` and the rest stay as they
are.
"""

from __future__ import annotations

import contextlib
import imaplib
import socket
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
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, SaslError

__all__ = ["IMAP_PROFILE", "ImapLogonDenied", "SaslIMAP4", "SaslIMAP4_SSL", "imap_reply_kind"]

# RFC 7162 section 4 recommends 8,192 octets as the longest command line without literals; the tag needs some of it.
IMAP_PROFILE: Final = Profile("imap", "AUTHENTICATE", 8000)

_MAX_RESPONSE_LINE: Final = 1_000_000  # imaplib's own limit


class ImapLogonDenied(LogonDenied, imaplib.IMAP4.error):
    """The server's NO, for those who catch imaplib's exception and for those who catch ours."""


def imap_reply_kind(status: str, text: bytes) -> ReplyKind:
    """Sort a tagged response by its status and its response code (RFC 5530)."""
    if status == "OK":
        return ReplyKind.SUCCESS
    code = text[1:].partition(b"]")[0].upper() if text.startswith(b"[") else b""
    if code in (b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"EXPIRED"):
        return ReplyKind.DENIED
    if code in (b"PRIVACYREQUIRED", b"CANNOT"):
        return ReplyKind.UNSUITABLE
    return ReplyKind.TEMPORARY if code == b"UNAVAILABLE" else ReplyKind.REFUSED


class _Responder:
    """Gives imaplib a bound method, which it calls for every continuation of a command that has a literal."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def respond(self, challenge: bytes | None) -> bytes:
        """Answer a challenge, both in base64."""
        return self._dialogue.send(Reply(ReplyKind.CHALLENGE, challenge or b""))


class _Sasl(imaplib.IMAP4):
    """What both classes add.

    Attributes:
        security: What authenticate_sasl negotiated; None before.
    """

    security: Security | None = None
    _reader: LineFile | None = None
    _max_line = _MAX_RESPONSE_LINE
    _layered = False

    def authenticate_sasl(
        self,
        mechanism: str | Sequence[str] | None = None,
        **options: Unpack[LogonOptions],
    ) -> Security:
        """Authenticate with one mechanism, the first of several that the server takes, or (None) the strongest.

        Where a layer is negotiated it is installed before this returns, and the capabilities are asked anew. The
        keywords are those of LogonOptions.

        Raises:
            ImapLogonDenied: the server says NO; the connection can be used for another try.
            NoAuthenticatingAuthority: the server fails for a time; another password would not help.
            AlgorithmMismatch, PackageNotFound: no mechanism is left.
            SaslError: the exchange failed, and the connection is closed.
        """
        if self.state != "NONAUTH":
            raise ContextMisuse(f"AUTHENTICATE is not for the state {self.state}")
        offered = self._offered()
        logon = Logon.over(self.sock, mechanism, options, host=self.host)
        # RFC 4959 section 3: a client "MUST NOT" send an initial response to a server that does not advertise it.
        inline = bool({"SASL-IR", "IMAP4REV2"}.intersection(self.capabilities))
        dialogue = log_on(logon, IMAP_PROFILE, offered, initial_response=inline)
        arguments = next(dialogue)
        # imaplib sends a response and its CRLF one by one; Nagle would hold the second back for 40 ms each time.
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing_on_error(self._drop, imaplib.IMAP4.error):
            ended = self._carry(dialogue, arguments)
            if isinstance(ended, Established):
                self._install(ended)
            if isinstance(ended, Established) and ended.layer is not None:
                check_not_hidden(logon, ended.security, offered, self._offered())
        if isinstance(ended, Refused):
            refusal = ended.error()
            raise ImapLogonDenied(refusal.text) if isinstance(refusal, LogonDenied) else refusal
        self.security = ended.security
        return ended.security

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        """Start TLS as imaplib does; octets that came in clear behind the reply are an error, not a response."""
        if self._layered:
            raise ContextMisuse("TLS cannot be started under a security layer")
        return super().starttls(*args, **kwargs)

    def read(self, size: int) -> bytes:
        """Read size octets."""
        return self._incoming().read(size)

    def readline(self) -> bytes:
        """Read a line of bounded length.

        Raises:
            InvalidToken: it is longer; the connection is closed.
        """
        line = self._incoming().readline(self._max_line + 1)
        if len(line) > self._max_line:
            self._drop()
            raise InvalidToken(f"a line of the server is longer than {self._max_line} octets")
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

    def _carry(self, dialogue: Dialogue, arguments: bytes) -> Established | Refused:
        self._max_line = MAX_LINE
        try:
            while True:
                self.literal = _Responder(dialogue).respond  # type: ignore[assignment]  # imaplib calls a method
                try:
                    status, data = self.xatom("AUTHENTICATE", *arguments.decode("ascii").split(" "))
                except self.abort:
                    raise
                except self.error as error:
                    if isinstance(error, SaslError):
                        raise
                    status, data = "BAD", [str(error).encode()]  # imaplib's way to report it
                text = data[-1] if data and isinstance(data[-1], bytes) else b""
                try:
                    arguments = dialogue.send(Reply(imap_reply_kind(status, text), text))
                except StopIteration as stop:
                    return ended_of(stop)
        finally:
            self.literal = None
            self._max_line = _MAX_RESPONSE_LINE

    def _install(self, ended: Established) -> None:
        self.state = "AUTH"
        if ended.layer is None:
            self._refresh()
            return
        reader = self._incoming()
        # What stands behind the tagged OK is under the layer already (RFC 3501 section 6.2.2); clear text that was
        # put in there does not pass for a protected buffer.
        self.sock = layered(reader.sock, ended.layer)
        self._reader = LineFile(self.sock, ended.layer.unwrap(reader.unread))
        self._layered = True
        # RFC 3501 section 6.2.2: "the client MUST" ask for the capabilities again under a layer.
        self.untagged_responses.pop("CAPABILITY", None)
        self._refresh()

    def _refresh(self) -> None:
        """Take the capabilities that came with the OK, or ask."""
        data = self.response("CAPABILITY")[1]
        if data == [None]:
            data = self.capability()[1]
        if data and isinstance(data[-1], bytes):
            self.capabilities = tuple(data[-1].decode("ascii", "replace").upper().split())

    def _offered(self) -> list[str]:
        return [name[5:] for name in self.capabilities if name.startswith("AUTH=")]

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("ssl_context", ssl.create_default_context())
        super().__init__(*args, **kwargs)
