"""The acceptor's steps of CredSSP (MS-CSSP section 3.1.5).

It takes pubKeyAuth together with the client's last token, and in a step of its own as well.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.channel_attributes import CredSspStage, SecPkgContextLocalCert
from saslsspi.engine.exchange import Event, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, AscRet
from saslsspi.errors import BadBindings, DowngradeDetected, InvalidToken, MessageAltered, PeerUnsupported, SaslError
from saslsspi.packages.credssp.binding import HASHED_FROM, client_proof, same, server_proof, subject_public_key
from saslsspi.packages.credssp.credentials import EMPTY, decode_credentials
from saslsspi.packages.credssp.exchange import CredsspExchange
from saslsspi.packages.credssp.failures import carries_error_code, error_code_of
from saslsspi.packages.credssp.messages import NONCE_SIZE, TSRequest

__all__ = ["CredsspServer"]

_EXTENDED_ERROR: Final = int(AscReq.ASC_REQ_EXTENDED_ERROR)
_INNER_NEEDS: Final = int(
    AscReq.ASC_REQ_INTEGRITY
    | AscReq.ASC_REQ_CONFIDENTIALITY
    | AscReq.ASC_REQ_SEQUENCE_DETECT
    | AscReq.ASC_REQ_REPLAY_DETECT
)
_GRANTED: Final = int(
    AscRet.ASC_RET_INTEGRITY
    | AscRet.ASC_RET_CONFIDENTIALITY
    | AscRet.ASC_RET_SEQUENCE_DETECT
    | AscRet.ASC_RET_REPLAY_DETECT
)
_INNER: Final = Request(required=_INNER_NEEDS, requested=_INNER_NEEDS)


class _Position(enum.Enum):
    """What is due from the client."""

    TOKEN = enum.auto()  # of Negotiate, the last one with pubKeyAuth
    PROOF = enum.auto()  # pubKeyAuth alone
    CREDENTIALS = enum.auto()

    __hash__ = object.__hash__


class CredsspServer(CredsspExchange):
    """One acceptor's exchange; it is complete with the client's credentials."""

    __slots__ = ("_key", "_message", "_position")

    side = Side.ACCEPT

    def _tls_request(self, request: Request) -> Request:
        return Request(requested=request.requested & _EXTENDED_ERROR)

    def _start(self) -> None:
        self._key = subject_public_key(self._tls.query(SecPkgContextLocalCert).certificate)
        self._position = _Position.TOKEN
        self._message: TSRequest | None = None

    def _handle(self, message: TSRequest) -> TSRequest | Question | None:
        if message.error_code is not None:
            raise InvalidToken("errorCode is the server's to send")
        self._keep_nonce(message)
        return _STEPS[self._position](self, message)

    def _keep_nonce(self, message: TSRequest) -> None:
        """The nonce counts from version 5 on; FreeRDP sends it in every message, and then it must not change."""
        nonce = message.client_nonce
        if nonce is None or self._version < HASHED_FROM:
            return
        if len(nonce) != NONCE_SIZE:
            raise InvalidToken(
                f"clientNonce is {len(nonce)} octets, expected {NONCE_SIZE}", requirement="MSCSSP-3.1.5-19"
            )
        if self._nonce is not None and not same(self._nonce, nonce):
            raise MessageAltered("clientNonce has changed", requirement="MSCSSP-3.1.5-19")
        self._nonce = nonce

    def _negotiate(self, message: TSRequest) -> TSRequest | Question | None:
        if message.auth_info is not None:
            raise InvalidToken("authInfo came before the key was bound", requirement="MSCSSP-3.1.5-06")
        if message.nego_token is None:
            raise InvalidToken("negoTokens are due from the client")
        self._message = message
        return self._follow(self._inner.begin(message.nego_token, _INNER))

    def _resume(self, account: Account | None) -> TSRequest | Question | None:
        return self._follow(self._inner.resume(account))

    def _follow(self, inner: StepResult | Question) -> TSRequest | Question | None:
        if isinstance(inner, Question):
            return inner
        message, self._message = self._message, None
        assert message is not None
        if message.pub_key_auth is not None:
            if self._established() is None:
                raise InvalidToken("pubKeyAuth came before Negotiate had a key", requirement="MSCSSP-3.1.5-07")
            return self._prove(message, inner.token or None)
        if inner.event is Event.COMPLETE:
            # "the last token alone is answered by negoTokens, and pubKeyAuth travels in a step of its own"
            self._position = _Position.PROOF
        return TSRequest(self._policy.version, nego_token=inner.token) if inner.token is not None else None

    def _take_proof(self, message: TSRequest) -> TSRequest:
        if message.nego_token is not None:
            raise InvalidToken("negoTokens came after Negotiate was complete")
        if message.auth_info is not None or message.pub_key_auth is None:
            raise InvalidToken("pubKeyAuth is due from the client", requirement="MSCSSP-3.1.5-09")
        return self._prove(message, None)

    def _prove(self, message: TSRequest, token: bytes | None) -> TSRequest:
        """Step 4: check the client's proof and answer with ours; a token goes with it where Negotiate owes one."""
        version = self._version
        # The version decides, never the presence of a nonce.
        if version >= HASHED_FROM and message.client_nonce is None:
            raise InvalidToken("pubKeyAuth came without clientNonce", requirement="MSCSSP-3.1.5-19")
        nonce = self._nonce or b""
        assert message.pub_key_auth is not None
        if not same(client_proof(version, nonce, self._key), self._unwrap(message.pub_key_auth)):
            raise BadBindings(
                "the client's proof is not over the key of this TLS connection: somebody may be in between",
                requirement="MSCSSP-3.1.5-18",
            )
        self._position = _Position.CREDENTIALS
        proof = self._wrap(server_proof(version, nonce, self._key))
        return TSRequest(self._policy.version, nego_token=token, pub_key_auth=proof)

    def _take_credentials(self, message: TSRequest) -> TSRequest | None:
        if message.pub_key_auth is not None:
            raise InvalidToken("pubKeyAuth came a second time", requirement="MSCSSP-3.1.5-28")
        if message.nego_token is not None:
            return self._take_late_token(message)
        if message.auth_info is None:
            raise InvalidToken("authInfo is due from the client")
        if self._inner.outcome is None:
            raise InvalidToken("authInfo came before Negotiate was complete", requirement="MSCSSP-3.1.5-06")
        credentials = decode_credentials(self._unwrap(message.auth_info))
        if not credentials.kind & self._policy.takes:
            raise PeerUnsupported(
                f"the client hands over {credentials.words}, and this server takes none "
                f"(CredSspPolicy.takes; it wants a user name and a password, or nothing)",
                requirement="MSCSSP-2.2.1.2-01",
            )
        flags = _GRANTED | (self._request.requested & _EXTENDED_ERROR)
        if credentials != EMPTY:
            flags |= int(AscRet.ASC_RET_DELEGATE)
        self._finish(flags, delegated=credentials)
        return None

    def _take_late_token(self, message: TSRequest) -> TSRequest | None:
        """A client whose MIC the list of mechanisms still needs sends it after the proof."""
        if self._inner.outcome is not None or message.auth_info is not None:
            raise InvalidToken("negoTokens came after Negotiate was complete", requirement="MSCSSP-3.1.5-28")
        assert message.nego_token is not None
        step = self._inner.advance(message.nego_token, _INNER)
        return TSRequest(self._policy.version, nego_token=step.token) if step.token else None

    def _stage(self) -> CredSspStage:
        return CredSspStage.PUBLIC_KEY if self._position is _Position.CREDENTIALS else CredSspStage.NEGOTIATE

    def _tell(self, error: SaslError) -> None:
        """Send errorCode to a client whose version has it."""
        if error.token is not None or not self._request.requested & _EXTENDED_ERROR or self._tls.outcome is None:
            return
        if error.alert is not None:
            error.token = error.alert
            return
        # "The server SHOULD set the errorCode to STATUS_NOT_SUPPORTED if the server does not support the requested
        # version", to which a client of version 2 has no ear.
        if carries_error_code(self._version) or isinstance(error, DowngradeDetected):
            message = TSRequest(self._policy.version, error_code=error_code_of(error)).to_bytes()
            with contextlib.suppress(SaslError):
                error.token = b"".join((*self._replies, *self._channel.seal(message)))
        else:
            error.token = self._close() or None


_STEPS: Final[Mapping[_Position, Callable[[CredsspServer, TSRequest], TSRequest | Question | None]]] = {
    _Position.TOKEN: CredsspServer._negotiate,
    _Position.PROOF: CredsspServer._take_proof,
    _Position.CREDENTIALS: CredsspServer._take_credentials,
}
