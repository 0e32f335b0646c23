"""The steps of a Kerberos exchange: AP-REQ, AP-REP, and in DCE style a third (RFC 4121 section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.attributes import (
    FILETIME_EPOCH,
    SecPkgContext,
    SecPkgContextLifespan,
    SecPkgContextNames,
    SecPkgContextSessionKey,
    SecPkgContextUnpromised,
)
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Exchange, Outcome, Qop, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.policy import ChannelBindingPolicy
from saslsspi.engine.protection import Protection
from saslsspi.errors import (
    BadBindings,
    InvalidToken,
    LogonDenied,
    QopNotSupported,
    WrongPrincipal,
)
from saslsspi.packages.kerberos.credential import KerberosCredential
from saslsspi.packages.kerberos.enctypes import SessionKey, session_key
from saslsspi.packages.kerberos.failures import translated
from saslsspi.packages.kerberos.flags import (
    GSS_ANONYMOUS,
    GSS_CHANNEL_BOUND,
    GSS_CONFIDENTIALITY,
    GSS_DCE,
    GSS_DELEGATE,
    GSS_INTEGRITY,
    from_gss,
    to_gss,
)
from saslsspi.packages.kerberos.gss import bounded, krb5, library
from saslsspi.packages.kerberos.names import display, split_principal, target_name
from saslsspi.packages.kerberos.protection import LARGEST, KerberosLayer, KerberosProtection

__all__ = ["KerberosClient", "KerberosDelegatedCredential", "KerberosServer"]

Attribute = TypeVar("Attribute", bound=SecPkgContext)

# RFC 4121 section 4.1: a token begins with the frame of RFC 2743 section 3.1 and the mechanism's object identifier.
_KRB5_OID: Final = bytes.fromhex("06092a864886f712010202")
_FRAME: Final = 0x60
_BARE_AP: Final = (0x6E, 0x6F)  # AP-REQ and AP-REP without frame, as DCE style has them
_SECONDS: Final = 10_000_000  # FILETIME counts tenths of a microsecond


@dataclass(frozen=True, slots=True)
class KerberosDelegatedCredential(SecPkgContext):
    """The credential that a client has delegated; asked for like any attribute, on the accepting side.

    Attributes:
        principal: Whose it is.
        credential: Of the library: a `gssapi.raw.Creds`.
    """

    principal: str = ""
    credential: Any = field(default=None, repr=False)

    def store(self, cache: str) -> None:
        """Write the tickets into a cache, such as "FILE:/run/user/1000/tickets", in place of what it holds."""
        gss = library()
        with translated("storing a delegated credential"):
            gss.store_cred_into(
                {b"ccache": cache.encode()}, self.credential, usage="initiate", mech=krb5(), overwrite=True
            )


class _KerberosExchange(Exchange):
    """What both sides have in common."""

    __slots__ = ("_context", "_credential", "_environment", "_flags", "_lifetime", "_peer", "_session", "outcome")

    def __init__(self, credential: KerberosCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._environment = environment
        self._context: Any = None
        self._session: SessionKey | None = None
        self._flags = 0
        self._lifetime: int | None = None
        self._peer = ""

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Protection:
        """See Exchange.layer."""
        assert self._session is not None, "the engine asks only after completion"
        return KerberosLayer(self._context, self._session, encrypt=encrypt, max_send=max_send, max_receive=max_receive)

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """Names with their realm, the life span of the ticket, and the session key whatever the flags."""
        value: SecPkgContext | None = None
        if self._session is None:
            return None
        if kind is SecPkgContextNames:
            value = SecPkgContextNames(self._peer)
        elif kind is SecPkgContextLifespan and self._lifetime is not None:
            end = self._environment.clock() + self._lifetime
            value = SecPkgContextLifespan(0, int(end * _SECONDS) + FILETIME_EPOCH)
        elif kind is SecPkgContextSessionKey and self._session.key is not None:
            value = SecPkgContextSessionKey(self._session.key)
        elif kind is SecPkgContextUnpromised:
            value = SecPkgContextUnpromised(
                KerberosProtection(
                    self._context,
                    self._session,
                    encrypts=True,
                    initiates=isinstance(self, KerberosClient),
                    dce=bool(self._flags & GSS_DCE),
                )
            )
        return value  # type: ignore[return-value]  # each is of the kind that was compared

    def _establish(self, side: Side, lifetime: int | None, granted: int, **more: Any) -> None:
        """Set the outcome: what is granted is what the library says, and not what was asked for."""
        self._session = session_key(self._context)
        self._lifetime = lifetime
        encrypts = bool(self._flags & GSS_CONFIDENTIALITY)
        signs = encrypts or bool(self._flags & GSS_INTEGRITY)
        if not signs:
            self.outcome = Outcome(flags=granted, **more)
            return
        protection = KerberosProtection(
            self._context,
            self._session,
            encrypts=encrypts,
            initiates=side is Side.INITIATE,
            dce=bool(self._flags & GSS_DCE),
        )
        self.outcome = Outcome(
            flags=granted,
            protection=protection,
            qop=Qop.AUTH_CONF if encrypts else Qop.AUTH_INT,
            cipher=protection.encryption_algorithm,
            ssf=self._session.enctype.ssf if encrypts else 1,
            max_send=LARGEST,
            max_receive=LARGEST,
            **more,
        )


class KerberosClient(_KerberosExchange):
    """The client's side. Its first step may ask a KDC for the service's ticket, within Policy.kdc_timeout."""

    __slots__ = ("_asked", "_bindings", "_initiating", "_target")

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take the server's token, and none at first; see Exchange.step."""
        if self._context is not None:
            return self._advance(token or None, request)
        if token:
            raise InvalidToken("in Kerberos the client speaks first")
        self._target = target_name(request.target)
        self._asked = to_gss(Side.INITIATE, request.requested)
        self._bindings = _bindings(request.bindings, self._environment)
        seconds = self._environment.policy.kdc_timeout
        return bounded(lambda: self._begin(request), seconds, f"a ticket for {request.target}")

    def _begin(self, request: Request) -> StepResult:
        delegates = bool(self._asked & GSS_DELEGATE)
        self._initiating = self._credential.for_delegation() if delegates else self._credential.initiating
        return self._advance(None, request)

    def _advance(self, token: bytes | None, request: Request) -> StepResult:
        gss = library()
        with translated(f"authenticating to {request.target}"):
            result = gss.init_sec_context(
                self._target,
                self._initiating,
                context=self._context,
                mech=krb5(),
                flags=self._asked,
                channel_bindings=self._bindings,
                input_token=token,
            )
        self._context = result.context
        if result.more_steps:
            return StepResult(Event.CONTINUE, result.token)
        self._flags = int(result.flags)
        granted = from_gss(Side.INITIATE, self._flags)
        _check_required(Side.INITIATE, request.required, granted)
        with translated("naming the user"):
            names = gss.inquire_context(self._context, initiator_name=True, target_name=True)
            self._peer = display(names.initiator_name)
            target = display(names.target_name)
        name, realm = split_principal(self._peer)
        self._establish(
            Side.INITIATE,
            result.lifetime,
            granted,
            username=name,
            realm=realm,
            authzid=request.authzid,
            target=target,
            channel_binding=_binding_name(request.bindings) if self._bindings is not None else "",
        )
        return StepResult(Event.COMPLETE, result.token or None)


