"""The accepting side of HTTP authentication, without I/O: from a request to a user, or to a 401 (RFC 9110 section 11).

Digest belongs to a request and needs no connection. NTLM and CredSSP authenticate a connection, and so does Negotiate
unless it needs one token only, as with Kerberos (RFC 4559, MS-NTHT): they serve where the server says which connection
a request came over, and are not offered elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from saslsspi.accounts.account import AccountLookup, Secret
from saslsspi.accounts.authority import secrets_of
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.adapters.http.connections import ConnectionMemory
from saslsspi.adapters.http.digest import DigestDoor, DigestUse
from saslsspi.adapters.http.headers import ORIGIN, PROXY, blob_of, written
from saslsspi.adapters.http.inbound import Inbound
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.context import Context
from saslsspi.engine.attributes import SecPkgContextNames
from saslsspi.engine.environment import Environment
from saslsspi.engine.hooks.audit import Attempt, audited_from, proof_refused, refusals
from saslsspi.engine.identity import AuthIdentity
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import Security
from saslsspi.errors import (
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    NoAuthenticatingAuthority,
    OutOfSequence,
    SaslError,
    WrongPrincipal,
)
from saslsspi.sasl.acceptance import unverifiable
from saslsspi.sspi.handles import CredHandle

__all__ = ["HttpAcceptor", "HttpDecision", "HttpRequest", "HttpUser"]

_LOG: Final = logging.getLogger("saslsspi.http")
_LOG.addHandler(logging.NullHandler())
_DIGEST: Final = "digest"
_PACKAGES: Final = {"digest": "WDigest", "ntlm": "NTLM", "negotiate": "Negotiate", "credssp": "CREDSSP"}
_NAMES: Final = {"digest": "Digest", "ntlm": "NTLM", "negotiate": "Negotiate", "credssp": "CredSSP"}
_TOKENS: Final = (Secret.NT_HASH, Secret.PASSWORD, Secret.EXISTENCE)
_VERIFIED_WITH: Final = {
    "digest": (Secret.HA1, Secret.PASSWORD),
    "ntlm": (Secret.NT_HASH, Secret.PASSWORD),
    "negotiate": _TOKENS,
    "credssp": _TOKENS,
}
_ONE_TOKEN: Final = frozenset({"negotiate"})  # may be done with one, and then needs no connection
_LOGON_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 900.0

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What a server knows of a request.

    Attributes:
        targets: The request target, in each way in which a client may have written it.
        credentials: The value of Authorization (of a proxy: Proxy-Authorization), "" without.
        connection: What tells this connection from every other one that was or will be; None: nobody knows.
        bindings: Of the TLS connection, where this server ends it or knows its certificate.
        entity: The body's hash; needed where HttpAcceptor.entity_algorithm names one.
        peer: Where the client is, for the audit log; "" where this server does not know.
    """

    method: str
    targets: tuple[str, ...]
    credentials: str = field(default="", repr=False)
    connection: Hashable = None
    bindings: ChannelBindings | None = None
    entity: bytes = b""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class HttpUser:
    """Who has logged on.

    Attributes:
        scheme: Digest, NTLM, Negotiate or CredSSP.
        username: The name, as the package has it.
        security: Realm or domain, what the authority knew of the user, and delegated credentials.
        context: Of the connection, for attributes and for what protects messages above HTTP; None with Digest.
    """

    scheme: str
    username: str
    security: Security
    context: Context | None = field(default=None, repr=False)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the authority knows."""
        return () if self.security.account is None else self.security.account.groups


@dataclass(frozen=True, slots=True)
class HttpDecision:
    """What to do with a request.

    Attributes:
        user: Who it is; None: answer with `status`, and do not serve the request.
        status: 401 (of a proxy 407), or 400; 200 with a user.
        headers: For the answer, whichever it is.
        error: Why credentials were refused; for logs, not for the peer.
        signs: The algorithm to hash the answer's body with; `sign` then makes one more header.
        delay: Seconds to hold the answer back, where the acceptor has a throttle and somebody failed to log on.
    """

    user: HttpUser | None
    status: int
    headers: Headers
    error: SaslError | None = None
    signs: str | None = None
    sign: Callable[[bytes], Headers] = field(default=lambda entity: [], repr=False)
    delay: float = 0.0


class HttpAcceptor:
    """Decides about requests. One serves a whole server; safe under threads.

    Args:
        inbound: What each scheme logs users on with, the preferred first: Digest, NTLM, Negotiate, CredSSP. A handle of
            `saslsspi.sspi` serves as well.
        realm: Of Digest.
        integrity: Whether Digest covers bodies (auth-int), which few clients can.
        proxy: Whether this is a proxy: 407 and the header fields of RFC 2617 section 3.6.
        clock: Seconds that only go up, for the time-outs of connections.
        throttle: Counts failed logons and says how long their answers are held back; None counts nothing.
    """

    def __init__(
        self,
        inbound: Mapping[str, Inbound | CredHandle],
        *,
        realm: str = "",
        integrity: bool = False,
        proxy: bool = False,
        clock: Callable[[], float] = time.monotonic,
        throttle: Throttle | None = None,
    ) -> None:
        self._throttle = throttle
        unknown = [scheme for scheme in inbound if scheme.lower() not in _PACKAGES]
        if unknown or not inbound:
            raise InvalidParameter(f"schemes are some of {', '.join(_NAMES.values())}, not {unknown}")
        self._inbound = {
            scheme.lower(): given if isinstance(given, Inbound) else Inbound.of(given)
            for scheme, given in inbound.items()
        }
        self._fields = PROXY if proxy else ORIGIN
        self._digest: DigestDoor | None = None
        if _DIGEST in self._inbound:
            if not realm:
                raise InvalidParameter("Digest needs a realm")
            self._digest = DigestDoor(self._inbound[_DIGEST], realm, integrity=integrity)
        self._logons: ConnectionMemory[tuple[str, Context]] = ConnectionMemory(_LOGON_SECONDS, clock)
        self._users: ConnectionMemory[HttpUser] = ConnectionMemory(_IDLE_SECONDS, clock)

    @classmethod
    def of(
        cls,
        authority: AccountLookup,
        schemes: Sequence[str] = ("Digest",),
        *,
        realm: str,
        policy: Policy | None = None,
        nonce_store: NonceStore | None = None,
        integrity: bool = False,
        proxy: bool = False,
        principal: str | None = None,
        credentials: Mapping[str, AuthIdentity] | None = None,
        throttle: Throttle | None = None,
    ) -> Self:
        """Return an acceptor for the users that an authority knows.

        Args:
            authority: Who may log on.
            schemes: The preferred first. What the secrets that the authority holds cannot verify is left out.
            realm: Of Digest.
            policy: What is acceptable.
            nonce_store: Where Digest counts the uses of its nonces; None: the memory of this process.
            integrity: Whether Digest covers bodies.
            proxy: Whether this is a proxy.
            principal: The names that clients may mean, such as "HTTP/host.example".
            credentials: The server's own by scheme: a keytab, CredSSP's certificate.
            throttle: Counts failed logons; see the class.

        Raises:
            InvalidParameter: the authority says which secrets it holds, and none of the schemes verifies with them.
        """
        environment = Environment(authority=authority, policy=policy or Policy(), nonce_store=nonce_store)
        own = {scheme.lower(): identity for scheme, identity in (credentials or {}).items()}
        held = secrets_of(authority)
        lacking = {scheme: unverifiable(_VERIFIED_WITH.get(scheme.lower(), ()), held) for scheme in schemes}
        usable = [scheme for scheme, problem in lacking.items() if problem is None]
        if schemes and not usable:
            said = "; ".join(f"{scheme}: {problem}" for scheme, problem in lacking.items())
            raise InvalidParameter(f"nobody of {type(authority).__name__} could log on: {said}")
        inbound = {}
        for scheme in usable:
            name = scheme.lower()
            meant = None if name == _DIGEST else principal
            inbound[scheme] = Inbound(
                _PACKAGES.get(name, scheme), environment, principal=meant, credentials=own.get(name)
            )
        return cls(inbound, realm=realm, integrity=integrity, proxy=proxy, throttle=throttle)

    @property
    def credentials_field(self) -> str:
        """The header field with a request's credentials."""
        return self._fields.credentials

    def entity_algorithm(self, credentials: str) -> str | None:
        """Return the algorithm to hash a request's body with before it is judged; None where that is not needed."""
        scheme, blob = _split(credentials)
        if scheme != _DIGEST or self._digest is None:
            return None
        try:
            return self._digest.entity_algorithm(blob)
        except SaslError:  # judge will say so
            return None

    def judge(self, request: HttpRequest) -> HttpDecision:
        """Decide about a request. Asking the authority may block; peers cause no exception."""
        if self._throttle is None:
            return self._judge(request)
        with refusals() as found:
            decision = self._judge(request)
        # Requests that overtook one another had the right password; while the accounts cannot be had nobody guesses.
        if isinstance(decision.error, OutOfSequence | NoAuthenticatingAuthority):
            return decision
        delays = [self._throttle.failed(refusal.username, refusal.peer) for refusal in found]
        return replace(decision, delay=max(delays)) if delays else decision

    def _judge(self, request: HttpRequest) -> HttpDecision:
        scheme, blob = _split(request.credentials)
        if not scheme:
            user = None if request.connection is None else self._users.find(request.connection)
            return self._refuse(request) if user is None else HttpDecision(user, 200, [])
        try:
            with audited_from(request.peer):
                if scheme not in self._inbound:
                    Attempt(_NAMES.get(scheme, "an unknown scheme")).refused(LogonDenied("it is not offered here"))
                    return self._refuse(request)
                if scheme == _DIGEST:
                    return self._judge_digest(blob, request)
                return self._judge_token(scheme, blob, request)
        except SaslError as error:
            _LOG.info("%s credentials refused: %s", _NAMES[scheme], error)
            # RFC 2617 section 3.2.2.5 for the URI, RFC 7616 section 3.4 for directives: 400. It begins anew otherwise.
            if scheme == _DIGEST and isinstance(error, (WrongPrincipal, InvalidToken)):
                return HttpDecision(None, 400, [], error)
            return self._refuse(request, error)

    def forget(self, connection: Hashable) -> None:
        """Drop what is known of a connection that has ended."""
        self._logons.forget(connection)
        self._users.forget(connection)

    def _refuse(self, request: HttpRequest, error: SaslError | None = None) -> HttpDecision:
        """Return the challenges of every scheme that can serve."""
        headers: Headers = []
        for scheme in self._inbound:
            if scheme == _DIGEST and self._digest is not None:
                stale = isinstance(error, OutOfSequence)
                challenges = (self._digest.again if stale else self._digest.challenges)(request.bindings)
                headers += [self._challenge("Digest " + challenge) for challenge in challenges]
            elif request.connection is not None or scheme in _ONE_TOKEN:
                headers.append(self._challenge(_NAMES[scheme]))
        return HttpDecision(None, self._fields.status, headers, error)

    def _challenge(self, value: str) -> tuple[str, str]:
        return self._fields.challenge, value

    def _judge_digest(self, blob: str, request: HttpRequest) -> HttpDecision:
        assert self._digest is not None
        use = self._digest.use(blob, request.method, request.targets, request.entity, request.bindings)
        if not use.complete:
            stale = [self._challenge("Digest " + line.decode("latin-1")) for line in use.challenges]
            others = [header for header in self._refuse(request).headers if not header[1].startswith("Digest ")]
            return HttpDecision(None, self._fields.status, stale + others)
        user = HttpUser("Digest", use.username, use.security)
        if use.signs is not None:
            return HttpDecision(user, 200, [], None, use.signs, lambda entity: self._proof(use, entity))
        return HttpDecision(user, 200, [(self._fields.proof, use.proof.decode("latin-1"))] if use.proof else [])

    def _proof(self, use: DigestUse, entity: bytes) -> Headers:
        return [(self._fields.proof, use.sign(entity).decode("latin-1"))]

    def _judge_token(self, scheme: str, blob: str, request: HttpRequest) -> HttpDecision:
        """Take a token of a scheme that authenticates the connection."""
        connection, context = request.connection, None
        if connection is not None:
            self._users.forget(connection)  # whoever begins anew is nobody until it is done
            held = self._logons.take(connection)
            if held is not None and held[0] == scheme:
                context = held[1]
        elif scheme not in _ONE_TOKEN:
            return self._refuse(request)
        context = context or self._inbound[scheme].context(request.bindings)
        try:
            taken = blob_of(blob)
        except SaslError as error:  # before the context sees it, which would leave the record
            proof_refused(self._inbound[scheme].package, "", "", str(error))
            raise
        token = context.step(taken) or b""
        if not context.done:
            if connection is None:
                return self._refuse(request)
            self._logons.keep(connection, (scheme, context))
            return HttpDecision(None, self._fields.status, [self._challenge(written(_NAMES[scheme], token))])
        user = HttpUser(_NAMES[scheme], context.query(SecPkgContextNames).username, context.security, context)
        if connection is not None:
            self._users.keep(connection, user)
        return HttpDecision(user, 200, [self._challenge(written(_NAMES[scheme], token))] if token else [])


def _split(credentials: str) -> tuple[str, str]:
    scheme, _, blob = credentials.strip().partition(" ")
    return scheme.lower(), blob.strip()
