"""The accepting side of HTTP authentication, without I/O: from a request to a user, or to a 401 (RFC 9110 section 11).

Digest belongs to a request and needs no connection. NTLM and CredSSP authenticate a connection, and so does Negotiate
unless it needs one token only, as with Kerberos (RFC 4559, MS-NTHT): they serve where the server says which connection
a request came over, and are not offered elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from saslsspi import sspi
from saslsspi.accounts.authority import AccountLookup
from saslsspi.adapters.http.connections import ConnectionMemory
from saslsspi.adapters.http.digest import DigestHandle, DigestUse, entity_algorithm
from saslsspi.adapters.http.headers import ORIGIN, PROXY, blob_of, written
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import InvalidParameter, InvalidToken, OutOfSequence, SaslError, WrongPrincipal
from saslsspi.sspi import (
    CredentialUse,
    Environment,
    NonceStore,
    Policy,
    SecBuffer,
    SecBufferDesc,
    SecBufferFlags,
    SecBufferType,
    SecurityStatus,
)

__all__ = ["HttpAcceptor", "HttpDecision", "HttpRequest", "HttpUser"]

_LOG: Final = logging.getLogger("saslsspi.http")
_LOG.addHandler(logging.NullHandler())
_DIGEST: Final = "digest"
_PACKAGES: Final = {"digest": "WDigest", "ntlm": "NTLM", "negotiate": "Negotiate", "credssp": "CREDSSP"}
_NAMES: Final = {"digest": "Digest", "ntlm": "NTLM", "negotiate": "Negotiate", "credssp": "CredSSP"}
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
    """

    method: str
    targets: tuple[str, ...]
    credentials: str = field(default="", repr=False)
    connection: Hashable = None
    bindings: ChannelBindings | None = None
    entity: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpUser:
    """Who has logged on.

    Attributes:
        scheme: Digest, NTLM, Negotiate or CredSSP.
        token: Name, realm or domain, package, groups, and delegated credentials.
        context: For query_context_attributes, and for what protects messages above HTTP.
    """

    scheme: str
    token: sspi.SecurityToken
    context: sspi.CtxtHandle = field(repr=False)

    @property
    def username(self) -> str:
        """The name, as the package has it."""
        return self.token.username


@dataclass(frozen=True, slots=True)
class HttpDecision:
    """What to do with a request.

    Attributes:
        user: Who it is; None: answer with `status`, and do not serve the request.
        status: 401 (of a proxy 407), or 400; 200 with a user.
        headers: For the answer, whichever it is.
        error: Why credentials were refused; for logs, not for the peer.
        signs: The algorithm to hash the answer's body with; `sign` then makes one more header.
    """

    user: HttpUser | None
    status: int
    headers: Headers
    error: SaslError | None = None
    signs: str | None = None
    sign: Callable[[bytes], Headers] = field(default=lambda entity: [], repr=False)


