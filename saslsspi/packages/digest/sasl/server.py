"""The server's steps of DIGEST-MD5 (RFC 2831 sections 2.1 and 2.2).

Whatever is wrong with a response, the answer takes the same work and the same time: an unknown user is verified
against a secret that nobody knows.
"""

from __future__ import annotations

import enum
import logging
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final, NamedTuple

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authorization import authorize
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq
from saslsspi.engine.policy import Tolerances, tolerance_names
from saslsspi.errors import (
    ContextMisuse,
    IncompleteCredentials,
    InvalidToken,
    LogonDenied,
    QopNotSupported,
    SaslError,
    WrongPrincipal,
)
from saslsspi.packages.digest.charset import decode, secret_hashes
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.http.server import HttpDigestServer
from saslsspi.packages.digest.keys import layer_keys, response_values, session_hash
from saslsspi.packages.digest.qop import AUTH, AUTH_CONF, QOPS, granted_flags
from saslsspi.packages.digest.sasl.messages import Response, ResponseAuth
from saslsspi.packages.digest.sasl.protection import DigestProtection

__all__ = ["DigestServer"]

# "should be configurable to log an authentication failure in some sort of security audit log" (section 2.2.2)
_AUDIT: Final = logging.getLogger("saslsspi.audit")
_AUDIT.addHandler(logging.NullHandler())
_FIRST_COUNT: Final = b"00000001"
_NONCE_SIZE: Final = 18  # octets of randomness; section 2.1.1 asks for at least 64 bits
_BARE_BACKSLASH: Final = int(Tolerances.BARE_BACKSLASH)
_UTF8_WITHOUT_CHARSET: Final = int(Tolerances.UTF8_WITHOUT_CHARSET)
_SECRETS: Final = (Secret.HA1, Secret.PASSWORD)
_HTTP: Final = int(AscReq.ASC_REQ_HTTP)  # in this package the bit is this one, not ALLOW_MISSING_BINDINGS


class _Position(enum.Enum):
    """Which message of the peer is due."""

    BEGINNING = enum.auto()
    RESPONSE = enum.auto()
    ANSWER = enum.auto()  # the authority's, not the peer's
    HTTP = enum.auto()  # another protocol, in a room of its own

    __hash__ = object.__hash__  # as for sspi.package.Side


class _Identity(NamedTuple):
    """What was established of the client, whatever protects its messages."""

    username: str
    realm: str
    authzid: str
    target: str
    tolerances: tuple[str, ...]
    account: Account | None


class _Session(NamedTuple):
    """What subsequent authentication compares with and goes on from."""

    response: Response
    ha1: bytes
    identity: _Identity


