"""The client's steps of CredSSP (MS-CSSP section 3.1.5)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.channel_attributes import CredSspStage, SecPkgContextCertTrustStatus, SecPkgContextRemoteCert
from saslsspi.engine.context import State
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq, IscRet
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.errors import (
    InvalidParameter,
    InvalidToken,
    MutualAuthFailed,
    NoCredentials,
    SaslError,
    TargetUnknown,
    UnsupportedFunction,
    WrongPrincipal,
)
from saslsspi.packages.credssp.binding import HASHED_FROM, client_proof, same, server_proof, subject_public_key
from saslsspi.packages.credssp.credential import CredsspCredential
from saslsspi.packages.credssp.credentials import EMPTY_OCTETS, decode_credentials
from saslsspi.packages.credssp.delegation import check_proof, check_target
from saslsspi.packages.credssp.exchange import CredsspExchange
from saslsspi.packages.credssp.failures import failure_of
from saslsspi.packages.credssp.messages import NONCE_SIZE, TSRequest

__all__ = ["CredsspClient"]

_DELEGATE: Final = int(IscReq.ISC_REQ_DELEGATE)
_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)
_EXTENDED_ERROR: Final = int(IscReq.ISC_REQ_EXTENDED_ERROR)
_SUPPLIED: Final = int(IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
_MANUAL: Final = int(IscReq.ISC_REQ_MANUAL_CRED_VALIDATION)
_INNER_NEEDS: Final = int(
    IscReq.ISC_REQ_INTEGRITY
    | IscReq.ISC_REQ_CONFIDENTIALITY
    | IscReq.ISC_REQ_SEQUENCE_DETECT
    | IscReq.ISC_REQ_REPLAY_DETECT
)
_GRANTED: Final = int(
    IscRet.ISC_RET_INTEGRITY
    | IscRet.ISC_RET_CONFIDENTIALITY
    | IscRet.ISC_RET_SEQUENCE_DETECT
    | IscRet.ISC_RET_REPLAY_DETECT
    | IscRet.ISC_RET_MANUAL_CRED_VALIDATION
)


class _Position(enum.Enum):
    """What is due from the server."""

    TOKEN = enum.auto()  # of Negotiate
    TURN = enum.auto()  # Negotiate is complete with a token of ours, and the key is to go in a step of its own
    PROOF = enum.auto()  # its pubKeyAuth

    __hash__ = object.__hash__


class CredsspClient(CredsspExchange):
    """One client's exchange; it is complete when the credentials, or empty ones, are on their way."""

    __slots__ = ("_delegated", "_key", "_position", "_proved", "_supplied", "_taken")

    side = Side.INITIATE

    def __init__(self, credential: CredsspCredential, environment: Environment, request: Request) -> None:
        super().__init__(credential, environment, request)
        self._position = _Position.TOKEN
        self._proved = False
        self._supplied: bytes | None = None
        self._taken = b""  # the server's last token of Negotiate
        # "If this flag is not set, an empty set of credentials is delegated", wherever they go.
        self._delegated = EMPTY_OCTETS

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the server's octets; see Exchange.step."""
        if self._tls.state is State.NEW:
            self._check(request)
        if request.requested & _DELEGATE and self._delegated is EMPTY_OCTETS:
            self._delegate(request)
        if self._tls.outcome is not None and not token and self._position is _Position.TURN:
            self._request = request
            self._replies.clear()
            self._reply(self._prove(None))
            return self._result()
        return super().step(token, request)

    def _check(self, request: Request) -> None:
        """See whether the request can be fulfilled, before anything is sent."""
        if not request.target:
            raise TargetUnknown("CredSSP needs the name of the target, such as HTTP/host.example")
        supplied = request.parameters[0] if request.parameters and request.requested & _SUPPLIED else None
        if request.requested & _SUPPLIED and supplied is None and self._credential.identity is None:
            # "CredSSP must not attempt to supply credentials for the client automatically."
            raise NoCredentials("USE_SUPPLIED_CREDS is asked, and none were supplied")
        if supplied is not None:
            try:
                decode_credentials(supplied)
            except InvalidToken as error:
                raise InvalidParameter("SECBUFFER_PKG_PARAMS holds no TSCredentials") from error
        self._supplied = supplied

    def _delegate(self, request: Request) -> None:
        """Have credentials ready for a target that the policy permits, whichever call asks for it first."""
        check_target(self._policy, self._credential.kind, request.target)
        own = self._supplied or self._credential.own_delegated()
        if own is None:
            raise NoCredentials("there is no password or other credential that could be delegated")
        self._delegated = own

    def _tls_request(self, request: Request) -> Request:
        return Request(target=request.target, requested=_MANUAL | (request.requested & _EXTENDED_ERROR))

    def _inner_request(self) -> Request:
        return Request(target=self._request.target, required=_INNER_NEEDS, requested=_INNER_NEEDS | _MUTUAL)

    def _start(self) -> None:
        self._key = subject_public_key(self._tls.query(SecPkgContextRemoteCert).certificate)
        step = self._inner.advance(b"", self._inner_request())
        self._reply(TSRequest(self._policy.version, nego_token=step.token))

    def _handle(self, message: TSRequest) -> TSRequest | None:
        # "If the client receives a TSRequest message with the errorCode present, it MUST immediately fail with the
        # provided status code and cease all further processing."
        if message.error_code is not None:
            raise failure_of(message.error_code)
        if message.auth_info is not None:
            raise InvalidToken("the server sent authInfo, which is the client's to send")
        return _STEPS[self._position](self, message)

    def _resume(self, account: Account | None) -> TSRequest | None:
        raise UnsupportedFunction("a client asks no authority")

    def _negotiate(self, message: TSRequest) -> TSRequest:
        if message.nego_token is None or message.pub_key_auth is not None:
            raise InvalidToken("negoTokens alone are due from the server")
        step = self._negotiated(message.nego_token)
        done = step.event is Event.COMPLETE
        if self._established() is None:
            return TSRequest(self._policy.version, nego_token=step.token or b"")
        if self._policy.public_key_leg is PublicKeyLeg.AFTER_NEGOTIATE and step.token:
            self._position = _Position.TURN if done else _Position.TOKEN
            return TSRequest(self._policy.version, nego_token=step.token)
        return self._prove(step.token or None)

    def _negotiated(self, token: bytes) -> StepResult:
        self._taken = token
        return self._inner.advance(token, self._inner_request())

    def _take_turn(self, message: TSRequest) -> TSRequest:
        """Whatever Negotiate still says there is of no use: it was complete before."""
        if message.pub_key_auth is not None:
            raise InvalidToken("the server's pubKeyAuth came before the client's")
        return self._prove(None)

    def _prove(self, token: bytes | None) -> TSRequest:
        """Step 3: the last token and the key, bound together."""
        established = self._established()
        assert established is not None
        self._check_server(established)
        self._position = _Position.PROOF
        hashed = self._version >= HASHED_FROM
        self._nonce = self._environment.random(NONCE_SIZE) if hashed else None
        return TSRequest(
            self._policy.version,
            nego_token=token,
            pub_key_auth=self._wrap(client_proof(self._version, self._nonce or b"", self._key)),
            client_nonce=self._nonce,
        )

    def _check_server(self, established: Outcome) -> None:
        """See who the server is before anything more goes to it."""
        requested = self._request.requested
        self._proved = bool(established.flags & int(IscRet.ISC_RET_MUTUAL_AUTH)) or (
            self._credential.trusts and self._tls.query(SecPkgContextCertTrustStatus).trusted
        )
        if self._proved:
            return
        if requested & _MUTUAL:
            raise MutualAuthFailed("neither Kerberos nor a trusted certificate proves who the server is")
        if requested & _DELEGATE:
            check_proof(self._policy, self._credential.kind, self._request.target)

    def _check_proof(self, message: TSRequest) -> TSRequest | None:
        """Step 4: the server's proof; then step 5, the credentials."""
        owed, token = None, message.nego_token
        if token == self._taken and message.pub_key_auth is not None:
            token = None  # FreeRDP 3's server repeats its last one beside the proof; mstsc and xfreerdp take no notice
        if token is not None:
            if self._inner.outcome is not None:
                raise InvalidToken("negoTokens came after Negotiate was complete")
            owed = self._negotiated(token).token
        if message.pub_key_auth is None:
            if message.nego_token is None:
                raise InvalidToken("pubKeyAuth is due from the server")
            # It answers Negotiate first, and sends its proof in a step of its own.
            return TSRequest(self._policy.version, nego_token=owed) if owed else None
        proof = self._unwrap(message.pub_key_auth)
        if not same(server_proof(self._version, self._nonce or b"", self._key), proof):
            text = "the server's proof is not over the key of this TLS connection: somebody may be in between"
            if self._request.requested & _MUTUAL:
                raise MutualAuthFailed(text, requirement="MSCSSP-3.1.5-25")
            raise WrongPrincipal(text, requirement="MSCSSP-3.1.5-25")
        established = self._established()
        assert established is not None
        self._check_server(established)  # once more: this call may ask more than those before it
        reply = TSRequest(self._policy.version, auth_info=self._wrap(self._delegated))
        self._finish(self._flags(), target=self._request.target)
        return reply

    def _flags(self) -> int:
        """Return what happened, in the bits of ISC_RET."""
        requested = self._request.requested
        flags = _GRANTED | (requested & _EXTENDED_ERROR)
        if self._delegated != EMPTY_OCTETS:
            flags |= int(IscRet.ISC_RET_DELEGATE)
        if self._proved:
            flags |= int(IscRet.ISC_RET_MUTUAL_AUTH)
        if requested & _SUPPLIED and (self._supplied is not None or self._credential.identity is not None):
            flags |= int(IscRet.ISC_RET_USED_SUPPLIED_CREDS)
        return flags

    def _stage(self) -> CredSspStage:
        return CredSspStage.PUBLIC_KEY if self._position is _Position.PROOF else CredSspStage.NEGOTIATE

    def _tell(self, error: SaslError) -> None:
        """A server that waits is told with an alert; one that has given its own reason is not."""
        if error.ntstatus is not None or error.token is not None or not self._request.requested & _EXTENDED_ERROR:
            return
        error.token = error.alert or self._close() or None


_STEPS: Final[Mapping[_Position, Callable[[CredsspClient, TSRequest], TSRequest | None]]] = {
    _Position.TOKEN: CredsspClient._negotiate,
    _Position.TURN: CredsspClient._take_turn,
    _Position.PROOF: CredsspClient._check_proof,
}
