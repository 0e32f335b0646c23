"""The handshake of TLS as steps, on both sides.

The peer's octets come in whole records; what is behind the handshake in the same token stays unread and goes back to
the caller as StepResult.extra, so that data never get lost in the handshake, nor tickets into the data.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.attributes import (
    FILETIME_EPOCH,
    NEVER,
    SecPkgContext,
    SecPkgContextKeyInfo,
    SecPkgContextLifespan,
)
from saslsspi.engine.channel_attributes import (
    SecPkgContextApplicationProtocol,
    SecPkgContextCertTrustStatus,
    SecPkgContextConnectionInfo,
    SecPkgContextEndpointBindings,
    SecPkgContextIssuerListInfoEx,
    SecPkgContextLocalCert,
    SecPkgContextRemoteCert,
    SecPkgContextSessionInfo,
    SecPkgContextTlsObjects,
    SecPkgContextUniqueBindings,
)
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Credential, Event, Exchange, Outcome, Qop, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, AscRet, IscReq, IscRet, SchannelProtocol
from saslsspi.errors import (
    AlgorithmMismatch,
    IllegalMessage,
    IncompleteCredentials,
    IncompleteMessage,
    InvalidToken,
    SaslError,
    TargetUnknown,
    UnsupportedFunction,
)
from saslsspi.packages.schannel.certificate import key_kind
from saslsspi.packages.schannel.control import CLOSE_NOTIFY, Alert, read_control
from saslsspi.packages.schannel.credential import SchannelCredential, WatchedObject
from saslsspi.packages.schannel.failures import translated
from saslsspi.packages.schannel.handshake import application_protocols, host_of, issuers
from saslsspi.packages.schannel.protection import TlsProtection
from saslsspi.packages.schannel.records import HEADER_SIZE, ClearMessages, are_sealed, record_size, whole_records
from saslsspi.packages.schannel.trust import trust_problem

__all__ = ["TlsExchange"]

_MOST: Final = 1 << 17  # octets of a handshake
_MANUAL: Final = int(IscReq.ISC_REQ_MANUAL_CRED_VALIDATION)
_DEMANDS_CERTIFICATE: Final = int(AscReq.ASC_REQ_MUTUAL_AUTH)
_EXTENDED_ERROR: Final = {
    Side.INITIATE: int(IscReq.ISC_REQ_EXTENDED_ERROR),
    Side.ACCEPT: int(AscReq.ASC_REQ_EXTENDED_ERROR),
}
_AS_ASKED: Final = {  # the bits of what is asked are those of what was done
    Side.INITIATE: int(IscRet.ISC_RET_EXTENDED_ERROR | IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_USED_SUPPLIED_CREDS),
    Side.ACCEPT: int(AscRet.ASC_RET_EXTENDED_ERROR),
}
_GRANTED: Final = {
    Side.INITIATE: int(IscRet.ISC_RET_CONFIDENTIALITY | IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscRet.ASC_RET_CONFIDENTIALITY | AscRet.ASC_RET_REPLAY_DETECT | AscRet.ASC_RET_SEQUENCE_DETECT),
}
_PROTOCOLS: Final = {"TLSv1.2": SchannelProtocol.SP_PROT_TLS1_2, "TLSv1.3": SchannelProtocol.SP_PROT_TLS1_3}


class TlsExchange(Exchange):
    """One side of a handshake, and of the connection afterwards."""

    __slots__ = (
        "_alert", "_asked", "_begun", "_clear", "_connection", "_credential", "_environment", "_flight", "_incoming",
        "_outgoing", "_protection", "_request", "_seals", "_side", "_size", "_target", "_told", "outcome",
    )  # fmt: skip

    def __init__(self, side: Side, credential: SchannelCredential, environment: Environment, request: Request) -> None:
        self.outcome: Outcome | None = None
        self._request = request
        self._begun = False
        self._side = side
        self._credential = credential
        self._environment = environment
        self._connection: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._protection: TlsProtection | None = None
        self._flight: StepResult | None = None
        self._alert: Alert | None = None  # that the next call's token is to tell
        self._asked: tuple[bytes, ...] | None = None  # the authorities of a request that came in clear
        self._clear = ClearMessages()
        self._seals = False  # what we send, before the handshake is done
        self._target = ""
        self._size = 0
        self._told = False

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take the peer's octets; see Exchange.step."""
        try:
            return self._step(token, request)
        except IncompleteMessage:
            raise
        except SaslError as error:
            if error.alert is not None and request.requested & _EXTENDED_ERROR[self._side]:
                error.token = error.alert
            raise

    def _step(self, token: bytes, request: Request) -> StepResult:
        if self._flight is not None:
            return self._flight._replace(extra=len(token))
        whole, missing = whole_records(token)
        if token and not whole:
            raise IncompleteMessage("a record of TLS is not whole", missing=missing)
        if not self._begun:
            if token and self._side is Side.INITIATE:
                raise InvalidToken("a token came before the client's first one")
            if not token and self._side is Side.ACCEPT:
                return StepResult(Event.CONTINUE, b"")
            self._begun = True
            if self._connection is None:  # whoever has asked for its objects has had it made
                self._connection = self._open(request)
        elif not token:
            raise IncompleteMessage("nothing came, where a record of TLS is due", missing=HEADER_SIZE)
        connection = self._connection
        assert connection is not None, "it was made at the first step"
        watched = isinstance(connection, WatchedObject) and not self._told
        if watched and (asked := self._clear.find(13, token[:whole])) is not None:
            # With TLS 1.2 the request is in clear, and OpenSSL looks for its certificate when it takes it: nothing of
            # this token is taken, and all of it comes again.
            self._asked = issuers(asked, new=False)
            self._told = True
            return StepResult(Event.ASK_CREDENTIALS, None, len(token))
        self._size += whole
        if self._size > _MOST:
            raise InvalidToken(f"a handshake of more than {_MOST} octets")
        if watched:
            return self._watch(cast("WatchedObject", connection), token, whole, request)
        self._incoming.write(token[:whole] if whole < len(token) else token)
        return self._shake(connection, len(token) - whole, request)

    def _watch(self, connection: WatchedObject, token: bytes, whole: int, request: Request) -> StepResult:
        """Feed one record at a time, to stop where the server has asked for a certificate and nothing is answered.

        With TLS 1.3 the request is hidden, and OpenSSL tells of it when it has taken it.
        """
        at = 0
        while True:
            size = 0 if at >= whole else record_size(token, at)
            self._incoming.write(token[at : at + size])
            at += size
            step = self._shake(connection, len(token) - at, request)
            if connection.certificate_request is not None:
                self._told = True
                if step.event is Event.COMPLETE:
                    # The request came in one record with the end of the handshake: the answer is made, and is kept.
                    self._flight = step
                return StepResult(Event.ASK_CREDENTIALS, None, step.extra)
            if step.event is Event.COMPLETE or step.token or at >= whole:
                return step

    def _open(self, request: Request) -> ssl.SSLObject:
        client = self._side is Side.INITIATE
        verify = not request.requested & _MANUAL if client else bool(request.requested & _DEMANDS_CERTIFICATE)
        context = self._credential.context(self._side, application_protocols(request.protocols), verify=verify)
        if not client:
            return context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._target = request.target
        host = host_of(request.target)
        if verify and not host:
            raise TargetUnknown("the server's certificate can be verified only for a target name")
        try:
            return context.wrap_bio(
                self._incoming,
                self._outgoing,
                server_hostname=host or None,
                session=self._credential.recall(request.target, context, self._environment.clock()),
            )
        except ValueError as error:  # an empty label, say, or a character that IDNA does not know
            raise TargetUnknown(f"{host!r} is no host name: {error}") from error

    def _shake(self, connection: ssl.SSLObject, extra: int, request: Request) -> StepResult:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            flight = self._outgoing.read()
            self._seals = self._seals or are_sealed(flight)
            return StepResult(Event.CONTINUE, flight, extra)
        except ssl.SSLError as error:
            raise translated(error, self._outgoing.read()) from error
        flight = self._outgoing.read()
        unread = len(self._incoming.read()) if self._incoming.pending else 0
        self._complete(connection, request)
        return StepResult(Event.COMPLETE, flight or None, extra + unread)

    def _complete(self, connection: ssl.SSLObject, request: Request) -> None:
        if connection.session_reused and not self._credential.identity.resumption:
            raise IllegalMessage("a session was taken up again, and that is not permitted here")
        self._protection = TlsProtection(connection, self._incoming, self._outgoing, self._keeper())
        self._keep_session()
        bits = self._protection.key_bits
        flags = _GRANTED[self._side] | (request.requested & _AS_ASKED[self._side])
        if self._side is Side.INITIATE:
            # What was done, not what a call after the first one would have liked.
            flags |= _MANUAL if connection.context.verify_mode is ssl.CERT_NONE else 0
        elif connection.getpeercert(binary_form=True):
            flags |= int(AscRet.ASC_RET_MUTUAL_AUTH)
        self.outcome = Outcome(
            flags=flags,
            protection=self._protection,
            username=_common_name(connection) if self._side is Side.ACCEPT else "",
            qop=Qop.AUTH_CONF,
            cipher=self._protection.encryption_algorithm,
            ssf=bits,
            target=self._target,
        )

    def _keeper(self) -> Callable[[], None] | None:
        keeps = self._side is Side.INITIATE and self._credential.identity.resumption
        return self._keep_session if keeps else None

    def _keep_session(self) -> None:
        """Remember the client's session: with TLS 1.2 after the handshake, with 1.3 whenever a ticket has come."""
        connection = self._connection
        if self._side is Side.INITIATE and self._credential.identity.resumption and connection is not None:
            session = connection.session
            if session is not None and (connection.version() == "TLSv1.2" or session.has_ticket):
                self._credential.remember(self._target, connection.context, session, self._environment.clock())

    def renew_credential(self, credential: Credential) -> None:
        """See Exchange.renew_credential: go on with a client's certificate."""
        assert isinstance(credential, SchannelCredential)
        if self._flight is not None:
            raise IncompleteCredentials("the server asked in its last record, and was told already: there is none")
        assert self._connection is not None
        self._credential = credential
        verify = self._connection.context.verify_mode is not ssl.CERT_NONE
        self._connection.context = credential.context(self._side, (), verify=verify)

    def control(self, token: bytes) -> None:
        """See Exchange.control: SCHANNEL_SHUTDOWN, and SCHANNEL_ALERT before there are keys."""
        alert = read_control(token)
        if alert != CLOSE_NOTIFY and self._protection is not None:
            raise UnsupportedFunction("OpenSSL's Python face seals no alert but that of SCHANNEL_SHUTDOWN")
        self._alert = alert

    def controlled(self) -> bytes:
        """See Exchange.controlled: an alert, or the refusal of a renegotiation."""
        alert, self._alert = self._alert, None
        if self._protection is not None:
            return self._protection.owed() if alert is None else self._protection.close()
        # A server of TLS 1.3 would have to seal it, and OpenSSL's Python face does that after the handshake only.
        return b"" if alert is None or self._seals else alert.to_record()

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """See Exchange.attribute."""
        make = _ATTRIBUTES.get(kind)
        return None if make is None else cast("Attribute | None", make(self))

    @property
    def _opened(self) -> ssl.SSLObject:
        assert self._connection is not None
        return self._connection

    def _objects(self) -> SecPkgContextTlsObjects:
        if self._connection is None:
            self._connection = self._open(self._request)
        return SecPkgContextTlsObjects(self._connection.context, self._connection)

    def _connection_info(self) -> SecPkgContextConnectionInfo:
        cipher, _, bits = self._opened.cipher() or ("", "", 0)
        version = self._opened.version() or ""
        if version not in _PROTOCOLS:
            raise AlgorithmMismatch(f"{version or 'no version of TLS'} was negotiated")
        return SecPkgContextConnectionInfo(_PROTOCOLS[version], cipher, bits)

    def _issuers(self) -> SecPkgContextIssuerListInfoEx:
        connection = self._connection
        request = connection.certificate_request if isinstance(connection, WatchedObject) else None
        if self._asked is None and request is not None:  # it was hidden, and so is one of TLS 1.3
            return SecPkgContextIssuerListInfoEx(issuers(request, new=True))
        return SecPkgContextIssuerListInfoEx(self._asked or ())

    def _key_info(self) -> SecPkgContextKeyInfo | None:
        if self._protection is None:
            return None
        client = self._side is Side.INITIATE
        certificate = self._remote_certificate() if client else self._credential.certificate()
        return SecPkgContextKeyInfo(
            key_kind(certificate), self._protection.encryption_algorithm, self._protection.key_bits
        )

    def _remote_certificate(self) -> bytes:
        return self._opened.getpeercert(binary_form=True) or b""

    def _unique(self) -> SecPkgContextUniqueBindings | None:
        data = self._opened.get_channel_binding("tls-unique") if self._opened.version() == "TLSv1.2" else None
        return SecPkgContextUniqueBindings(ChannelBindings.tls_unique(data)) if data else None

    def _endpoint(self) -> SecPkgContextEndpointBindings:
        client = self._side is Side.INITIATE
        certificate = self._remote_certificate() if client else self._credential.certificate()
        return SecPkgContextEndpointBindings(ChannelBindings.tls_server_end_point(certificate))

    def _trust(self) -> SecPkgContextCertTrustStatus | None:
        if self._side is Side.ACCEPT:
            return None
        authorities, now = self._credential.identity.authorities, self._environment.clock()
        problem = trust_problem(_chain(self._opened), host_of(self._target), authorities, now=now)
        return SecPkgContextCertTrustStatus(not problem, problem)

    def _lifespan(self) -> SecPkgContextLifespan:
        """With a client's certificate a server's context ends with it; "without one the maximum time"."""
        details = self._opened.getpeercert() if self._side is Side.ACCEPT else None
        if not details:
            return SecPkgContextLifespan(expiry=NEVER)
        end = int(ssl.cert_time_to_seconds(str(details["notAfter"])))
        return SecPkgContextLifespan(expiry=end * 10**7 + FILETIME_EPOCH)


