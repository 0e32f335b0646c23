"""The server's steps of Digest for HTTP (RFC 2617 section 3.3, RFC 7616 section 3.4).

HTTP holds no connection between challenge and response, so a response may come to a context that has made no
challenge: the nonce says by itself whether it is ours, and how old. The first use of a nonce asks the authority;
further uses find the session by opaque and nonce, and are verified when the caller completes the token.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from hmac import compare_digest
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.engine.attributes import SecPkgContext, SecPkgContextChannelBindings, SecPkgContextTarget
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscRet, ChannelBindingsResult
from saslsspi.engine.policy import tolerance_names
from saslsspi.errors import BufferMissing, ContextMisuse, LogonDenied, QopNotSupported
from saslsspi.packages.digest.charset import Reading
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.http.algorithms import entity_hash, request_value
from saslsspi.packages.digest.http.bindings import check_bindings
from saslsspi.packages.digest.http.messages import HttpResponse, read_response
from saslsspi.packages.digest.http.offer import HttpOffer
from saslsspi.packages.digest.http.protection import (
    ServerRequests,
    check_session,
    count_use,
    described,
    is_auth_int,
    parameter,
)
from saslsspi.packages.digest.http.readings import accepted_keys, readings
from saslsspi.packages.digest.http.remembered import ServerSession
from saslsspi.packages.digest.qop import AUTH, AUTH_INT, QOPS, granted_flags

__all__ = ["HttpDigestServer"]

# "Servers should be able to log failures" (RFC 2617 section 3.2.2)
_HTTP: Final = int(AscRet.ASC_RET_HTTP)
_MUTUAL: Final = int(AscRet.ASC_RET_MUTUAL_AUTH)
_HASHES: Final = {b"md5": "md5", b"sha-256": "sha256", b"sha-512-256": "sha512_256"}


class _Position(enum.Enum):
    """What is due."""

    TOKEN = enum.auto()
    ANSWER = enum.auto()  # the authority's
    COMPLETION = enum.auto()


class HttpDigestServer(Exchange):
    """One server's exchange."""

    __slots__ = (
        "_bindings",
        "_credential",
        "_environment",
        "_issued",
        "_offer",
        "_position",
        "_readings",
        "_request",
        "_response",
        "_session",
        "outcome",
    )

    _offer: HttpOffer
    _readings: list[Reading]
    _request: Request
    _response: HttpResponse
    _session: ServerSession

    def __init__(self, credential: DigestCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._environment = environment
        self._position = _Position.TOKEN
        self._bindings: ChannelBindingsResult | None = None
        self._issued: float | None = None

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Make a challenge, or take credentials; see Exchange.step."""
        if self._position is not _Position.TOKEN:
            raise ContextMisuse("the authority's answer, or CompleteAuthToken, is due")
        self._request = request
        self._offer = HttpOffer.of(self._credential, request, self._environment)
        return self._receive(token) if token else self._challenge(stale=False)

    def _challenge(self, *, stale: bool) -> StepResult:
        return StepResult(Event.CONTINUE, self._offer.challenge(self._environment, stale=stale))

    def _receive(self, token: bytes) -> StepResult | Question:
        """Check all that can be checked before the account is known."""
        policy, offer = self._environment.policy, self._offer
        if not parameter(self._request.parameters, 0):
            raise BufferMissing("Digest for HTTP needs the method in the first SECBUFFER_PKG_PARAMS buffer")
        response = self._response = read_response(token, int(policy.tolerances))
        if response.algorithm not in offer.algorithms:
            raise LogonDenied("the credentials' algorithm was not offered", requirement="RFC2617-3.2.2-01")
        if response.realm != offer.realm:
            raise LogonDenied("the credentials are for another realm", requirement="RFC2617-3.2.2-01")
        self._check_qop(response)
        if policy.http_digest.require_userhash and not response.userhash:
            raise LogonDenied("the client did not hash its user name", requirement="RFC7616-3.4-07")
        self._issued = offer.nonces.issued(response.nonce, offer.realm)
        if self._issued is not None and response.opaque not in (None, offer.nonces.opaque(response.nonce)):
            raise LogonDenied("opaque does not belong to the nonce", requirement="RFC2617-3.2.2-01")
        record = offer.store.find(response.nonce)
        session = None if record is None else record.session_as(ServerSession)
        if session is not None:
            return self._take_up(session)
        self._readings = readings(response, offer.realm.decode())
        return self._ask()

    def _check_qop(self, response: HttpResponse) -> None:
        offer = self._offer
        if response.qop is None:
            if AUTH not in offer.qops or not self._environment.policy.http_digest.accept_without_qop:
                raise QopNotSupported("the credentials have no qop", requirement="RFC7616-3.4-02")
        elif response.qop.lower() not in offer.qops:
            raise QopNotSupported("the client chose a qop that was not offered", requirement="RFC2617-3.2.2-02")

    def _fresh(self) -> bool:
        """Whether the nonce is of our store and young enough."""
        environment, issued = self._environment, self._issued
        return issued is not None and environment.clock() - issued <= environment.policy.nonce_lifetime

    def _take_up(self, session: ServerSession) -> StepResult:
        """Find the context that opaque means: CompleteAuthToken verifies the credentials with its key."""
        self._session = session
        if self._fresh():
            self._position = _Position.COMPLETION
            return StepResult(Event.ASK_COMPLETION, None)
        check_session(session, self._response, *self._described())
        # "stale only when the digest was right": a wrong password must not look like an old nonce.
        self._offer.store.forget(self._response.nonce)
        return self._challenge(stale=True)

    def _described(self) -> tuple[bytes, bytes]:
        return parameter(self._request.parameters, 0), parameter(self._request.parameters, 2)

    def complete(self, token: bytes) -> StepResult:
        """Verify the credentials with the session's key; return Authentication-Info."""
        if self._position is not _Position.COMPLETION:
            raise ContextMisuse("no token is to be completed")
        self._position = _Position.TOKEN
        check_session(self._session, self._response, *self._described())
        self._check_bindings()
        count_use(self._offer.store, self._response)
        return self._establish(resumed=True)

    def _ask(self) -> Question:
        self._position = _Position.ANSWER
        response = self._response
        kind = response.algorithm.name.lower().removesuffix(b"-sess")
        secrets = (Secret.HA1, Secret.PASSWORD) if kind == b"md5" else (Secret.PASSWORD,)
        reading = self._readings[0]
        hashed_with = _HASHES[kind] if response.userhash else ""
        return Question(reading.username, reading.realm, secrets, hashed_with=hashed_with)

    def resume(self, account: Account | None) -> StepResult | Question:
        """Verify the credentials with what the authority knows of the user."""
        response, reading = self._response, self._readings.pop(0)
        self._position = _Position.TOKEN
        algorithm = response.algorithm
        method, entity = self._described()
        body = entity_hash(algorithm, entity) if is_auth_int(response.qop) else b""
        request = described(response, method, body)
        for ha1, tolerance in self._keys(account, reading):
            if algorithm.session:
                ha1 = algorithm.digest(b":".join((ha1, response.nonce, response.cnonce)))
            right = request_value(algorithm, ha1, request)
            if compare_digest(right, response.response) and account is not None:
                return self._accept(account, reading, ha1, tolerance)
        if self._readings:
            return self._ask()
        raise LogonDenied("the user is unknown or the password is wrong")

    def _keys(self, account: Account | None, reading: Reading) -> Iterator[tuple[bytes, int]]:
        """Yield H(user:realm:password) in hex and the tolerances that it takes, in as many steps for nobody."""
        algorithm = self._response.algorithm
        ha1 = None if account is None else account.ha1
        if ha1 is not None and algorithm.hex_size != 2 * len(ha1):
            ha1 = None
        password = None if account is None else account.password
        # "The A1 computation uses the unhashed name also under userhash."
        username = account.username if account is not None and self._response.userhash else reading.username
        tolerances = int(self._environment.policy.tolerances)
        for key, tolerance in accepted_keys(algorithm, reading, username, password or "", tolerances):
            if ha1 is not None or password is None:
                # Nobody knows a key that has just been drawn, and it costs what a real one costs.
                key = (ha1 or self._environment.random(algorithm.hex_size // 2)).hex().encode()
            yield key, tolerance

    def _accept(self, account: Account, reading: Reading, ha1: bytes, tolerance: int) -> StepResult:
        response = self._response
        self._check_bindings()
        nc = int(response.nc, 16) if response.qop is not None else 1
        session = ServerSession(
            algorithm=response.algorithm,
            ha1=ha1,
            username=account.username if response.userhash else reading.username,
            wire_name=response.username,
            realm=response.realm,
            account=account.shown,
            tolerances=reading.tolerances | tolerance,
        )
        record = NonceRecord(
            self._issued or 0.0, session, f"{account.username}@{reading.realm}", self._offer.nonces.store_key
        )
        # A count above 1 under a nonce that nobody remembers may be a repetition. A nonce without qop is used once:
        # nothing counts its uses.
        if not self._fresh() or nc != 1 or not self._offer.store.remember(response.nonce, record):
            return self._challenge(stale=True)
        self._session = session
        return self._establish(resumed=False)

    def _check_bindings(self) -> None:
        """Raise BadBindings unless the channel is the client's; only now it is known that the client said so."""
        self._bindings = check_bindings(
            self._response,
            self._request.bindings,
            self._credential.principals,
            required=self._offer.requires_bindings,
        )

    def _establish(self, *, resumed: bool) -> StepResult:
        response, session, offer = self._response, self._session, self._offer
        tolerances = response.tolerances | session.tolerances
        qop = (response.qop or AUTH).lower()
        requests = ServerRequests(
            session, response, offer.store, int(self._environment.policy.tolerances), self._next_nonce
        )
        bound = self._bindings is ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MATCHED
        self.outcome = Outcome(
            flags=(granted_flags(Side.ACCEPT, qop) & ~(0 if response.qop is not None else _MUTUAL)) | _HTTP,
            protection=requests,
            username=session.username,
            realm=offer.realm.decode(),
            qop=QOPS[qop],
            ssf=1 if qop == AUTH_INT else 0,
            target=response.uri.decode("latin-1"),
            channel_binding=self._request.bindings.type_name if bound and self._request.bindings else "",
            reauthenticated=resumed,
            tolerances=tolerance_names(tolerances) if tolerances else (),
            account=session.account,
        )
        # Under auth-int the proof covers the response's body, which is not there yet: MakeSignature makes it then.
        proof = None if qop == AUTH_INT or response.qop is None else requests.proof(b"").to_bytes()
        return StepResult(Event.COMPLETE, proof)

    def _next_nonce(self) -> bytes | None:
        # "A1 is calculated only once" in the -sess forms, and a nonce that is not remembered would make it anew.
        if not self._environment.policy.http_digest.nextnonce or self._response.algorithm.session:
            return None
        return self._offer.nonce(self._environment, self._response.nonce)

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """See Exchange.attribute: the audit of channel bindings, and the service name that came with them."""
        value: SecPkgContext | None = None
        if kind is SecPkgContextChannelBindings and self._bindings is not None:
            value = SecPkgContextChannelBindings(self._bindings)
        if kind is SecPkgContextTarget and self.outcome is not None and self._response.service_name:
            value = SecPkgContextTarget(self._response.service_name.decode("latin-1"))
        return value  # type: ignore[return-value]  # of the kind that was asked for