class HttpAcceptor:
    """Decides about requests. One serves a whole server; safe under threads.

    Args:
        credentials: Inbound handles by scheme, the preferred first: Digest, NTLM, Negotiate, CredSSP.
        realm: Of Digest.
        integrity: Whether Digest covers bodies (auth-int), which few clients can.
        proxy: Whether this is a proxy: 407 and the header fields of RFC 2617 section 3.6.
        clock: Seconds that only go up, for the time-outs of connections.
    """

    def __init__(
        self,
        credentials: Mapping[str, sspi.CredHandle],
        *,
        realm: str = "",
        integrity: bool = False,
        proxy: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        unknown = [scheme for scheme in credentials if scheme.lower() not in _PACKAGES]
        if unknown or not credentials:
            raise InvalidParameter(f"schemes are some of {', '.join(_NAMES.values())}, not {unknown}")
        self._credentials = {scheme.lower(): handle for scheme, handle in credentials.items()}
        self._fields = PROXY if proxy else ORIGIN
        self._digest: DigestHandle | None = None
        if _DIGEST in self._credentials:
            if not realm:
                raise InvalidParameter("Digest needs a realm")
            flags = sspi.AscReq.ASC_REQ_INTEGRITY if integrity else 0
            self._digest = DigestHandle(self._credentials[_DIGEST], realm, flags)
        self._logons: ConnectionMemory[tuple[str, sspi.CtxtHandle]] = ConnectionMemory(_LOGON_SECONDS, clock)
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
    ) -> Self:
        """Return an acceptor for the users that an authority knows; CredSSP needs credentials of its own."""
        environment = Environment(authority=authority, policy=policy or Policy(), nonce_store=nonce_store)
        handles = {
            scheme: sspi.acquire_credentials_handle(
                None, _PACKAGES.get(scheme.lower(), scheme), CredentialUse.SECPKG_CRED_INBOUND, environment=environment
            ).credential
            for scheme in schemes
        }
        return cls(handles, realm=realm, integrity=integrity, proxy=proxy)

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
            return entity_algorithm(blob)
        except SaslError:  # judge will say so
            return None

    def judge(self, request: HttpRequest) -> HttpDecision:
        """Decide about a request. Asking the authority may block; peers cause no exception."""
        scheme, blob = _split(request.credentials)
        if not scheme:
            user = None if request.connection is None else self._users.find(request.connection)
            return self._refuse(request) if user is None else HttpDecision(user, 200, [])
        if scheme not in self._credentials:
            return self._refuse(request)
        try:
            return self._judge_digest(blob, request) if scheme == _DIGEST else self._judge_token(scheme, blob, request)
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
        for scheme in self._credentials:
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
        user = HttpUser("Digest", sspi.query_security_context_token(use.context), use.context)
        if use.signs is not None:
            return HttpDecision(user, 200, [], None, use.signs, lambda entity: self._proof(use, entity))
        return HttpDecision(user, 200, [(self._fields.proof, use.proof.decode("latin-1"))] if use.proof else [])

    def _proof(self, use: DigestUse, entity: bytes) -> Headers:
        return [(self._fields.proof, use.sign(entity).decode("latin-1"))]

    def _judge_token(self, scheme: str, blob: str, request: HttpRequest) -> HttpDecision:
        """Take a token of a scheme that authenticates the connection."""
        connection, context = request.connection, sspi.CtxtHandle()
        if connection is not None:
            self._users.forget(connection)  # whoever begins anew is nobody until it is done
            held = self._logons.take(connection)
            if held is not None and held[0] == scheme:
                context = held[1]
        elif scheme not in _ONE_TOKEN:
            return self._refuse(request)
        token, done = _accepted(self._credentials[scheme], context, blob_of(blob), request.bindings)
        if not done:
            if connection is None:
                return self._refuse(request)
            self._logons.keep(connection, (scheme, context))
            return HttpDecision(None, self._fields.status, [self._challenge(written(_NAMES[scheme], token))])
        user = HttpUser(_NAMES[scheme], sspi.query_security_context_token(context), context)
        if connection is not None:
            self._users.keep(connection, user)
        return HttpDecision(user, 200, [self._challenge(written(_NAMES[scheme], token))] if token else [])


def _split(credentials: str) -> tuple[str, str]:
    scheme, _, blob = credentials.strip().partition(" ")
    return scheme.lower(), blob.strip()


def _accepted(
    credential: sspi.CredHandle, context: sspi.CtxtHandle, token: bytes, bindings: ChannelBindings | None
) -> tuple[bytes, bool]:
    """Take a context one step further; return our token, and whether the context is complete."""
    # The memory is writable, as the records of CredSSP are opened in it.
    buffers = [
        SecBuffer(bytearray(token), SecBufferType.SECBUFFER_TOKEN),
        SecBuffer(None, SecBufferType.SECBUFFER_EMPTY),
    ]
    if bindings is not None:
        packed = bindings.to_bytes()
        kind = SecBufferType.SECBUFFER_CHANNEL_BINDINGS
        buffers.append(SecBuffer(packed, kind, SecBufferFlags.SECBUFFER_READONLY))
    output = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
    result = sspi.accept_security_context(credential, context, SecBufferDesc(buffers), 0, 0, SecBufferDesc([output]))
    return output.data, result.status == SecurityStatus.SEC_E_OK
