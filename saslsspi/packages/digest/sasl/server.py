"""The server's steps of DIGEST-MD5 (RFC 2831 sections 2.1 and 2.2).

Whatever is wrong with a response, the answer takes the same work and the same time: an unknown user is verified
against a secret that nobody knows.
"""

from __future__ import annotations

import enum
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authorization import authorize
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Exchange, Outcome, Qop, Request, Side, StepResult
from saslsspi.engine.hooks.audit import proof_refused
from saslsspi.engine.policy import tolerance_names
from saslsspi.errors import (
    ContextMisuse,
    InvalidToken,
    LogonDenied,
    QopNotSupported,
    SaslError,
    WrongPrincipal,
)
from saslsspi.packages.digest.charset import Reading, accepted_hashes, decode
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.keys import layer_keys, response_values, session_hash
from saslsspi.packages.digest.qop import AUTH, AUTH_CONF, QOPS, granted_flags
from saslsspi.packages.digest.sasl.messages import DigestResponse, ResponseAuth
from saslsspi.packages.digest.sasl.offer import DigestOffer, offer_for
from saslsspi.packages.digest.sasl.protection import DigestProtection
from saslsspi.packages.digest.sasl.readings import readings
from saslsspi.packages.digest.sasl.remembered import RememberedClient, VerifiedIdentity

__all__ = ["DigestServer"]

_FIRST_COUNT: Final = b"00000001"
_NONCE_SIZE: Final = 18  # octets of randomness; section 2.1.1 asks for at least 64 bits
_SECRET_SIZE: Final = 16
_SECRETS: Final = (Secret.HA1, Secret.PASSWORD)


class _Position(enum.Enum):
    """Which message of the peer is due."""

    BEGINNING = enum.auto()
    RESPONSE = enum.auto()
    ANSWER = enum.auto()  # the authority's, not the peer's

    __hash__ = object.__hash__  # as for sspi.package.Side


