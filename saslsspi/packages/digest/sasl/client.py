"""The client's steps of DIGEST-MD5 (RFC 2831 sections 2.1 and 2.2)."""

from __future__ import annotations

import enum
import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq
from saslsspi.engine.policy import tolerance_names
from saslsspi.errors import (
    AlgorithmMismatch,
    IncompleteCredentials,
    InvalidToken,
    LogonDenied,
    NoCredentials,
    QopNotSupported,
    TargetUnknown,
)
from saslsspi.packages.digest.charset import client_hash, decode, encode
from saslsspi.packages.digest.ciphers import Cipher
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.keys import layer_keys, response_values, session_hash
from saslsspi.packages.digest.qop import AUTH, AUTH_CONF, QOPS, granted_flags, layer_flags
from saslsspi.packages.digest.sasl.messages import DEFAULT_MAXBUF, DigestChallenge, DigestResponse, ResponseAuth
from saslsspi.packages.digest.sasl.protection import DigestProtection
from saslsspi.packages.digest.sasl.sessions import ClientSession, SessionCache, SessionKey

__all__ = ["DigestClient"]

_FIRST_COUNT: Final = b"00000001"
_CNONCE_SIZE: Final = 18  # octets of randomness; section 2.1.2 asks for at least 64 bits
# RFC 3986: the characters of a URI, percent signs included.
_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+").fullmatch
_SUPPLIED: Final = int(IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
# A layer gets keys of its own: see sessions.py. Credentials that come with a call may be another user's: only the
# handle's own take a session up again.
_NEVER_RESUMED: Final = _SUPPLIED | layer_flags(Side.INITIATE)


class _Position(enum.Enum):
    """Which message of the peer is due."""

    BEGINNING = enum.auto()
    CHALLENGE = enum.auto()
    ANSWER_TO_INITIAL_RESPONSE = enum.auto()
    PROOF = enum.auto()

    __hash__ = object.__hash__  # as for sspi.package.Side


class DigestClient(Exchange):
    """One client's exchange; ends in an outcome only when the server's rspauth has been verified."""

    __slots__ = (
        "_cipher",
        "_credential",
        "_environment",
        "_expected",
        "_key",
        "_maxbuf",
        "_position",
        "_session",
        "_sessions",
        "outcome",
    )

    def __init__(self, credential: DigestCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._sessions = credential.memories.get(SessionCache) or credential.memory(SessionCache, SessionCache)
        self._environment = environment
        self._position = _Position.BEGINNING
        self._cipher: Cipher | None = None
        self._maxbuf = 0

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take the server's message; see Exchange.step."""
        return _STEPS[self._position](self, token, request)

    def _begin(self, token: bytes, request: Request) -> StepResult:
        if token:
            return self._answer(token, request)
        self._position = _Position.CHALLENGE
        if request.requested & _NEVER_RESUMED:
            return StepResult(Event.CONTINUE, None)
        key = _session_key(request)
        resumed = self._sessions.next_use(key)
        if resumed is None:
            return StepResult(Event.CONTINUE, None)
        session, count = resumed
        # Section 2.2.1: "it uses the values of the previous authentication, with the nonce count one greater".
        self._position = _Position.ANSWER_TO_INITIAL_RESPONSE
        return StepResult(Event.CONTINUE, self._respond(session, b"%08x" % count, key))

    def _answer_or_proof(self, token: bytes, request: Request) -> StepResult:
        """The server took the initial response, and proves itself, or sends a challenge to begin anew."""
        if not token or ResponseAuth.announced(token):
            return self._finish(token, request)
        self._sessions.drop(self._key)
        return self._answer(token, request)

    def _answer(self, token: bytes, request: Request) -> StepResult:
        """Answer a digest-challenge with a digest-response."""
        tolerances = int(self._environment.policy.tolerances)
        challenge = DigestChallenge.from_bytes(token, tolerances)
        qop, cipher = self._choose(challenge, request)
        username, realm_name, password = self._identity(request)
        realm_text, realm = self._realm(challenge, realm_name)
        utf8 = challenge.utf8
        secret, tolerance = client_hash(username, realm_text, password, utf8=utf8, tolerances=tolerances)
        nonce, cnonce = challenge.nonce, b2a_base64(self._environment.random(_CNONCE_SIZE), newline=False)
        ha1 = session_hash(secret, nonce, cnonce, request.authzid.encode() if request.authzid else None)
        session = ClientSession(
            username=encode(username, utf8=utf8),
            realm=realm,
            name=username,
            realm_text=realm_text,
            nonce=nonce,
            cnonce=cnonce,
            qop=qop,
            utf8=utf8,
            ha1=ha1,
            tolerances=challenge.tolerances | tolerance,
        )
        self._cipher, self._maxbuf = cipher, challenge.maxbuf
        self._position = _Position.PROOF
        return StepResult(Event.CONTINUE, self._respond(session, _FIRST_COUNT, _session_key(request)))

    def _respond(self, session: ClientSession, nc: bytes, key: SessionKey) -> bytes:
        target, authzid, _ = key
        if not _URI(target):
            raise TargetUnknown(
                "the target must be a name like ldap/host.example, in URI characters; percent-encode others",
                requirement="SSPI-ISC-DIGEST-15",
            )
        digest_uri = target.encode()
        response, self._expected = response_values(
            session.ha1, session.nonce, nc, session.cnonce, session.qop, digest_uri
        )
        self._session = session
        self._key = key
        return DigestResponse(
            username=session.username,
            realm=session.realm,
            nonce=session.nonce,
            cnonce=session.cnonce,
            nc=nc,
            digest_uri=digest_uri,
            response=response,
            qop=session.qop,
            # Without a layer maxbuf has no meaning, and it is left out.
            maxbuf=DEFAULT_MAXBUF if session.qop == AUTH else self._environment.policy.max_buffer,
            utf8=session.utf8,
            cipher=None if self._cipher is None else self._cipher.name,
            authzid=authzid.encode() if authzid else None,
        ).to_bytes()

    def _finish(self, token: bytes, request: Request) -> StepResult:
        """Verify the server's proof and establish the layer."""
        session = self._session
        if not token:
            raise LogonDenied("the server reported success without rspauth", requirement="RFC2831-2.1.3-07")
        proof = ResponseAuth.from_bytes(token, self._environment.policy.tolerances)
        if not compare_digest(proof.rspauth, self._expected):
            raise LogonDenied(
                "the server's rspauth is wrong: it does not know the secret, or something between changed the exchange",
                requirement="RFC2831-2.1.3-06",
            )
        resumed = self._position is _Position.ANSWER_TO_INITIAL_RESPONSE
        if not resumed and session.qop == AUTH and not request.requested & _NEVER_RESUMED:
            self._sessions.put(self._key, session, 1)
        self.outcome = self._established(session, resumed=resumed)
        return StepResult(Event.COMPLETE, None)

    def _established(self, session: ClientSession, *, resumed: bool) -> Outcome:
        cipher, max_receive = self._cipher, self._environment.policy.max_buffer
        outcome = Outcome(
            flags=granted_flags(Side.INITIATE, session.qop),
            username=session.name,
            realm=session.realm_text,
            authzid=self._key[1],
            qop=QOPS[session.qop],
            reauthenticated=resumed,
            tolerances=tolerance_names(session.tolerances) if session.tolerances else (),
        )
        if session.qop == AUTH:
            return outcome
        keys = layer_keys(session.ha1, Side.INITIATE, cipher_key_size=None if cipher is None else cipher.key_size)
        protection = DigestProtection(keys, cipher, session.ha1, self._maxbuf, max_receive)
        return outcome._replace(
            protection=protection,
            cipher=protection.encryption_algorithm,
            ssf=1 if cipher is None else cipher.ssf,
            max_send=self._maxbuf,
            max_receive=max_receive,
        )

    def _identity(self, request: Request) -> tuple[str, str, str]:
        """Return user, realm and password."""
        if request.requested & _SUPPLIED:
            return _supplied_identity(request)
        credential = self._credential
        if credential.password is None:
            raise NoCredentials("the credential has no password; pass WinNTAuthIdentity as auth_data")
        return credential.username, credential.realm, credential.password

    def _realm(self, challenge: DigestChallenge, wanted: str) -> tuple[str, bytes | None]:
        """Return the realm as text and as it goes on the wire (None: no directive)."""
        if wanted:
            return wanted, encode(wanted, utf8=challenge.utf8)
        if not challenge.realms:
            # "If the directive is not present, the realm-value will solicit from the user or be computed as a default."
            return "", None
        realms = challenge.realms if len(challenge.realms) == 1 else tuple(dict.fromkeys(challenge.realms))
        if len(realms) > 1:
            offered = ", ".join(repr(decode(realm, utf8=challenge.utf8)) for realm in realms)
            raise IncompleteCredentials(f"the server offers several realms, name one of {offered}")
        return decode(realms[0], utf8=challenge.utf8), realms[0]

    def _choose(self, challenge: DigestChallenge, request: Request) -> tuple[bytes, Cipher | None]:
        """Choose the strongest qop and the preferred cipher that both sides permit."""
        policy = self._environment.policy
        ours = self._credential.permits(request.required, request.requested, policy)
        no_cipher = False
        for qop in ours.qops:
            if qop not in challenge.qop:
                continue
            if qop != AUTH_CONF:
                return qop, None
            for cipher in ours.ciphers:
                if cipher.name in challenge.ciphers:
                    return qop, cipher
            no_cipher = True
        offered = b",".join(challenge.qop).decode(errors="replace")
        wanted = b",".join(ours.qops).decode() or "nothing"
        if no_cipher:
            names = b",".join(challenge.ciphers).decode(errors="replace")
            raise AlgorithmMismatch(
                f"the server's ciphers ({names or 'none'}) are not permitted here; name one of them in the policy",
                requirement="RFC2831-2.1.1-44",
            )
        raise QopNotSupported(
            f"the server offers qop {offered}, and flags and policy permit {wanted} (min_ssf {policy.min_ssf})",
            requirement="RFC2831-2.1.1-20",
        )


def _session_key(request: Request) -> SessionKey:
    return request.target, request.authzid, request.requested


def _supplied_identity(request: Request) -> tuple[str, str, str]:
    """Read user, realm and password from the SECBUFFER_PKG_PARAMS buffer: UTF-8 with a NUL between each."""
    if not request.parameters:
        raise NoCredentials("ISC_REQ_USE_SUPPLIED_CREDS needs the credentials in a SECBUFFER_PKG_PARAMS buffer")
    try:
        username, realm, password = request.parameters[0].decode().split("\0")
    except ValueError:
        raise InvalidToken(
            "the SECBUFFER_PKG_PARAMS buffer is not user, realm and password in UTF-8 with a NUL between each"
        ) from None
    return username, realm, password


_STEPS: Final[Mapping[_Position, Callable[[DigestClient, bytes, Request], StepResult]]] = {
    _Position.BEGINNING: DigestClient._begin,
    _Position.CHALLENGE: DigestClient._answer,
    _Position.ANSWER_TO_INITIAL_RESPONSE: DigestClient._answer_or_proof,
    _Position.PROOF: DigestClient._finish,
}