def _common_name(connection: ssl.SSLObject) -> str:
    details: dict[str, Any] = connection.getpeercert() or {}
    return next((str(value) for part in details.get("subject", ()) for key, value in part if key == "commonName"), "")


def _chain(connection: ssl.SSLObject) -> list[bytes]:
    """Return the peer's certificates; before Python 3.13 its own alone can be had."""
    whole = getattr(connection, "get_unverified_chain", None)
    return list(whole()) if whole is not None else [connection.getpeercert(binary_form=True) or b""]


_ATTRIBUTES: Final[Mapping[type[SecPkgContext], Callable[[TlsExchange], SecPkgContext | None]]] = {
    SecPkgContextApplicationProtocol: lambda x: SecPkgContextApplicationProtocol(
        x._opened.selected_alpn_protocol() or ""
    ),
    SecPkgContextCertTrustStatus: TlsExchange._trust,
    SecPkgContextConnectionInfo: TlsExchange._connection_info,
    SecPkgContextEndpointBindings: TlsExchange._endpoint,
    SecPkgContextIssuerListInfoEx: TlsExchange._issuers,
    SecPkgContextKeyInfo: TlsExchange._key_info,
    SecPkgContextLifespan: TlsExchange._lifespan,
    SecPkgContextLocalCert: lambda x: SecPkgContextLocalCert(x._credential.certificate()),
    SecPkgContextRemoteCert: lambda x: SecPkgContextRemoteCert(x._remote_certificate()),
    SecPkgContextSessionInfo: lambda x: SecPkgContextSessionInfo(bool(x._opened.session_reused)),
    SecPkgContextTlsObjects: TlsExchange._objects,
    SecPkgContextUniqueBindings: TlsExchange._unique,
}
