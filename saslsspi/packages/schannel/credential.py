"""A Schannel credential: what every connection with it shares, made once and when it is first needed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.identity import SchCredentials
from saslsspi.errors import NoCredentials, NothingEnabled
from saslsspi.packages.schannel.certificate import first_certificate, self_signed, shown_certificate, temporary_file

__all__ = ["SchannelCredential", "WatchedObject"]

_SESSIONS: Final = 256
_CONTEXTS: Final = 32
_CERTIFICATE_REQUEST: Final = 13
_HANDSHAKE: Final = 22
_VERSIONS: Final = {  # SP_PROT_*_CLIENT and SP_PROT_*_SERVER of schannel.h
    Side.INITIATE: {ssl.TLSVersion.TLSv1_2: 0x800, ssl.TLSVersion.TLSv1_3: 0x2000},
    Side.ACCEPT: {ssl.TLSVersion.TLSv1_2: 0x400, ssl.TLSVersion.TLSv1_3: 0x1000},
}
_DTLS: Final = 0xF0000


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

    __slots__ = ("_certificate", "_clock", "_contexts", "_pem", "_sessions", "_versions", "identity", "username")

    def __init__(self, identity: SchCredentials, sides: frozenset[Side], clock: Callable[[], float]) -> None:
        self.username = ""
        self.identity = identity
        self._clock = clock
        self._contexts: dict[tuple[Side, bool, tuple[str, ...]], ssl.SSLContext] = {}
        self._sessions: dict[tuple[str, ssl.SSLContext], _Session] = {}
        self._pem: bytes | None = None
        self._certificate: bytes | None = first_certificate(identity.certificate) if identity.certificate else None
        # Now, and not at the first handshake: whoever has set up something that cannot work shall learn it here.
        if identity.authorities:
            first_certificate(identity.authorities)
        self._versions = {side: _versions(identity.protocols, side) for side in sides}
        if identity.certificate or identity.ciphers:
            for side in sides:
                self.context(side, (), verify=False)

    def certificate(self) -> bytes:
        """Return our own certificate in DER, b"" on a client without one."""
        if self._certificate is None and self.identity.context is not None:
            self._certificate = shown_certificate(self.identity.context)
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
        if identity.context is not None:
            return identity.context
        client = side is Side.INITIATE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
        context.check_hostname = client and verify
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        context.minimum_version, context.maximum_version = self._versions[side]
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        if identity.ciphers:
            try:
                context.set_ciphers(identity.ciphers)
            except ssl.SSLError as error:
                raise NothingEnabled(f"{identity.ciphers!r} names no cipher that there is") from error
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
        else:
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

    def remember(self, target: str, context: ssl.SSLContext, session: ssl.SSLSession | None, now: float) -> None:
        """Keep a client's session for the next connection to the same target of the same kind.

        A session is OpenSSL's for one context: whoever asks for other flags or application protocols begins anew.
        """
        if session is None or not self.identity.resumption:
            return
        self._sessions.pop((target, context), None)
        while len(self._sessions) >= _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        lifetime = min(self.identity.session_lifetime, session.timeout)
        self._sessions[target, context] = _Session(session, now + lifetime, os.getpid(), _logon_session())

    def recall(self, target: str, context: ssl.SSLContext, now: float) -> ssl.SSLSession | None:
        """Return the session to take up again, if there is one that may be.

        "The cached session is used only if all of the following conditions are met: The target name is the same. The
        cache entry has not expired. The application process that calls the function is the same. The logon session is
        the same. The credential handle is the same."
        """
        kept = self._sessions.get((target, context))
        if kept is None:
            return None
        if now >= kept.expires or kept.process != os.getpid() or kept.logon != _logon_session():
            del self._sessions[target, context]
            return None
        return kept.session


def _versions(protocols: int, side: Side) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    """Return the oldest and the newest version of TLS that a side may speak; no bits are the system's choice.

    Raises:
        NothingEnabled: the bits leave nothing for this side, or mean DTLS.
    """
    if not protocols:
        return ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    mine = [version for version, bits in _VERSIONS[side].items() if protocols & bits]
    if protocols & _DTLS or not mine:
        raise NothingEnabled(f"protocols {int(protocols):#x} permit no version of TLS that this side speaks")
    return min(mine), max(mine)


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