class KerberosServer(_KerberosExchange):
    """The server's side. Where there is an authority, it has the last word on who may log on."""

    __slots__ = ("_delegated", "_finish")

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the client's token; see Exchange.step."""
        if self._context is None:
            _check_token(token)
        gss = library()
        policy = self._environment.policy
        bindings = _bindings(request.bindings, self._environment)
        with translated("accepting a client"):
            result = gss.accept_sec_context(
                token, self._credential.accepting, context=self._context, channel_bindings=bindings
            )
        self._context = result.context
        if result.more_steps:
            return StepResult(Event.CONTINUE, result.token)
        if result.mech != krb5():
            raise InvalidToken("the context is not one of Kerberos 5", requirement="RFC4752-3.2-04")
        self._flags = int(result.flags)
        bound = bool(self._flags & GSS_CHANNEL_BOUND)
        if policy.channel_binding is ChannelBindingPolicy.REQUIRE and not bound:
            raise BadBindings("the client is not bound to this channel, and the policy requires it")
        if self._flags & GSS_ANONYMOUS:
            raise LogonDenied("the client is anonymous")
        wanted = bool(request.requested & AscReq.ASC_REQ_DELEGATE)
        self._delegated = result.delegated_creds if wanted else None
        granted = from_gss(Side.ACCEPT, self._flags, delegated=self._delegated is not None)
        _check_required(Side.ACCEPT, request.required, granted)
        with translated("naming the client"):
            names = gss.inquire_context(self._context, initiator_name=True, target_name=True)
            self._peer = display(names.initiator_name)
            target, own_realm = split_principal(display(names.target_name))
        self._check_target(target)
        name, realm = split_principal(self._peer)
        # A name alone means a user of our own realm. Users of a realm that it trusts keep theirs: their KDC may have
        # an alice of its own.
        username = name if realm == own_realm else self._peer
        channel = _binding_name(request.bindings) if bound else ""

        def finish(account: Account | None) -> StepResult:
            self._establish(
                Side.ACCEPT, result.lifetime, granted,
                username=username, realm=realm, target=target, account=account, channel_binding=channel,
            )  # fmt: skip
            return StepResult(Event.COMPLETE, result.token or None)

        if self._environment.authority is None:
            return finish(None)
        self._finish: Callable[[Account | None], StepResult] = finish
        return Question(username, realm, (Secret.EXISTENCE,))

    def resume(self, account: Account | None) -> StepResult:
        """Go on with what the authority knows of the client; who is unknown to it may not log on."""
        if account is None:
            raise LogonDenied("the ticket is good, and the authority does not know the user")
        return self._finish(account)

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """As on the client's side, and what the client has delegated."""
        if kind is KerberosDelegatedCredential and self._session is not None and self._delegated is not None:
            return KerberosDelegatedCredential(self._peer, self._delegated)  # type: ignore[return-value]
        return super().attribute(kind)

    def _check_target(self, target: str) -> None:
        # RFC 4752 section 3.2: with GSS_C_NO_NAME "the server SHOULD also check using the GSS_Inquire_context that
        # the target_name used by the client matches".
        right = self._credential.principals
        if right and target.lower() not in right:
            raise WrongPrincipal(
                f"the client's ticket is for {target}, and this server is {', '.join(sorted(right))}",
                requirement="RFC4752-3.2-05",
            )


