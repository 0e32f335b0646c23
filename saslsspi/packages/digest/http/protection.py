"""Requests after the first one: MakeSignature and VerifySignature of Digest for HTTP.

A client's MakeSignature makes the next Authorization value, a server's VerifySignature takes it and wants a nonce
count that is one greater than the last. The other way about, a server's MakeSignature makes Authentication-Info for a
response, and a client's VerifySignature takes that.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, NoReturn

from saslsspi.accounts.nonces import NonceStore
from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.protection import Octets, RequestProtection
from saslsspi.errors import (
    BufferMissing,
    ContextMisuse,
    ContextUsedUp,
    MessageAltered,
    MutualAuthFailed,
    NotProtected,
    OutOfSequence,
    WrongPrincipal,
)
from saslsspi.packages.digest.http.algorithms import Algorithm, DigestRequest, entity_hash, request_value
from saslsspi.packages.digest.http.messages import AuthenticationInfo, HttpResponse, read_response
from saslsspi.packages.digest.http.remembered import ServerSession
from saslsspi.packages.digest.qop import AUTH_INT

__all__ = ["ClientRequests", "ServerRequests", "proof_of"]

_MAX_SIZE: Final = 8192
_LAST_COUNT: Final = 0xFFFFFFFF


class _Requests(RequestProtection):
    """What both sides have in common: requests are signed, and nothing is sealed."""

    encrypts = False
    recovers = True
    header_size = 0
    sizes = SecPkgContextSizes(_MAX_SIZE, _MAX_SIZE, 1, 0)
    max_payload = 0
    max_receive = 0
    encryption_algorithm = ""
    key_bits = 0

    def __init__(self, algorithm: Algorithm, ha1: bytes, tolerances: int) -> None:
        self.session_key = bytes.fromhex(ha1.decode())
        self.signature_algorithm = algorithm.name.decode()
        self.seal = self.unseal = _no_messages
        self._algorithm = algorithm
        self._ha1 = ha1
        self._tolerances = tolerances

    def overhead(self, size: int) -> int:
        """Return 0: there are no protected messages."""
        return 0


def _no_messages(message: Octets) -> NoReturn:
    raise NotProtected("Digest for HTTP protects requests, not messages: use MakeSignature")


def parameter(parameters: tuple[bytes, ...], at: int) -> bytes:
    """Return a SECBUFFER_PKG_PARAMS buffer, b"" where there is none."""
    return parameters[at] if len(parameters) > at else b""


class ClientRequests(_Requests):
    """The client's requests within one session.

    Args:
        first: The credentials that answered the challenge; their nonce count is the one used.
        ha1: H(A1) in hex. "A1 is calculated only once", so it stays when a nonce changes.
        tolerances: Those of the policy.
    """

    def __init__(self, first: HttpResponse, ha1: bytes, tolerances: int) -> None:
        super().__init__(first.algorithm, ha1, tolerances)
        self._sent = first
        self._count = 1

    def sign_request(self, parameters: tuple[bytes, ...], require: Callable[[int], None]) -> bytes:
        """Return the next Authorization value; the parameters are method, URI and H(entity-body)."""
        method, uri = parameter(parameters, 0), parameter(parameters, 1)
        if not method or not uri:
            raise BufferMissing("MakeSignature needs the method and the URI in SECBUFFER_PKG_PARAMS buffers")
        if self._count >= _LAST_COUNT:
            raise ContextUsedUp("the nonce was used as often as it can be; authenticate anew")
        first = self._sent
        unsigned = first._replace(uri=uri, nc=b"%08x" % (self._count + 1) if first.qop is not None else b"")
        entity = entity_hash(self._algorithm, parameter(parameters, 2)) if first.qop == AUTH_INT else b""
        value = request_value(self._algorithm, self._ha1, described(unsigned, method, entity))
        signed = unsigned._replace(response=value)
        message = signed.to_bytes()
        require(len(message))
        self._count += 1
        self._sent = signed
        return message

    def verify_request(self, parameters: tuple[bytes, ...], signature: bytes) -> None:
        """Verify Authentication-Info.

        The parameters are H(entity-body) of the response, and the Authorization value that it answers; without one it
        is the last. Whoever has several requests on their way at once gives it, as their answers come in any order.
        """
        info = AuthenticationInfo.from_bytes(signature, self._tolerances)
        answered = parameter(parameters, 1)
        sent = HttpResponse.from_bytes(answered, self._tolerances) if answered else self._sent
        entity = entity_hash(self._algorithm, parameter(parameters, 0)) if sent.qop == AUTH_INT else b""
        if not compare_digest(proof_of(self._algorithm, self._ha1, sent, entity), info.rspauth):
            raise MutualAuthFailed("the server's rspauth is wrong or missing", requirement="RFC2617-3.2.3-06")
        if info.cnonce != sent.cnonce or info.nc.lower() != sent.nc:
            raise MutualAuthFailed("Authentication-Info is about another request", requirement="RFC2617-3.2.3-04")
        # Answers that overtake one another may name the same nonce: its uses are counted once.
        if info.nextnonce and info.nextnonce != self._sent.nonce:
            # "the client SHOULD use it in the next request", with nc=00000001.
            self._sent = self._sent._replace(nonce=info.nextnonce)
            self._count = 0


class ServerRequests(_Requests):
    """The server's view of one session.

    Args:
        session: What is remembered.
        last: The credentials of the request that is being answered.
        store: Counts the uses of the nonce.
        tolerances: Those of the policy.
        next_nonce: Makes a nonce to be used next, or returns None.
    """

    def __init__(
        self,
        session: ServerSession,
        last: HttpResponse,
        store: NonceStore,
        tolerances: int,
        next_nonce: Callable[[], bytes | None],
    ) -> None:
        super().__init__(session.algorithm, session.ha1, tolerances)
        self._session = session
        self._last = last
        self._store = store
        self._next_nonce = next_nonce

    def verify_request(self, parameters: tuple[bytes, ...], signature: bytes) -> None:
        """Verify an Authorization value; the parameters are method, URI (b"" compares none) and H(entity-body)."""
        response = read_response(signature, self._tolerances)
        first, uri = self._last, parameter(parameters, 1)
        if response.nonce != first.nonce or response.opaque not in (first.opaque, None):
            raise MessageAltered("the credentials belong to another context")
        if response.qop is None and first.qop is not None:
            raise MessageAltered("the credentials have no qop, and those before had one")
        if uri and uri != response.uri:
            raise WrongPrincipal("the credentials are for another URI", requirement="RFC2617-3.2.2.5-02")
        check_session(self._session, response, parameter(parameters, 0), parameter(parameters, 2))
        count_use(self._store, response)
        self._last = response

    def sign_request(self, parameters: tuple[bytes, ...], require: Callable[[int], None]) -> bytes:
        """Return Authentication-Info for the last request; the parameter is H(entity-body) of the response."""
        if self._last.qop is None:
            raise ContextMisuse("a request without qop has no Authentication-Info")
        entity = entity_hash(self._algorithm, parameter(parameters, 0)) if is_auth_int(self._last.qop) else b""
        info = self.proof(entity).to_bytes()
        require(len(info))
        return info

    def proof(self, entity: bytes) -> AuthenticationInfo:
        """Return the proof for the last request and a response's H(entity-body)."""
        last = self._last
        return AuthenticationInfo(
            proof_of(self._algorithm, self._ha1, last, entity), last.qop, last.cnonce, last.nc, self._next_nonce()
        )


