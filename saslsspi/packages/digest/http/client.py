"""The client's steps of Digest for HTTP (RFC 2617 section 3.3, RFC 7616 section 3.4)."""

from __future__ import annotations

import unicodedata
from binascii import b2a_hex
from typing import Final

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq, IscRet
from saslsspi.engine.policy import ChannelBindingPolicy, HttpDigestPolicy, tolerance_names
from saslsspi.errors import (
    BadBindings,
    BufferMissing,
    IncompleteCredentials,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    MutualAuthFailed,
    NoCredentials,
    QopNotSupported,
    TargetUnknown,
)
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, Algorithm, entity_hash, request_value
from saslsspi.packages.digest.http.bindings import HASHED, MARK, binding_value, bound_cnonce
from saslsspi.packages.digest.http.messages import HttpChallenge, HttpResponse, UnknownAlgorithm, first_challenge
from saslsspi.packages.digest.http.protection import ClientRequests, described, parameter
from saslsspi.packages.digest.http.readings import written_in
from saslsspi.packages.digest.qop import AUTH, AUTH_INT, QOPS, granted_flags

__all__ = ["HttpDigestClient", "permitted_algorithms"]

_CNONCE_SIZE: Final = 16  # octets of randomness
_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)
_HTTP: Final = int(IscRet.ISC_RET_HTTP)