def _check_token(token: bytes) -> None:
    if not token:
        raise InvalidToken("in Kerberos the client speaks first, and it sent nothing")
    if token[0] in _BARE_AP:
        return
    at = 2 + (token[1] & 0x7F if len(token) > 1 and token[1] & 0x80 else 0)
    if token[0] != _FRAME or token[at : at + len(_KRB5_OID)] != _KRB5_OID:
        # SPNEGO or NTLM: another package's, even where the library would take it.
        raise InvalidToken("the client's token is not one of Kerberos 5", requirement="RFC4752-3.2-04")


def _check_required(side: Side, required: int, granted: int) -> None:
    """Raise where protection of messages is required and the context has none."""
    requests = IscReq if side is Side.INITIATE else AscReq
    prefix = "ISC_REQ_" if side is Side.INITIATE else "ASC_REQ_"
    for name in ("CONFIDENTIALITY", "INTEGRITY"):
        if required & requests[prefix + name] and not granted & requests[prefix + name]:
            raise QopNotSupported(f"{name.lower()} is required here, and the peer's context has none")


def _bindings(bindings: ChannelBindings | None, environment: Environment) -> Any:
    policy = environment.policy.channel_binding
    if policy is ChannelBindingPolicy.REQUIRE and bindings is None:
        raise BadBindings("channel bindings are required, and the channel around the exchange has none")
    if bindings is None or policy is ChannelBindingPolicy.NONE:
        return None
    return library().ChannelBindings(
        initiator_address_type=bindings.initiator_addr_type,
        initiator_address=bindings.initiator_addr or None,
        acceptor_address_type=bindings.acceptor_addr_type,
        acceptor_address=bindings.acceptor_addr or None,
        application_data=bindings.application_data or None,
    )


def _binding_name(bindings: ChannelBindings | None) -> str:
    return "" if bindings is None else bindings.type_name or "untyped"
