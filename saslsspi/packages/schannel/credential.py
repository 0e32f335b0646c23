"""A Schannel credential: what every connection with it shares, made once and when it is first needed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.flags import SchannelProtocol
from saslsspi.engine.identity import SchCredentials
from saslsspi.errors import NoCredentials
from saslsspi.packages.schannel.certificate import first_certificate, self_signed, temporary_file

__all__ = ["SchannelCredential", "WatchedObject"]

_SESSIONS: Final = 256
_CONTEXTS: Final = 32
_CERTIFICATE_REQUEST: Final = 13
_HANDSHAKE: Final = 22


class WatchedObject(ssl.SSLObject):
    """An SSL object that remembers the server's request for a certificate, which OpenSSL keeps to itself."""

    certificate_request: bytes | None = None


class _Session(NamedTuple):
    session: ssl.SSLSession
    expires: float
    process: int
    logon: int


class SchannelCredential(Credential):
    """An acquired Schannel credential. Its repr shows nothing."""

    __slots__ = ("_certificate", "_clock", "_contexts", "_pem", "_sessions", "identity", "username")

    def __init__(self, identity: SchCredentials, sides: frozenset[Side], clock: Callable[[], float]) -> None:
        self.username = ""
        self.identity = identity
        self._clock = clock
        self._contexts: dict[tuple[Side, bool, tuple[str, ...]], ssl.SSLContext] = {}
        self._sessions: dict[str, _Session] = {}
        self._pem: bytes | None = None
        self._certificate: bytes | None = first_certificate(identity.certificate) if identity.certificate else None
        if identity.authorities:
            first_certificate(identity.authorities)  # now, and not where trust in a server depends on it

    def certificate(self) -> bytes:
        """Return our own certificate in DER, b"" on a client without one."""
        return self._certificate or b""

    def context(self, side: Side, protocols: tuple[str, ...], *, verify: bool) -> ssl.SSLContext:
        """Return the context for connections of one kind.

        Args:
            side: Whose.
            protocols: What ALPN offers.
            verify: Whether the peer's certificate must be there and be right.
        """
        key = side, verify, protocols
        made = self._contexts.get(key)
        if made is None:
            while len(self._contexts) >= _CONTEXTS:
                del self._contexts[next(iter(self._contexts))]
            made = self._contexts[key] = self._make(side, verify=verify)
            if protocols:
                made.set_alpn_protocols(list(protocols))
        return made

    def _make(self, side: Side, *, verify: bool) -> ssl.SSLContext:
        identity = self.identity
        client = side is Side.INITIATE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
        context.check_hostname = client and verify
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        old = bool(identity.protocols & SchannelProtocol.SP_PROT_TLS1_2)
        new = bool(identity.protocols & SchannelProtocol.SP_PROT_TLS1_3)
        context.minimum_version = ssl.TLSVersion.TLSv1_2 if old else ssl.TLSVersion.TLSv1_3
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if new else ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        if identity.ciphers:
            context.set_ciphers(identity.ciphers)
        if verify:
            self._trust(context, side)
        if not identity.resumption:
            context.options |= ssl.OP_NO_TICKET
            if not client:
                context.num_tickets = 0
        if identity.certificate:
            try:
                context.load_cert_chain(
                    identity.certificate, identity.private_key or None, password=identity.password or ""
                )
            except (OSError, ValueError) as error:
                raise NoCredentials(f"the certificate cannot be used: {error}") from error
        elif not client:
            with temporary_file(self._own_pem()) as file:
                context.load_cert_chain(file)
        elif identity.resumption:
            _watch(context)
        return context

    def _trust(self, context: ssl.SSLContext, side: Side) -> None:
        if not self.identity.authorities:
            purpose = ssl.Purpose.SERVER_AUTH if side is Side.INITIATE else ssl.Purpose.CLIENT_AUTH
            context.load_default_certs(purpose)
            return
        try:
            context.load_verify_locations(self.identity.authorities)
        except OSError as error:
            raise NoCredentials(f"{self.identity.authorities} holds no authorities: {error}") from error

    def _own_pem(self) -> bytes:
        if self._pem is None:
            made = self_signed(self.identity.host, now=self._clock())
            self._pem, self._certificate = made.pem, made.der
        return self._pem

    def remember(self, target: str, session: ssl.SSLSession | None, now: float) -> None:
        """Keep a client's session for the next connection to the same target."""
        if session is None or not self.identity.resumption:
            return
        self._sessions.pop(target, None)
        while len(self._sessions) >= _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        lifetime = min(self.identity.session_lifetime, session.timeout)
        self._sessions[target] = _Session(session, now + lifetime, os.getpid(), _logon_session())

    def recall(self, target: str, now: float) -> ssl.SSLSession | None:
        """Return the session to take up again, if there is one that may be.

        "The cached session is used only if all of the following conditions are met: The target name is the same. The
        cache entry has not expired. The application process that calls the function is the same. The logon session is
        the same. The credential handle is the same."
        """
        kept = self._sessions.get(target)
        if kept is None:
            return None
        if now >= kept.expires or kept.process != os.getpid() or kept.logon != _logon_session():
            del self._sessions[target]
            return None
        return kept.session


def _logon_session() -> int:
    """Return what stands for the logon session where there is no Windows: the user that the process acts as."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _watch(context: ssl.SSLContext) -> None:
    """Let connections of a client without a certificate notice that the server asks for one."""
    import _ssl

    context.sslobject_class = WatchedObject
    setter: Any = getattr(_ssl._SSLContext, "_msg_callback", None)  # CPython's own, for its debugging
    if setter is not None:
        setter.__set__(context, _notice)


def _notice(connection: object, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    if content == _HANDSHAKE and kind == _CERTIFICATE_REQUEST and isinstance(connection, WatchedObject):
        connection.certificate_request = data
