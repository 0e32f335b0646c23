"""The bind operation: simple binds, and SASL exchanges of any mechanism (RFC 4511 section 4.2, RFC 4513 section 5)."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from saslsspi.errors import (
    AlgorithmMismatch,
    DowngradeDetected,
    InternalError,
    InvalidParameter,
    NoAuthenticatingAuthority,
    PackageNotFound,
    QopNotSupported,
    SaslError,
    SecurityQosFailed,
)
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.session import Pending, Security
from saslsspi.sspi.environment import Account, Question, Secret
from saslsspi.sspi.policy import Property
from saslsspi.testbed.ldap_identity import in_ldap_form, password_matches, read_identity
from saslsspi.testbed.ldap_messages import SaslBind, SimpleBind, UnknownBind
from saslsspi.testbed.ldap_responses import Result, ResultCode
from saslsspi.testbed.ldap_settings import SaslSession, Settings

__all__ = ["Binder", "Reply"]

_VERSION: Final = 3
_SERVICE: Final = "ldap"  # RFC 4513 section 5.2.1.1
_EXTERNAL: Final = "EXTERNAL"


class Reply(NamedTuple):
    """How a bind request is answered.

    Attributes:
        credentials: serverSaslCreds; None leaves them out.
        method: On success, how: "anonymous", "simple" or the mechanism.
        authzid: On success, the new authorization identity; "" for nobody.
        security: On success by SASL, what was negotiated.
        layer: On success, the layer to install behind the response; None keeps what there is.
    """

    result: Result
    credentials: bytes | None = None
    method: str = ""
    authzid: str = ""
    security: Security | None = None
    layer: Layer | None = None


class _Running(NamedTuple):
    mechanism: Mechanism
    session: SaslSession


class Binder:
    """The binds of one connection; at most one SASL exchange is in progress.

    Args:
        settings: The server's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: _Running | None = None

    @property
    def in_progress(self) -> bool:
        """Whether the client owes the next message of a SASL exchange."""
        return self._running is not None

    def abort(self) -> None:
        """End an exchange that is in progress."""
        if self._running is not None:
            self._running.session.abort()
            self._running = None

    async def bind(self, request: SimpleBind | SaslBind | UnknownBind, tls_bits: int, ssf: int) -> Reply:
        """Answer a bind request.

        Args:
            request: What the client sent.
            tls_bits: Secret bits of the cipher of TLS; 0 without TLS.
            ssf: Security strength factor of the connection as it is.
        """
        # RFC 4511 section 4.2.1: another mechanism, or another method, aborts the negotiation in progress.
        same = (
            isinstance(request, SaslBind)
            and self._running is not None
            and request.mechanism.upper() == self._running.mechanism.name.upper()
        )
        if not same:
            self.abort()
        if request.version != _VERSION:
            self.abort()
            return _refuse(ResultCode.PROTOCOL_ERROR, f"only version {_VERSION} of LDAP is spoken here")
        if isinstance(request, SimpleBind):
            return await self._simple(request, tls_bits, ssf)
        if isinstance(request, SaslBind):
            return await self._sasl(request, tls_bits)
        return _refuse(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "binds are simple or SASL")

    async def _simple(self, request: SimpleBind, tls_bits: int, ssf: int) -> Reply:
        policy, directory = self._settings.policy, self._settings.directory
        if not request.password:
            if request.name:  # RFC 4513 section 5.1.2: a client that forgot its password must not look bound
                return _refuse(ResultCode.UNWILLING_TO_PERFORM, "a name without a password authenticates nobody")
            return Reply(Result(ResultCode.SUCCESS), method="anonymous")
        if ssf < policy.min_ssf or (policy.properties & Property.NO_PLAINTEXT and not tls_bits):
            return _refuse(ResultCode.CONFIDENTIALITY_REQUIRED, "passwords are not taken on this connection")
        try:
            user = directory.user_name(request.name) if request.name else None
        except InvalidParameter as error:
            return _refuse(ResultCode.INVALID_DN_SYNTAX, error.text)
        realm = self._settings.realms[0] if self._settings.realms else ""
        try:
            account = await self._ask(Question(user or "", realm, (Secret.HA1, Secret.PASSWORD)))
        except SaslError as error:
            return _failed(error)
        if user is None or not password_matches(account, user, realm, request.password):
            return _refuse(ResultCode.INVALID_CREDENTIALS, "the name is unknown or the password is wrong")
        return Reply(Result(ResultCode.SUCCESS), method="simple", authzid=f"dn:{request.name}")

    async def _sasl(self, request: SaslBind, tls_bits: int) -> Reply:
        token = request.credentials
        if self._running is None:
            try:
                begun = self._begin(request.mechanism, tls_bits)
            except SaslError as error:
                return _failed(error)
            if isinstance(begun, Reply):
                return begun
            running = begun
        else:
            # Only the first message can be absent; libldap leaves an empty one out.
            running, token = self._running, token or b""
        self._running = None
        try:
            challenge = await self._step(running.session, token)
            if not running.session.done:
                self._running = running
                return Reply(Result(ResultCode.SASL_BIND_IN_PROGRESS), challenge)
            return self._succeed(running, challenge)
        except SaslError as error:
            running.session.abort()
            return _failed(error)

    def _begin(self, name: str, tls_bits: int) -> _Running | Reply:
        settings = self._settings
        configured = {mechanism.name.upper(): mechanism for mechanism in settings.mechanisms}
        mechanism = configured.get(name.upper())
        # "the SASL EXTERNAL Bind MUST fail with a resultCode of inappropriateAuthentication" (RFC 4513 section 5.2.3)
        if name.upper() == _EXTERNAL and (mechanism is None or not tls_bits):
            return _refuse(ResultCode.INAPPROPRIATE_AUTHENTICATION, "TLS has authenticated no client here")
        if mechanism is None:
            return _refuse(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "this SASL mechanism is not offered")
        if mechanism not in settings.mechanisms_on(tls_bits):
            code = ResultCode.AUTH_METHOD_NOT_SUPPORTED if tls_bits else ResultCode.CONFIDENTIALITY_REQUIRED
            return _refuse(code, f"{mechanism.name} is not permitted on this connection")
        session = settings.make_session(
            mechanism,
            service=_SERVICE,
            host=settings.hosts,
            authority=settings.authority,
            realm=settings.realms,
            policy=settings.policy_on(tls_bits),
            nonce_store=settings.nonce_store,
            bindings=settings.bindings if tls_bits else None,
        )
        return _Running(mechanism, session)

    async def _step(self, session: SaslSession, token: bytes | None) -> bytes | None:
        reply = session.begin(token)
        while isinstance(reply, Pending):
            account = await self._ask(reply.question)
            reply = session.resume(account and in_ldap_form(account, self._settings.directory))
        return reply

    def _succeed(self, running: _Running, data: bytes | None) -> Reply:
        session, security = running.session, running.session.security
        if security.authzid:
            read_identity(security.authzid)  # a mechanism takes the user's own name as it stands; LDAP has two forms
        authzid = security.authzid or f"u:{security.authcid}"
        if not running.mechanism.properties & Property.NO_ANONYMOUS:
            authzid = ""
        return Reply(Result(ResultCode.SUCCESS), data, running.mechanism.name, authzid, security, session.layer)

    async def _ask(self, question: Question) -> Account | None:
        """Ask the authority, which may be slow, beside the loop."""
        settings, loop = self._settings, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(settings.limits.authority_timeout):
                return await loop.run_in_executor(settings.executor, settings.authority.lookup, question)
        except SaslError:
            raise
        except Exception as error:
            raise NoAuthenticatingAuthority(f"the authority failed with {type(error).__name__}") from error


def _refuse(code: ResultCode, text: str) -> Reply:
    return Reply(Result(code, text))


# What is none of these is the client's fault: INVALID_CREDENTIALS, by RFC 4513 section 5 for a refused identity too.
_CODES: Final = (
    ((NoAuthenticatingAuthority,), ResultCode.UNAVAILABLE),
    ((PackageNotFound,), ResultCode.AUTH_METHOD_NOT_SUPPORTED),
    ((InternalError,), ResultCode.OTHER),
    ((AlgorithmMismatch, DowngradeDetected, QopNotSupported, SecurityQosFailed), ResultCode.STRONGER_AUTH_REQUIRED),
)


def _failed(error: SaslError) -> Reply:
    code = next((code for kinds, code in _CODES if isinstance(error, kinds)), ResultCode.INVALID_CREDENTIALS)
    return Reply(Result(code, str(error)), error.token)
