"""The bind operation: simple binds, and SASL exchanges of any mechanism (RFC 4511 section 4.2, RFC 4513 section 5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from saslsspi.accounts.account import Account, Pending, Question
from saslsspi.accounts.authority import check_answer
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.engine.hooks.audit import Attempt, AuditRecord, refusals
from saslsspi.engine.policy import DEFAULT_POLICY, Property
from saslsspi.engine.security import Security
from saslsspi.errors import (
    AlgorithmMismatch,
    DowngradeDetected,
    InternalError,
    InvalidParameter,
    LogonDenied,
    NoAuthenticatingAuthority,
    NoCredentials,
    NoImpersonation,
    PackageNotFound,
    QopNotSupported,
    SaslError,
    SecurityNotAgreed,
    SecurityQosFailed,
)
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS, find_mechanism
from saslsspi.sasl.server import Server
from saslsspi.testbed.ldap.identity import read_identity
from saslsspi.testbed.ldap.messages import SaslBind, SimpleBind, UnknownBind
from saslsspi.testbed.ldap.responses import Result, ResultCode
from saslsspi.testbed.ldap.settings import SaslSession, Settings, Surroundings
from saslsspi_mechanisms.plain import PLAIN

__all__ = ["BindReply", "Binder"]

_LOG: Final = logging.getLogger(__name__)
_VERSION: Final = 3
_SERVICE: Final = "ldap"  # RFC 4513 section 5.2.1.1
_EXTERNAL: Final = "EXTERNAL"


class BindReply(NamedTuple):
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

    async def bind(self, request: SimpleBind | SaslBind | UnknownBind, around: Surroundings) -> BindReply:
        """Answer a bind request on a connection as it is."""
        running, self._running = self._running, None
        # RFC 4511 section 4.2.1: another mechanism, or another method, aborts the negotiation in progress.
        if running is not None and not _continues(request, running):
            running.session.abort()
            running = None
        with refusals() as found:
            try:
                reply = await self._answer(request, running, around)
            except SaslError as error:
                reply = _failed(error)
        if reply.result.code is not ResultCode.UNAVAILABLE:  # while the accounts cannot be had nobody guesses
            await self._hold_back(found)
        if reply.result.code not in (ResultCode.SUCCESS, ResultCode.SASL_BIND_IN_PROGRESS):
            _LOG.info("ldap %s refused: %s", _method(request), reply.result.text)
        return reply

    async def _hold_back(self, found: Sequence[AuditRecord]) -> None:
        """Let a refusal wait for as long as failures cost; the client may do nothing else meanwhile, others may."""
        throttle = self._settings.throttle
        if throttle is None or not found:
            return
        for refusal in found:
            await asyncio.sleep(await beside_loop(throttle.failed, refusal.username, refusal.peer))

    async def _answer(
        self, request: SimpleBind | SaslBind | UnknownBind, running: _Running | None, around: Surroundings
    ) -> BindReply:
        if request.version != _VERSION:
            return _refuse(ResultCode.PROTOCOL_ERROR, f"only version {_VERSION} of LDAP is spoken here")
        if isinstance(request, SaslBind):
            return await self._sasl(request, running, around)
        if isinstance(request, SimpleBind):
            return await self._simple(request, around)
        return _refuse(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "binds are simple or SASL")

    async def _simple(self, request: SimpleBind, around: Surroundings) -> BindReply:
        settings = self._settings
        policy = settings.policy
        if not request.password:
            if request.name:  # RFC 4513 section 5.1.2: a client that forgot its password must not look bound
                return _refuse(ResultCode.UNWILLING_TO_PERFORM, "a name without a password authenticates nobody")
            return BindReply(Result(ResultCode.SUCCESS), method="anonymous")
        if around.ssf < policy.min_ssf or (around.ssf <= 1 and not policy.allow_plaintext):
            return _refuse(ResultCode.CONFIDENTIALITY_REQUIRED, "nothing encrypts this connection: start TLS")
        try:
            user = settings.directory.user_name(request.name) if request.name else None
        except InvalidParameter as error:
            return _refuse(ResultCode.INVALID_DN_SYNTAX, error.text)
        # A simple bind is the exchange of PLAIN in another envelope; what it has to satisfy has been checked.
        session = Server(
            PLAIN,
            service=_SERVICE,
            host=settings.hosts,
            authority=settings.authority,
            realm=settings.realms,
            policy=replace(DEFAULT_POLICY, allow_plaintext=True),
        )
        try:
            await self._step(session, b"\0".join((b"", (user or "?").encode(), request.password)))
        except BaseException:
            session.abort()
            raise
        if user is None:
            raise LogonDenied("the user is unknown or the password is wrong")
        return BindReply(Result(ResultCode.SUCCESS), method="simple", authzid=f"dn:{request.name}")

    async def _sasl(self, request: SaslBind, running: _Running | None, around: Surroundings) -> BindReply:
        token = request.credentials
        if running is None:
            if refusal := self._refusal(request.mechanism, around):
                known = MECHANISMS.find(request.mechanism.upper())
                how = "an unknown mechanism" if known is None else known.name
                Attempt(how).refused(LogonDenied(refusal.result.text))
                return refusal
            running = self._begin(request.mechanism, around)
            # RFC 4513 section 5.2.3.1: EXTERNAL without credentials derives the identity by itself.
            if running.mechanism.name == _EXTERNAL:
                token = token or b""
        else:
            token = token or b""  # libldap leaves an empty response out
        try:
            challenge = await self._step(running.session, token)
            if not running.session.done:
                self._running = running
                return BindReply(Result(ResultCode.SASL_BIND_IN_PROGRESS), challenge)
            return self._succeed(running, challenge)
        except BaseException:
            running.session.abort()
            raise

    def _refusal(self, name: str, around: Surroundings) -> BindReply | None:
        """Return why an exchange cannot begin, or None."""
        names, reasons = self._settings.offer_on(around)
        wanted = name.upper()
        if wanted in (offered.upper() for offered in names):
            return None
        # "If the client's authentication credentials have not been established at a lower security layer, the SASL
        # EXTERNAL Bind MUST fail with a resultCode of inappropriateAuthentication" (RFC 4513 section 5.2.3).
        if wanted == _EXTERNAL and around.identity is None:
            return _refuse(ResultCode.INAPPROPRIATE_AUTHENTICATION, "TLS has authenticated no client here")
        reason = next((why for other, why in reasons.items() if other.upper() == wanted), None)
        mechanism = MECHANISMS.find(wanted) if reason else None
        if mechanism is None:
            return _refuse(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "this SASL mechanism is not offered")
        encrypting = around.ssf <= 1 and not mechanism.properties & Property.NO_PLAINTEXT
        weak = mechanism.max_ssf < self._settings.policy_on(around).min_ssf
        code = ResultCode.CONFIDENTIALITY_REQUIRED if encrypting or weak else ResultCode.AUTH_METHOD_NOT_SUPPORTED
        return _refuse(code, f"{mechanism.name}: {reason}")

    def _begin(self, name: str, around: Surroundings) -> _Running:
        settings = self._settings
        mechanism = find_mechanism(name)
        session = settings.make_session(
            mechanism.name,
            service=_SERVICE,
            host=settings.hosts,
            authority=settings.authority,
            realm=settings.realms,
            policy=settings.policy_on(around),
            nonce_store=settings.nonce_store,
            bindings=settings.bindings_on(around),
            external_ssf=around.ssf,
            external_identity=around.identity,
        )
        return _Running(mechanism, session)

    async def _step(self, session: SaslSession, token: bytes | None) -> bytes | None:
        # Hashes may be slow, and a nonce store may be far away: only the authority has a limit of its own.
        reply = await beside_loop(session.begin, token)
        while isinstance(reply, Pending):
            account = await self._ask(reply.question)
            reply = await beside_loop(session.resume, account)
        return reply

    def _succeed(self, running: _Running, data: bytes | None) -> BindReply:
        session, security = running.session, running.session.security
        if security.authzid:
            # A mechanism takes the user's own name as it stands. LDAP has two forms, and a name that looks like one of
            # them is somebody else's there.
            meant, name = read_identity(security.authzid), security.authcid
            own = security.authzid in (name, f"{name}@{security.realm}")
            if own and meant != read_identity(f"u:{name}"):
                raise NoImpersonation("the user's own name means somebody else as an authorization identity of LDAP")
        authzid = security.authzid or f"u:{security.authcid}"
        if not running.mechanism.properties & Property.NO_ANONYMOUS:
            authzid = ""
        return BindReply(Result(ResultCode.SUCCESS), data, running.mechanism.name, authzid, security, session.layer)

    async def _ask(self, question: Question) -> Account | None:
        """Ask the authority, which may be slow, beside the loop."""
        settings, loop = self._settings, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(settings.limits.authority_timeout):
                asked = loop.run_in_executor(settings.executor, settings.authority.lookup, question)
                try:
                    answer = await asyncio.shield(asked)
                except asyncio.CancelledError:
                    asked.add_done_callback(_unheard)
                    raise
                if isinstance(answer, Awaitable):
                    answer = await answer
        except SaslError:
            raise
        except Exception as error:
            raise NoAuthenticatingAuthority(f"the authority failed with {type(error).__name__}") from error
        return None if answer is None else check_answer(settings.authority.authority, answer)


def _unheard(asked: asyncio.Future[Any]) -> None:
    """Take an answer for which nobody waits any more; what was to be awaited is closed."""
    if not asked.cancelled() and asked.exception() is None and hasattr(asked.result(), "close"):
        asked.result().close()


def _continues(request: SimpleBind | SaslBind | UnknownBind, running: _Running) -> bool:
    return isinstance(request, SaslBind) and request.mechanism.upper() == running.mechanism.name.upper()


def _method(request: SimpleBind | SaslBind | UnknownBind) -> str:
    if isinstance(request, SaslBind):
        mechanism = MECHANISMS.find(request.mechanism)
        return mechanism.name if mechanism is not None else "with an unknown mechanism"
    return "simple" if isinstance(request, SimpleBind) else "with an unknown method"


def _refuse(code: ResultCode, text: str) -> BindReply:
    return BindReply(Result(code, text))


# What is none of these is the client's fault: INVALID_CREDENTIALS, by RFC 4513 section 5 for a refused identity too.
_CODES: Final = (
    ((NoAuthenticatingAuthority, NoCredentials), ResultCode.UNAVAILABLE),
    ((PackageNotFound,), ResultCode.AUTH_METHOD_NOT_SUPPORTED),
    ((InternalError,), ResultCode.OTHER),
    (
        (AlgorithmMismatch, DowngradeDetected, QopNotSupported, SecurityNotAgreed, SecurityQosFailed),
        ResultCode.STRONGER_AUTH_REQUIRED,
    ),
)


def _failed(error: SaslError) -> BindReply:
    code = next((code for kinds, code in _CODES if isinstance(error, kinds)), ResultCode.INVALID_CREDENTIALS)
    return BindReply(Result(code, str(error)), error.token)