def is_auth_int(qop: bytes | None) -> bool:
    """Whether the body counts."""
    return qop is not None and qop.lower() == AUTH_INT


def described(response: HttpResponse, method: bytes, entity: bytes) -> DigestRequest:
    """Return what a request digest of these credentials is about."""
    return DigestRequest(response.nonce, response.nc, response.cnonce, response.qop, method, response.uri, entity)


def proof_of(algorithm: Algorithm, ha1: bytes, response: HttpResponse, entity: bytes) -> bytes:
    """Return rspauth: the request digest with an A2 that begins with a colon."""
    return request_value(algorithm, ha1, described(response, b"", entity))


def check_session(session: ServerSession, response: HttpResponse, method: bytes, entity: bytes) -> None:
    """Raise MessageAltered unless credentials are right and those of the session."""
    body = entity_hash(session.algorithm, entity) if is_auth_int(response.qop) else b""
    if response.algorithm is not session.algorithm:
        raise MessageAltered("the credentials have another algorithm than those before")
    right = request_value(session.algorithm, session.ha1, described(response, method, body))
    same = response.username == session.wire_name and response.realm == session.realm
    if not compare_digest(right, response.response) or not same:
        raise MessageAltered("the response of a request is wrong", requirement="RFC2617-3.2.2.1-01")


def count_use(store: NonceStore, response: HttpResponse) -> None:
    """Raise OutOfSequence unless the nonce count is one greater than the last; it is used then."""
    if response.qop is not None and not store.advance(response.nonce, int(response.nc, 16)):
        raise OutOfSequence("nc is not one greater than the last", requirement="RFC2617-3.2.2-09")