class HttpDigestClient(Exchange):
    """One client's exchange.

    Without ISC_REQ_MUTUAL_AUTH it is complete with its response, as HTTP has it; with it, only when the server's
    Authentication-Info has been verified.
    """

    __slots__ = (
        "_credential",
        "_encoding_tolerance",
        "_environment",
        "_requests",
        "_sent",
        "_tolerances",
        "outcome",
    )

    def __init__(self, credential: DigestCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._environment = environment
        self._tolerances = int(environment.policy.tolerances)
        self._encoding_tolerance = 0
        self._requests: ClientRequests | None = None

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take a challenge, or while the server must still prove itself, Authentication-Info."""
        if self._requests is None:
            if not token:
                raise BufferMissing("Digest for HTTP needs the challenge of a 401 in SECBUFFER_TOKEN")
            return self._answer(self._challenge(token), request)
        return self._prove(self._requests, token, request)

    def _challenge(self, token: bytes) -> HttpChallenge:
        return first_challenge(token, self._tolerances, permitted_algorithms(self._environment.policy.http_digest))

    def _answer(self, challenge: HttpChallenge, request: Request) -> StepResult:
        uri, method = request.target, parameter(request.parameters, 0)
        if not uri or not uri.isascii():
            raise TargetUnknown("the target of Digest for HTTP is the request's URI, percent-encoded")
        if not method:
            raise BufferMissing("Digest for HTTP needs the method in the first SECBUFFER_PKG_PARAMS buffer")
        qop = self._choose(challenge, request)
        username, password = self._identity(challenge)
        digest = challenge.algorithm.digest
        # The realm is hashed as the server wrote it.
        ha1 = digest(b":".join((username, challenge.realm, password)))
        cnonce = b2a_hex(self._environment.random(_CNONCE_SIZE)) if qop is not None else b""
        response = HttpResponse(
            username=username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            uri=uri.encode(),
            response=b"",
            algorithm=challenge.algorithm,
            qop=qop,
            cnonce=cnonce,
            nc=b"00000001" if qop is not None else b"",
            opaque=challenge.opaque,
        )
        response = self._bind(response, challenge, request)
        if challenge.algorithm.session:
            # The inner hash as text: so in HTTP practice, unlike RFC 2831, which takes its octets.
            ha1 = digest(b":".join((ha1, response.nonce, response.cnonce)))
        if challenge.userhash:
            response = response._replace(username=digest(username + b":" + challenge.realm), userhash=True)
        elif challenge.utf8 and not username.isascii():
            response = response._replace(extended=True)
        entity = entity_hash(challenge.algorithm, parameter(request.parameters, 1)) if qop == AUTH_INT else b""
        response = response._replace(
            response=request_value(challenge.algorithm, ha1, described(response, method, entity))
        )
        self._sent = challenge, response
        self._requests = ClientRequests(response, ha1, self._tolerances)
        if request.requested & _MUTUAL:
            if qop is None:
                raise MutualAuthFailed("the server offers no qop, so it will not prove itself")
            return StepResult(Event.CONTINUE, response.to_bytes())
        self._complete(self._requests, mutual=False)
        return StepResult(Event.COMPLETE, response.to_bytes())

    def _prove(self, requests: ClientRequests, token: bytes, request: Request) -> StepResult:
        if not token:
            raise MutualAuthFailed("the server answered without Authentication-Info", requirement="RFC2617-3.2.3-06")
        try:
            challenge = self._challenge(token)
        except UnknownAlgorithm:
            raise LogonDenied("the server now asks for another algorithm") from None
        except InvalidToken:
            requests.verify_request(request.parameters[1:], token)
            self._complete(requests, mutual=True)
            return StepResult(Event.COMPLETE, None)
        if not challenge.stale or challenge.nonce == self._sent[0].nonce:
            raise LogonDenied("the server did not take the response: the user is unknown or the password wrong")
        return self._answer(challenge, request)

    def _complete(self, requests: ClientRequests, *, mutual: bool) -> None:
        challenge, response = self._sent
        flags = granted_flags(Side.INITIATE, response.qop or AUTH) & ~(0 if mutual else _MUTUAL)
        signed = response.qop == AUTH_INT
        used = challenge.tolerances | self._encoding_tolerance
        self.outcome = Outcome(
            flags=flags | _HTTP,
            protection=requests,
            username=self._credential.username,
            realm=challenge.realm.decode("utf-8" if challenge.utf8 else "latin-1", "replace"),
            qop=QOPS[response.qop or AUTH],
            ssf=1 if signed else 0,
            channel_binding="tls" if response.channel_binding else "",
            tolerances=tolerance_names(used) if used else (),
        )

    def _choose(self, challenge: HttpChallenge, request: Request) -> bytes | None:
        ours = self._credential.permits(request.required, request.requested, self._environment.policy).qops
        for qop in ours:
            if qop in challenge.qop:
                return qop
        if not challenge.qop and AUTH in ours and self._environment.policy.http_digest.answer_without_qop:
            return None
        raise QopNotSupported(
            f"the server offers qop {b','.join(challenge.qop).decode(errors='replace') or '(none)'}, and flags and "
            f"policy permit {b','.join(ours).decode() or 'nothing'}",
            requirement="RFC2617-3.2.2-02",
        )

    def _identity(self, challenge: HttpChallenge) -> tuple[bytes, bytes]:
        """Return name and password as they are written and hashed."""
        credential = self._credential
        if credential.password is None:
            raise NoCredentials("the credential has no password; pass WinNTAuthIdentity as auth_data")
        realm = challenge.realm
        if credential.realm and credential.realm != realm.decode("utf-8" if challenge.utf8 else "latin-1", "replace"):
            raise IncompleteCredentials("the credential is for another realm than the server's")
        # RFC 7616 section 4: "user name and password ... Unicode Normalization Form C".
        given = (credential.username, credential.password)
        username, password = (unicodedata.normalize("NFC", text) if challenge.utf8 else text for text in given)
        if ":" in username:
            raise InvalidParameter("a user name with a colon cannot be told from its realm (RFC 7616 section 3.4.2)")
        encoding, self._encoding_tolerance = written_in(challenge, (username, password), self._tolerances)
        return username.encode(encoding), password.encode(encoding)

    def _bind(self, response: HttpResponse, challenge: HttpChallenge, request: Request) -> HttpResponse:
        wanted = self._environment.policy.channel_binding
        able = challenge.nonce.startswith(MARK) and response.qop is not None
        if wanted is ChannelBindingPolicy.REQUIRE and not (able and request.bindings is not None):
            raise BadBindings("channel bindings are required, and the server or the channel has none")
        if not able or wanted is ChannelBindingPolicy.NONE or not (request.bindings or request.target_host):
            return response
        name, binding = request.target_host, binding_value(request.bindings)
        return response._replace(
            cnonce=bound_cnonce(name, binding, response.cnonce),
            hashed_dirs=HASHED,
            service_name=name,
            channel_binding=binding,
        )


def permitted_algorithms(policy: HttpDigestPolicy) -> frozenset[Algorithm]:
    """Return what an initiator answers.

    Raises:
        InvalidParameter: the policy names an algorithm that there is not.
    """
    names = [name.lower().encode() for name in policy.algorithms] or list(ALGORITHMS)
    try:
        return frozenset(ALGORITHMS[name] for name in names)
    except KeyError as error:
        known = ", ".join(algorithm.name.decode() for algorithm in ALGORITHMS.values())
        raise InvalidParameter(f"{error.args[0]!r} is no algorithm of Digest; there are {known}") from None