class DigestServer(Exchange):
    """One server's exchange."""

    __slots__ = (
        "_credential",
        "_environment",
        "_nonce",
        "_offer",
        "_position",
        "_readings",
        "_response",
        "outcome",
    )

    _nonce: bytes
    _offer: DigestOffer
    _readings: list[Reading]
    _response: DigestResponse

    def __init__(self, credential: DigestCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._environment = environment
        self._position = _Position.BEGINNING

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the client's message; see Exchange.step."""
        return _STEPS[self._position](self, token, request)

    def _begin(self, token: bytes, request: Request) -> StepResult | Question:
        """Answer with a digest-challenge, or take a session up again."""
        self._offer = offer_for(self._credential, request, self._environment.policy)
        stale = False
        if token and self._environment.nonce_store is not None:
            step, stale = self._take_up(token)
            if step is not None:
                return step
        self._nonce = b2a_base64(self._environment.random(_NONCE_SIZE), newline=False)
        self._position = _Position.RESPONSE
        if stale:
            return StepResult(Event.CONTINUE, self._offer.challenge._replace(nonce=self._nonce, stale=True).to_bytes())
        return StepResult(Event.CONTINUE, self._offer.head + self._nonce + self._offer.tail)

    def _take_up(self, token: bytes) -> tuple[StepResult | None, bool]:
        """Subsequent authentication (section 2.2): return success, or whether the session is merely too old.

        Whatever else is wrong, the client gets a challenge and the exchange begins anew: "the server then sends a
        digest-challenge and continues as in initial authentication".
        """
        store, policy = self._environment.nonce_store, self._environment.policy
        assert store is not None
        try:
            response = DigestResponse.from_bytes(token, policy.tolerances)
            record = store.find(response.nonce)
            # Section 2.2.2: a server may send a challenge instead "for any other reason". A layer is such a reason.
            session = None if record is None else record.session_as(RememberedClient)
            if record is None or session is None or self._check_qop(response) != AUTH:
                return None, False
            # The store may serve several acceptors, and this one may offer less than the one that began the session.
            self._check_target(response)
        except SaslError:
            return None, False
        if self._credential.realms and session.served_realm not in self._credential.realms:
            return None, False
        right, rspauth = response_values(
            session.ha1, response.nonce, response.nc, response.cnonce, response.qop or AUTH, response.digest_uri
        )
        if not compare_digest(right, response.response) or not session.is_of(response):
            self._refuse_again(session, "the response is wrong")
            return None, False
        # "stale ... only if the response is right": a wrong password must not look like an old nonce.
        if self._environment.clock() - record.issued > policy.nonce_lifetime:
            store.forget(response.nonce)
            return None, True
        if not store.advance(response.nonce, int(response.nc, 16)):
            self._refuse_again(session, "nc is not next")
            return None, False
        self.outcome = self._established(response, session.ha1, session.identity, resumed=True)
        return StepResult(Event.COMPLETE, ResponseAuth(rspauth).to_bytes()), False

    def _refuse_again(self, session: RememberedClient, why: str) -> None:
        """Leave a record: the client gets a new challenge, and this proof of it was none."""
        identity = session.identity
        proof_refused("DIGEST-MD5", identity.username, identity.realm, f"subsequent authentication: {why}")

    def _receive(self, token: bytes, request: Request) -> StepResult | Question:
        """Check all that can be checked of a digest-response before the account is known, and ask for it."""
        tolerances = int(self._environment.policy.tolerances)
        response = DigestResponse.from_bytes(token, tolerances)
        if response.nonce != self._nonce:
            raise LogonDenied("the response repeats another nonce", requirement="RFC2831-2.1.2-15")
        if response.nc != _FIRST_COUNT:
            raise LogonDenied("nc is not 00000001 in initial authentication", requirement="RFC2831-2.1.3-01")
        self._check_qop(response)
        self._check_target(response)
        self._readings = readings(response, tolerances, self._credential.realms)
        if not self._readings:
            raise LogonDenied(
                f"the client names a realm that is not served here; there are {', '.join(self._credential.realms)}",
                requirement="RFC2831-2.1.2-10",
            )
        self._response = response
        self._position = _Position.ANSWER
        return Question(self._readings[0].username, self._readings[0].realm, _SECRETS)

    def resume(self, account: Account | None) -> StepResult | Question:
        """Verify the response with what the authority knows of the user."""
        response = self._response
        reading = self._readings.pop(0)
        known_ha1 = None if account is None else account.ha1
        password = None if account is None else account.password
        # As many hashes for nobody as for any account, however it was stored and whatever it holds.
        hashes = accepted_hashes(
            reading.username,
            reading.realm,
            password or "",
            utf8=reading.utf8,
            tolerances=int(self._environment.policy.tolerances),
        )
        for secret, tolerance in hashes:
            if known_ha1 is not None or password is None:
                secret = known_ha1
            # Nobody knows a secret that has just been drawn.
            secret = secret or self._environment.random(_SECRET_SIZE)
            ha1 = session_hash(secret, response.nonce, response.cnonce, response.authzid)
            right, rspauth = response_values(
                ha1, response.nonce, response.nc, response.cnonce, response.qop or AUTH, response.digest_uri
            )
            if compare_digest(right, response.response) and account is not None:
                self._accept(account, reading, ha1, tolerance)
                return StepResult(Event.COMPLETE, ResponseAuth(rspauth).to_bytes())
        if self._readings:
            return Question(self._readings[0].username, self._readings[0].realm, _SECRETS)
        raise LogonDenied("the user is unknown or the password is wrong", requirement="RFC2831-2.1.3-02")

    def _accept(self, account: Account, reading: Reading, ha1: bytes, tolerance: int) -> None:
        response = self._response
        authzid = "" if response.authzid is None else decode(response.authzid, utf8=True)  # whatever charset says
        if "\0" in authzid:
            raise InvalidToken("an authorization identity holds no NUL", requirement="RFC4422-3.4.1-01")
        realm = self._verified(account, reading.realm)
        authorize(self._environment.authority, account, reading.username, authzid, realm=realm)
        used = response.tolerances | reading.tolerances | tolerance
        identity = VerifiedIdentity(
            username=reading.username,
            realm=realm,
            authzid=authzid,
            target=response.digest_uri.decode("latin-1"),
            tolerances=tolerance_names(used) if used else (),
            account=account,
        )
        self.outcome = outcome = self._established(response, ha1, identity, resumed=False)
        store = self._environment.nonce_store
        if store is not None and outcome.qop is Qop.AUTH:
            session = RememberedClient.of(response, reading, ha1, identity)
            owner = f"{reading.username}@{reading.realm}"
            store.remember(response.nonce, NonceRecord(self._environment.clock(), session, owner))

    def _verified(self, account: Account, realm: str) -> str:
        """Return the realm in which the user was verified: one that is served, or the account's own.

        A realm that nobody offered is no more than what the client says.
        """
        return realm if self._credential.realms else account.realm or account.domain

    def _established(
        self, response: DigestResponse, ha1: bytes, identity: VerifiedIdentity, *, resumed: bool
    ) -> Outcome:
        qop = (response.qop or AUTH).lower()
        outcome = Outcome(
            flags=granted_flags(Side.ACCEPT, qop),
            username=identity.username,
            realm=identity.realm,
            authzid=identity.authzid,
            qop=QOPS[qop],
            target=identity.target,
            reauthenticated=resumed,
            tolerances=identity.tolerances,
            account=identity.account,
        )
        if qop == AUTH:
            return outcome
        # A cipher beside another qop than auth-conf is a mistake of the client's, and means nothing.
        cipher = self._offer.ciphers[response.cipher] if response.cipher is not None and qop == AUTH_CONF else None
        max_send, max_receive = response.maxbuf, self._environment.policy.max_buffer
        keys = layer_keys(ha1, Side.ACCEPT, cipher_key_size=None if cipher is None else cipher.key_size)
        protection = DigestProtection(keys, cipher, ha1, max_send, max_receive)
        return outcome._replace(
            protection=protection,
            cipher=protection.encryption_algorithm,
            ssf=1 if cipher is None else cipher.ssf,
            max_send=max_send,
            max_receive=max_receive,
        )

    def _check_qop(self, response: DigestResponse) -> bytes:
        """Return the qop in lower case; an absent one is auth (section 2.1.2)."""
        qop = (response.qop or AUTH).lower()
        if qop not in self._offer.qops:
            raise QopNotSupported(
                f"the client chose qop {qop.decode()}, which was not offered", requirement="RFC2831-2.1.2-29"
            )
        if qop != AUTH_CONF:
            return qop
        if response.cipher is None:
            raise InvalidToken("qop is auth-conf and there is no cipher", requirement="RFC2831-2.1.2-56")
        if response.cipher not in self._offer.ciphers:
            raise QopNotSupported("the client chose a cipher that was not offered", requirement="RFC2831-2.1.2-58")
        return qop

    def _check_target(self, response: DigestResponse) -> None:
        # "Servers SHOULD check that the supplied value is correct. This will detect accidental connection to the
        # incorrect server." Without a principal the application looks at SecPkgContextTarget.
        right = self._credential.principals
        if right and response.digest_uri.decode("latin-1").lower() not in right:
            raise WrongPrincipal(
                f"the client's digest-uri is none of {', '.join(sorted(right))}", requirement="RFC2831-2.1.2-38"
            )


def _out_of_turn(exchange: DigestServer, token: bytes, request: Request) -> StepResult:
    raise ContextMisuse("the authority's answer is due, not a token")


_STEPS: Final[Mapping[_Position, Callable[[DigestServer, bytes, Request], StepResult | Question]]] = {
    _Position.BEGINNING: DigestServer._begin,
    _Position.RESPONSE: DigestServer._receive,
    _Position.ANSWER: _out_of_turn,
}
