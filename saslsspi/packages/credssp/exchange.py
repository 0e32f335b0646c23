"""What both sides of CredSSP have in common: TLS around everything, TSRequests inside it, one version (MS-CSSP 3.1.5).

Records of TLS come in whole; a TSRequest may be spread over several of them or share one. Each message gets at most
one answer, and the answers to all that came in one token go out in one token.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final, cast

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.attributes import (
    SecPkgContextEstablished,
    SecPkgContextLifespan,
    SecPkgContextNames,
    SecPkgContextNegotiationInfo,
)
from saslsspi.engine.channel_attributes import (
    SCHANNEL_SHUTDOWN,
    CredSspStage,
    SecPkgContextCertTrustStatus,
    SecPkgContextClientCreds,
    SecPkgContextConnectionInfo,
    SecPkgContextCredSspProgress,
    SecPkgContextEndpointBindings,
    SecPkgContextIssuerListInfoEx,
    SecPkgContextLocalCert,
    SecPkgContextNegotiationPackage,
    SecPkgContextRemoteCert,
    SecPkgContextServerAuthFlags,
    SecPkgContextSessionInfo,
    SecPkgContextTlsObjects,
    SecPkgContextUniqueBindings,
)
from saslsspi.engine.context import SecurityContext, State
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Credential, Event, Exchange, Outcome, Qop, Request, Side, StepResult
from saslsspi.engine.protection import Protection, Records, Signing
from saslsspi.errors import (
    ContextExpired,
    ContextMisuse,
    DowngradeDetected,
    IncompleteMessage,
    InvalidToken,
    MessageAltered,
    QopNotSupported,
    SaslError,
    UnsupportedFunction,
)
from saslsspi.packages.credssp.credential import CredsspCredential
from saslsspi.packages.credssp.messages import MAX_SIZE, TSRequest, announced_size
from saslsspi.packages.credssp.protection import ConfidentialLayer, CredsspProtection, SigningLayer

__all__ = ["CredsspExchange"]

MAX_TOKEN: Final = MAX_SIZE + (1 << 14)
_NOTHING: Final = memoryview(b"")
_OF_TLS: Final = frozenset(
    {
        SecPkgContextConnectionInfo,
        SecPkgContextEndpointBindings,
        SecPkgContextLifespan,
        SecPkgContextLocalCert,
        SecPkgContextRemoteCert,
        SecPkgContextSessionInfo,
        SecPkgContextUniqueBindings,
    }
)


class CredsspExchange(Exchange):
    """One side of a running exchange."""

    __slots__ = (
        "_credential", "_environment", "_inner", "_nonce", "_octets", "_peer_version", "_policy", "_replies",
        "_request", "_sealing", "_text", "_tls", "_version", "outcome",
    )  # fmt: skip

    side: ClassVar[Side]
    extended_error: ClassVar[int]

    def __init__(self, credential: CredsspCredential, environment: Environment, request: Request) -> None:
        self.outcome: Outcome | None = None
        self._request = request
        self._credential = credential
        self._environment = environment
        self._policy = environment.policy.credssp
        self._version = self._policy.version
        self._peer_version: int | None = None
        self._nonce: bytes | None = None
        self._sealing: Protection | None = None  # of the context inside, from the first message that it seals
        self._tls = SecurityContext(credential.schannel, credential.tls, self.side, environment)
        self._inner = SecurityContext(credential.negotiate, credential.inner, self.side, credential.inside)
        self._octets = _NOTHING  # of the token, records that were not opened yet; a view, for there may be thousands
        self._text = bytearray()  # of the records, what has come of an unfinished TSRequest
        self._replies: list[bytes] = []

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the peer's octets; see Exchange.step."""
        self._request = request
        self._replies.clear()
        handshake = self._tls.outcome is None
        try:
            if handshake:
                step = self._tls.advance(token, self._tls_request(request))
                if step.event is not Event.COMPLETE:
                    return step
                if step.token:
                    self._replies.append(step.token)
                token = token[len(token) - step.extra :]
                self._start()
            self._octets = memoryview(token)
            return self._run()
        except IncompleteMessage:
            if handshake and self._tls.outcome is not None:
                return self._result()
            self._octets = _NOTHING
            raise
        except SaslError as error:
            self._tell(error)
            raise

    def resume(self, account: Account | None) -> StepResult | Question:
        """Go on with what the authority answered; see Exchange.resume."""
        try:
            reply = self._resume(account)
            if isinstance(reply, Question):
                return reply
            self._reply(reply)
            return self._run()
        except IncompleteMessage:  # of a record behind the one that is answered
            return self._result()
        except SaslError as error:
            self._tell(error)
            raise

    def unanswered(self, error: SaslError) -> None:
        """See Exchange.unanswered."""
        self._tell(error)

    def _run(self) -> StepResult | Question:
        while self.outcome is None:
            message = self._next()
            if message is None:
                break
            self._check_version(message)
            reply = self._handle(message)
            if isinstance(reply, Question):
                return reply
            self._reply(reply)
        return self._result()

    def _result(self) -> StepResult:
        if self.outcome is None:
            return StepResult(Event.CONTINUE, b"".join(self._replies), len(self._octets))
        if self._text:
            raise InvalidToken(f"{len(self._text)} octets follow the last TSRequest in its record")
        return StepResult(Event.COMPLETE, b"".join(self._replies) or None, len(self._octets))

    def _next(self) -> TSRequest | None:
        """Return the next message, None where octets are missing.

        Raises:
            IncompleteMessage: not one record is whole, so nothing was consumed.
        """
        text = self._text
        while True:
            size = announced_size(text) if text else None
            if size is not None and len(text) >= size:
                message = TSRequest.from_bytes(bytes(text[:size]))
                del text[:size]
                return message
            if not self._octets:
                return None
            try:
                opened = self._channel.open_record(self._octets)
            except IncompleteMessage:
                if self._replies or text:
                    return None
                raise
            self._octets = self._octets[opened.used :]
            if opened.closed:
                raise ContextExpired("the peer closed the connection in the middle of the exchange")
            if not text and announced_size(opened.text) == len(opened.text):  # as nearly always
                return TSRequest.from_bytes(opened.text)
            text += opened.text

    def _reply(self, message: TSRequest | None) -> None:
        if message is not None:
            # Section 6 note 8: a whole TSRequest goes into one record as far as that holds it.
            self._replies.extend(cast("tuple[bytes, ...]", self._channel.seal(message.to_bytes())))

    @property
    def _channel(self) -> Records:
        assert self._tls.outcome is not None
        assert self._tls.outcome.protection is not None
        return self._tls.outcome.protection  # type: ignore[return-value]  # Schannel's protections are all records

    def _check_version(self, message: TSRequest) -> None:
        if self._peer_version is None:
            self._peer_version = message.version
            # Section 2.2.1: a peer's higher version is treated as our own; both go by the lower one.
            self._version = min(self._policy.version, message.version)
            if message.error_code is None and self._version < self._policy.minimum_version:
                raise DowngradeDetected(
                    f"the peer speaks version {message.version} of CredSSP, and the policy wants "
                    f"{self._policy.minimum_version} at least",
                    requirement="MSCSSP-5.1-01",
                )
        elif message.version != self._peer_version:
            raise MessageAltered(
                f"the peer's version changed from {self._peer_version} to {message.version}",
                requirement="MSCSSP-2.2.1-05",
            )

    def _established(self) -> Outcome | None:
        """Return what the context inside has ended in, also where Negotiate still owes or awaits a MIC."""
        if self._inner.outcome is not None:
            return self._inner.outcome
        try:
            return cast("Outcome", self._inner.query(SecPkgContextEstablished).outcome)
        except (ContextMisuse, UnsupportedFunction):
            return None

    def _sealer(self) -> Protection:
        if self._sealing is not None:
            return self._sealing
        established = self._established()
        if established is None or established.protection is None or not established.protection.encrypts:
            raise QopNotSupported("the package that Negotiate chose encrypts nothing")
        self._sealing = established.protection
        return established.protection

    def _wrap(self, text: bytes) -> bytes:
        """Encrypt for the peer: "the message signature and then the encrypted data"."""
        return b"".join(self._sealer().seal(text))

    def _unwrap(self, data: bytes) -> bytes:
        return self._sealer().unseal(data)

    def _finish(self, flags: int, **changes: object) -> None:
        inner = self._established()
        assert inner is not None
        assert isinstance(inner.protection, Signing), "what encrypts signs as well"
        tls = self._channel
        self.outcome = inner._replace(
            flags=flags,
            protection=CredsspProtection(tls, inner.protection, MAX_TOKEN),
            qop=Qop.AUTH_CONF,
            cipher=tls.encryption_algorithm,
            ssf=tls.key_bits,
            max_send=tls.max_payload,
            max_receive=tls.max_receive,
            **changes,  # type: ignore[arg-type]  # fields of Outcome
        )

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Protection:
        """See Exchange.layer."""
        assert self.outcome is not None
        whole = self.outcome.protection
        assert isinstance(whole, CredsspProtection)
        kind = ConfidentialLayer if encrypt else SigningLayer
        return kind(whole.tls, whole.inner, max_send=max_send, max_receive=max_receive)

    def control(self, token: bytes) -> None:
        """See Exchange.control; SCHANNEL_SHUTDOWN closes our direction of TLS."""
        self._tls.control(token)

    def controlled(self) -> bytes | None:
        """See Exchange.controlled; a refusal that has gone out with a message is owed no more."""
        if self._tls.state is State.ESTABLISHED:
            return self._channel.owed() or None
        return self._tls.advance(b"", self._request).token or b""

    def renew_credential(self, credential: Credential) -> None:
        """See Exchange.renew_credential: the server wants a certificate."""
        assert isinstance(credential, CredsspCredential)
        self._tls.renew(credential.tls)
        self._credential = credential
        self._inner = SecurityContext(credential.negotiate, credential.inner, self.side, credential.inside)

    def _close(self) -> bytes:
        """Return close_notify, b"" where TLS does not stand."""
        if self._tls.state is not State.ESTABLISHED:
            return b""
        self._tls.control(SCHANNEL_SHUTDOWN)
        return self.controlled() or b""

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """See Exchange.attribute: CredSSP's own, those of TLS, and how Negotiate went."""
        initiating = self.side is Side.INITIATE
        if kind is SecPkgContextNegotiationInfo:
            return self._inner.query(kind)
        if kind is SecPkgContextNegotiationPackage:
            info = self._inner.query(SecPkgContextNegotiationInfo).package_info
            return cast("Attribute", SecPkgContextNegotiationPackage(info))
        if kind is SecPkgContextIssuerListInfoEx and initiating:
            return self._tls.query(kind)
        if kind is SecPkgContextCredSspProgress:
            return cast("Attribute", self._progress())
        if kind is SecPkgContextTlsObjects:
            self._tls.prepare(self._tls_request(self._request))
            return self._tls.query(kind)
        if kind in _OF_TLS or (kind is SecPkgContextCertTrustStatus and initiating):
            return self._tls.query(kind) if self._tls.outcome is not None else None  # not yet: a client begins anew
        if self.outcome is None:
            return None
        if kind is SecPkgContextNames and self._inner.outcome is not None:
            return self._inner.query(kind)  # as the chosen package names the user: qualified
        if kind is SecPkgContextServerAuthFlags and initiating:
            return cast("Attribute", SecPkgContextServerAuthFlags(self._inner.flags))
        if kind is SecPkgContextClientCreds and self.outcome.delegated is not None:
            return cast("Attribute", SecPkgContextClientCreds(self.outcome.delegated))
        return None

    def _progress(self) -> SecPkgContextCredSspProgress:
        version = None if self._peer_version is None else self._version
        if self.outcome is not None:
            return SecPkgContextCredSspProgress(CredSspStage.CREDENTIALS, version)
        if self._tls.outcome is None:
            return SecPkgContextCredSspProgress(CredSspStage.TLS_HANDSHAKE)
        return SecPkgContextCredSspProgress(self._stage(), version)

    @abstractmethod
    def _stage(self) -> CredSspStage:
        """Return how far the exchange is, inside TLS and before its end."""

    @abstractmethod
    def _tls_request(self, request: Request) -> Request:
        """Return what to ask of TLS."""

    @abstractmethod
    def _start(self) -> None:
        """TLS stands."""

    @abstractmethod
    def _handle(self, message: TSRequest) -> TSRequest | Question | None:
        """Take a message and return the answer, or None for none."""

    @abstractmethod
    def _resume(self, account: Account | None) -> TSRequest | Question | None:
        """Go on with the message that had a question."""

    @abstractmethod
    def _tell(self, error: SaslError) -> None:
        """Put what still goes to the peer into an error."""