class DigestServer(Exchange):
    """One server's exchange."""

    __slots__ = (
        "_credential",
        "_environment",
        "_http",
        "_nonce",
        "_offer",
        "_position",
        "_response",
        "_usernames",
        "outcome",
    )

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
        if request.requested & _HTTP:
            self._position = _Position.HTTP
            self._http = HttpDigestServer(self._credential, self._environment)
            return self._continue_http(token, request)
        self._offer = self._credential.offer(request.required, request.requested, self._environment.policy)
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

    def _continue_http(self, token: bytes, request: Request) -> StepResult | Question:
        reply = self._http.step(token, request)
        self.outcome = self._http.outcome
        return reply

    def complete(self, token: bytes) -> StepResult:
        """See Exchange.complete; only HTTP use of Digest has it."""
        if self._position is not _Position.HTTP:
            return super().complete(token)
        step = self._http.complete(token)
        self.outcome = self._http.outcome
        return step

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """See Exchange.attribute."""
        return self._http.attribute(kind) if self._position is _Position.HTTP else None

    def _take_up(self, token: bytes) -> tuple[StepResult | None, bool]:
        """Subsequent authentication (section 2.2): return success, or whether the session is merely too old.

        Whatever else is wrong, the client gets a challenge and the exchange begins anew: "the server then sends a
        digest-challenge and continues as in initial authentication".
        """
        store, policy = self._environment.nonce_store, self._environment.policy
        assert store is not None
        try:
            response = Response.from_bytes(token, policy.tolerances)
            record = store.find(response.nonce)
            if record is None or not isinstance(record.session, _Session):
                return None, False
            session = record.session
            # The store may serve several acceptors, and this one may offer less than the one that began the session.
            self._check_qop(response)
            self._check_target(response)
            self._check_realm(response)
        except SaslError:
            return None, False
        first = session.response
        same = (
            response.username == first.username
            and response.realm == first.realm
            and response.cnonce == first.cnonce
            and response.qop == first.qop
            and response.cipher == first.cipher
            and response.authzid == first.authzid
        )
        right, rspauth = response_values(
            session.ha1, response.nonce, response.nc, first.cnonce, first.qop or AUTH, response.digest_uri
        )
        if not compare_digest(right, response.response) or not same:
            _AUDIT.warning("subsequent authentication of %r refused: the response is wrong", session.identity.username)
            return None, False
        # "stale ... only if the response is right": a wrong password must not look like an old nonce.
        if self._environment.clock() - record.issued > policy.nonce_lifetime:
            store.forget(response.nonce)
            return None, True
        if not store.advance(response.nonce, int(response.nc, 16)):
            _AUDIT.warning("subsequent authentication of %r refused: nc is not next", session.identity.username)
            return None, False
        self.outcome = self._complete(response, session.ha1, session.identity, True)
        return StepResult(Event.COMPLETE, ResponseAuth(rspauth).to_bytes()), False

    def _receive(self, token: bytes, request: Request) -> StepResult | Question:
        """Check all that can be checked of a digest-response before the account is known, and ask for it."""
        tolerances = self._environment.policy.tolerances
        response = Response.from_bytes(token, tolerances)
        if not response.utf8 and tolerances & _UTF8_WITHOUT_CHARSET:
            response = _with_silent_utf8(response)
        if response.nonce != self._nonce:
            raise LogonDenied("the response repeats another nonce", requirement="RFC2831-2.1.2-15")
        if response.nc != _FIRST_COUNT:
            raise LogonDenied("nc is not 00000001 in initial authentication", requirement="RFC2831-2.1.3-01")
        self._check_qop(response)
        self._check_target(response)
        realm = self._check_realm(response)
        # MS-DPSP 2.2: a single backslash may be an improperly escaped one. The name in the grammar's reading is first.
        names = [response.username]
        if response.literal_username is not None:
            names.append(response.literal_username)
        self._usernames = [decode(name, response.utf8) for name in names]
        self._response = response
        self._position = _Position.ANSWER
        return Question(self._usernames[0], realm, _SECRETS)

    def resume(self, account: Account | None) -> StepResult | Question:
        """Verify the response with what the authority knows of the user."""
        if self._position is _Position.HTTP:
            reply = self._http.resume(account)
            self.outcome = self._http.outcome
            return reply
        response = self._response
        username = self._usernames.pop(0)
        realm = decode(response.realm or b"", response.utf8)
        for secret, tolerance in self._secrets(account, username, realm):
            ha1 = session_hash(secret, response.nonce, response.cnonce, response.authzid)
            right, rspauth = response_values(
                ha1, response.nonce, response.nc, response.cnonce, response.qop or AUTH, response.digest_uri
            )
            if compare_digest(right, response.response) and account is not None:
                if response.literal_username is not None and not self._usernames:
                    tolerance |= _BARE_BACKSLASH
                return self._accept(account, username, realm, ha1, rspauth, tolerance)
        if self._usernames:
            return Question(self._usernames[0], realm, _SECRETS)
        raise LogonDenied("the user is unknown or the password is wrong", requirement="RFC2831-2.1.3-02")

    def _secrets(self, account: Account | None, username: str, realm: str) -> list[tuple[bytes, int]]:
        if account is not None and account.ha1 is not None:
            return [(account.ha1, 0)]
        password = account.password if account is not None and account.password is not None else ""
        try:
            hashes = secret_hashes(
                username, realm, password, self._response.utf8, int(self._environment.policy.tolerances)
            )
        except IncompleteCredentials:
            # The client cannot have hashed this password in this charset: a wrong one, like any other.
            return [(self._environment.random(16), 0)]
        if account is None or account.password is None:
            # Nobody knows this secret, and it costs what a real one costs.
            return [(self._environment.random(16), tolerance) for _, tolerance in hashes]
        return hashes

    def _accept(
        self, account: Account, username: str, realm: str, ha1: bytes, rspauth: bytes, tolerances: int
    ) -> StepResult:
        response = self._response
        authzid = "" if response.authzid is None else decode(response.authzid, True)  # whatever charset says
        if "\0" in authzid:
            raise InvalidToken("an authorization identity holds no NUL", requirement="RFC4422-3.4.1-01")
        authorize(self._environment.authority, account, username, authzid, realm=self._verified(account, realm))
        used = response.tolerances | tolerances
        identity = _Identity(
            username,
            realm,
            authzid,
            response.digest_uri.decode("latin-1"),
            tolerance_names(used) if used else (),
            account,
        )
        self.outcome = self._complete(response, ha1, identity, False)
        store = self._environment.nonce_store
        if store is not None:
            store.remember(response.nonce, NonceRecord(self._environment.clock(), _Session(response, ha1, identity)))
        return StepResult(Event.COMPLETE, ResponseAuth(rspauth).to_bytes())

    def _complete(self, response: Response, ha1: bytes, identity: _Identity, resumed: bool) -> Outcome:
        qop = (response.qop or AUTH).lower()
        protection, cipher_name, ssf, max_send, max_receive = None, "", 0, 0, 0
        if qop != AUTH:
            # A cipher beside another qop than auth-conf is a mistake of the client's, and means nothing.
            cipher = self._offer.ciphers[response.cipher] if response.cipher is not None and qop == AUTH_CONF else None
            max_send, max_receive = response.maxbuf, self._environment.policy.max_buffer
            keys = layer_keys(ha1, False, None if cipher is None else cipher.key_size)
            protection = DigestProtection(keys, cipher, ha1, max_send, max_receive)
            cipher_name, ssf = protection.encryption_algorithm, 1 if cipher is None else cipher.ssf
        username, realm, authzid, target, tolerances, account = identity
        return Outcome(
            flags=granted_flags(Side.ACCEPT, qop),
            protection=protection,
            username=username,
            realm=realm,
            authzid=authzid,
            qop=QOPS[qop],
            cipher=cipher_name,
            ssf=ssf,
            max_send=max_send,
            max_receive=max_receive,
            target=target,
            reauthenticated=resumed,
            tolerances=tolerances,
            account=account,
        )

    def _check_qop(self, response: Response) -> None:
        qop = (response.qop or AUTH).lower()
        if qop not in self._offer.qops:
            raise QopNotSupported(
                f"the client chose qop {qop.decode()}, which was not offered", requirement="RFC2831-2.1.2-29"
            )
        if qop != AUTH_CONF:
            return
        if response.cipher is None:
            raise InvalidToken("qop is auth-conf and there is no cipher", requirement="RFC2831-2.1.2-56")
        if response.cipher not in self._offer.ciphers:
            raise QopNotSupported("the client chose a cipher that was not offered", requirement="RFC2831-2.1.2-58")

    def _check_target(self, response: Response) -> None:
        # "Servers SHOULD check that the supplied value is correct. This will detect accidental connection to the
        # incorrect server." Without a principal the application looks at SecPkgContextTarget.
        right = self._credential.principals
        if right and response.digest_uri.decode("latin-1").lower() not in right:
            raise WrongPrincipal(
                f"the client's digest-uri is none of {', '.join(sorted(right))}", requirement="RFC2831-2.1.2-38"
            )

    def _verified(self, account: Account, realm: str) -> str:
        """Return the realm in which the user was verified: one that is served, or the account's own."""
        return realm if self._credential.realms else account.realm or account.domain

    def _check_realm(self, response: Response) -> str:
        realm = decode(response.realm or b"", response.utf8)
        realms = self._credential.realms
        # Realms are compared as they are: section 2.1.2 gives them no case folding. Where none is offered, clients may
        # "compute a default" (section 2.1.1), as Cyrus SASL does; whether it is served, the authority says.
        if realms and realm not in realms:
            raise LogonDenied(
                f"the client names a realm that is not served here; there are {', '.join(realms)}",
                requirement="RFC2831-2.1.2-10",
            )
        return realm


def _with_silent_utf8(response: Response) -> Response:
    """Take a response for UTF-8 that did not announce it, where its names are."""
    names = response.username + (response.realm or b"")
    try:
        names.decode()
    except UnicodeDecodeError:
        return response
    used = 0 if names.isascii() else _UTF8_WITHOUT_CHARSET
    return response._replace(utf8=True, tolerances=response.tolerances | used)


def _out_of_turn(exchange: DigestServer, token: bytes, request: Request) -> StepResult:
    raise ContextMisuse("the authority's answer is due, not a token")


_STEPS: Final[Mapping[_Position, Callable[[DigestServer, bytes, Request], StepResult | Question]]] = {
    _Position.BEGINNING: DigestServer._begin,
    _Position.RESPONSE: DigestServer._receive,
    _Position.ANSWER: _out_of_turn,
    _Position.HTTP: DigestServer._continue_http,
}
