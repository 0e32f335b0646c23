"""SSPI's own SASL functions: a SASL exchange driven as a security context.

A profile is a SASL mechanism that is a package underneath: DIGEST-MD5 is WDigest, GSSAPI is Kerberos, GSS-SPNEGO is
Negotiate. The credential's package says which profile a context has. What the profile adds to the package's tokens
(the messages in which GSSAPI agrees on a layer, sizes, the authorization identity) is done here; the layer that comes
out of it is behind encrypt_message and decrypt_message. The four octets of length before each message (RFC 4422 section
3.7) are the caller's to write and to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from saslsspi.accounts.account import Question
from saslsspi.engine.attributes import NEVER, SecPkgContextLifespan, SecPkgInfo
from saslsspi.engine.context import SecurityContext, State
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Outcome, Side, StepResult
from saslsspi.engine.flags import (
    AscReq,
    AscRet,
    IscReq,
    IscRet,
    SaslAuthzidState,
    SaslOption,
    SecBufferType,
    TargetDataRep,
)
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import SSF_UNLIMITED, Policy
from saslsspi.engine.registry import PACKAGES
from saslsspi.errors import (
    BufferMissing,
    ContextMisuse,
    InternalError,
    InvalidParameter,
    InvalidToken,
    NoImpersonation,
    NotProtected,
    PackageNotFound,
    SaslError,
    SecurityQosFailed,
    UnsupportedFunction,
)
from saslsspi.sasl.mechanism import Mechanism, SaslExchange
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sspi.buffers import SecBufferDesc
from saslsspi.sspi.functions import check_data_rep, deliver, request_of
from saslsspi.sspi.handles import STATUS_OF_EVENT, AcceptContextResult, CredHandle, CtxtHandle, InitializeContextResult

__all__ = [
    "sasl_accept_security_context",
    "sasl_enumerate_profiles",
    "sasl_get_context_option",
    "sasl_get_profile_package",
    "sasl_identify_package",
    "sasl_initialize_security_context",
    "sasl_set_context_option",
]

_ALLOCATE: Final = int(IscReq.ISC_REQ_ALLOCATE_MEMORY)  # the same bit on both sides
_LONGEST_LIST: Final = 4096
_MOST_NAMES: Final = 64
_LEAST_SIZE, _LARGEST_SIZE = 17, 0xFFFFFF
_SIZES: Final = (SaslOption.SASL_OPTION_SEND_SIZE, SaslOption.SASL_OPTION_RECV_SIZE)
_AUTHZ: Final = SaslOption.SASL_OPTION_AUTHZ_STRING
_PROCESSING: Final = SaslOption.SASL_OPTION_AUTHZ_PROCESSING
_SEALS: Final = {Side.INITIATE: int(IscReq.ISC_REQ_CONFIDENTIALITY), Side.ACCEPT: int(AscReq.ASC_REQ_CONFIDENTIALITY)}
_SIGNS: Final = {
    Side.INITIATE: int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT),
}


def sasl_enumerate_profiles() -> list[str]:
    """Return the names of the SASL mechanisms that are a security package underneath (SaslEnumerateProfiles)."""
    return [profile.name for profile, _ in _profiles()]


def sasl_get_profile_package(profile: str) -> SecPkgInfo:
    """Return the package of a profile (SaslGetProfilePackage); raise PackageNotFound for an unknown one."""
    for found, package in _profiles():
        if found.name.upper() == profile.upper():
            return package.info
    usable = ", ".join(sasl_enumerate_profiles())
    raise PackageNotFound(f"no SASL profile {profile!r} is installed; there are: {usable or 'none'}")


def sasl_identify_package(input_buffers: SecBufferDesc) -> SecPkgInfo:
    """Return the package of the first profile that a SASL negotiation names (SaslIdentifyPackage).

    Args:
        input_buffers: A TOKEN with mechanism names, separated by blanks, commas or NUL, as a server lists them or as a
            client begins its first message.

    Raises:
        PackageNotFound: it names no profile that is installed.
    """
    buffer = input_buffers.first(SecBufferType.SECBUFFER_TOKEN)
    if buffer is None:
        raise BufferMissing("there is no SECBUFFER_TOKEN with the names of mechanisms")
    packages = {profile.name.upper().encode(): package for profile, package in _profiles()}
    names = buffer.data[:_LONGEST_LIST].upper().replace(b",", b" ").replace(b"\0", b" ").split()
    for name in islice(names, _MOST_NAMES):
        if name in packages:
            return packages[name].info
    raise PackageNotFound(f"none of the {len(names)} names is a SASL profile that is installed here")


def sasl_initialize_security_context(
    credential: CredHandle | None,
    context: CtxtHandle | None,
    target_name: str | None,
    context_req: IscReq | int,
    target_data_rep: TargetDataRep | int,
    input_buffers: SecBufferDesc | None,
    output_buffers: SecBufferDesc | None,
) -> InitializeContextResult:
    """Take a SASL client one message further (SaslInitializeSecurityContext).

    Arguments and errors are those of initialize_security_context. An output TOKEN that stays None is no message, an
    empty one is an empty message. A later call without a TOKEN says that the carrier reported success.
    """
    handle, step, allocated = _advance(
        Side.INITIATE, credential, context, target_name, int(context_req), int(target_data_rep), input_buffers,
        output_buffers,
    )  # fmt: skip
    flags = _granted(handle) | (IscRet.ISC_RET_ALLOCATED_MEMORY if allocated else 0)
    return InitializeContextResult(handle, IscRet(flags), _expiry(handle), STATUS_OF_EVENT[step.event])


def sasl_accept_security_context(
    credential: CredHandle | None,
    context: CtxtHandle | None,
    input_buffers: SecBufferDesc | None,
    context_req: AscReq | int,
    target_data_rep: TargetDataRep | int,
    output_buffers: SecBufferDesc | None,
) -> AcceptContextResult:
    """Take a SASL server one message further (SaslAcceptSecurityContext).

    Arguments and errors are those of accept_security_context. No input TOKEN on the first call means that the client
    sent no initial response. A token that comes with SEC_E_OK goes with the carrier's success.

    Raises:
        NoImpersonation: the client asks to act as somebody else, and Sasl_AuthZIDProcessed was not set.
    """
    handle, step, allocated = _advance(
        Side.ACCEPT, credential, context, "", int(context_req), int(target_data_rep), input_buffers, output_buffers
    )
    flags = _granted(handle) | (AscRet.ASC_RET_ALLOCATED_MEMORY if allocated else 0)
    return AcceptContextResult(handle, AscRet(flags), _expiry(handle), STATUS_OF_EVENT[step.event])


def sasl_set_context_option(context: CtxtHandle, option: SaslOption | int, value: int | str) -> None:
    """Set an option of a SASL context (SaslSetContextOption), on an empty handle, before the first call.

    Args:
        context: A CtxtHandle() that is then passed to the first call.
        option: SEND_SIZE and RECV_SIZE: the largest protected message to send and to take, in octets, 17 to 16,777,215.
            AUTHZ_STRING: whom a client asks to act as. AUTHZ_PROCESSING: a SaslAuthzidState; a server refuses every
            authorization identity (the default), or lets those in that the account may act as.
        value: A number, and a text for AUTHZ_STRING.

    Raises:
        InvalidParameter: there is no such option, or the value is outside its range.
        ContextMisuse: the exchange has begun.
    """
    kind = _option(option)
    if context._context is not None:
        raise ContextMisuse("options of a SASL context are set before its first call")
    if kind is _AUTHZ:
        if not isinstance(value, str) or "\0" in value:
            raise InvalidParameter("an authorization identity is a text without NUL")
    elif not isinstance(value, int):
        raise InvalidParameter(f"{kind.name} is a number")
    elif kind in _SIZES and not _LEAST_SIZE <= value <= _LARGEST_SIZE:
        raise InvalidParameter(f"{kind.name} {value} must lie between {_LEAST_SIZE} and {_LARGEST_SIZE}")
    elif kind is _PROCESSING and value not in tuple(SaslAuthzidState):
        raise InvalidParameter(f"{kind.name} {value} is neither Sasl_AuthZIDForbidden nor Sasl_AuthZIDProcessed")
    context._sasl_options = {**context._sasl_options, kind: value}


def sasl_get_context_option(context: CtxtHandle, option: SaslOption | int) -> int | str:
    """Return an option of a SASL context (SaslGetContextOption).

    Once the exchange is over, the sizes are those that were agreed on, 0 without a layer, and AUTHZ_STRING is the
    identity in force, "" for the user's own. Before that, they are what was set.

    Raises:
        ContextMisuse: it was not set, and is known only when the exchange is over.
    """
    kind = _option(option)
    if kind is _PROCESSING:
        return SaslAuthzidState(int(context._sasl_options.get(kind, SaslAuthzidState.Sasl_AuthZIDForbidden)))
    if context._sasl is not None and context._sasl.done:
        outcome = context._opened().outcome
        assert outcome is not None, "an exchange that is done has an outcome"
        layered = outcome.ssf > 0
        if kind is _AUTHZ:
            return outcome.authzid
        return (outcome.max_send if kind is SaslOption.SASL_OPTION_SEND_SIZE else outcome.max_receive) if layered else 0
    if kind not in context._sasl_options:
        raise ContextMisuse(f"{kind.name} is known when the SASL exchange is over")
    return context._sasl_options[kind]


def _option(number: int) -> SaslOption:
    try:
        return SaslOption(number)
    except ValueError:
        raise InvalidParameter(f"{int(number)} is no option of a SASL context") from None


def _profiles() -> Iterator[tuple[Mechanism, AnyPackage]]:
    for plugin in MECHANISMS.plugins():
        profile = plugin.value
        if profile is None or profile.package is None or (profile.driver is not None and profile.driver.binds_itself):
            continue
        package = PACKAGES.find(profile.package)
        if package is not None:
            yield profile, package


def _advance(
    side: Side,
    credential: CredHandle | None,
    handle: CtxtHandle | None,
    target: str | None,
    flags: int,
    target_data_rep: int,
    inputs: SecBufferDesc | None,
    outputs: SecBufferDesc | None,
) -> tuple[CtxtHandle, StepResult, bool]:
    check_data_rep(target_data_rep)
    handle = CtxtHandle() if handle is None else handle
    context, exchange = handle._context, handle._sasl
    first = context is None or exchange is None
    if context is None:
        context, exchange, environment = _begin(side, credential, handle, target or "", flags, inputs)
    elif exchange is None or context.side is not side or context.state in (State.FAILED, State.DELETED):
        raise ContextMisuse(f"the handle is deleted, failed, not one of SASL, or not one of this side ({side.value})")
    else:
        environment = context._environment
    step = handle._undelivered
    if step is None:
        if exchange.done:
            raise ContextMisuse("the SASL exchange is over: no message is due")
        step = _step(context, exchange, environment, inputs, first=first)
        if exchange.done:
            _finish(context, exchange, handle)
    handle._context, handle._sasl = context, exchange
    output = outputs.first(SecBufferType.SECBUFFER_TOKEN) if outputs is not None else None
    if step.token is None:
        return handle, step, False
    if flags & _ALLOCATE and output is not None:
        output.release()
    return handle, step, deliver(handle, step, output)


def _begin(
    side: Side, credential: CredHandle | None, handle: CtxtHandle, target: str, flags: int, inputs: SecBufferDesc | None
) -> tuple[SecurityContext, SaslExchange, Environment]:
    """Begin the exchange of the profile that the credential's package has."""
    if credential is None:
        raise ContextMisuse("the first call needs a credential handle")
    package, _ = credential._held()
    profile = next((profile for profile, other in _profiles() if other is package), None)
    if profile is None:
        raise UnsupportedFunction(f"{package.info.name} has no SASL profile")
    package.check_flags(side, flags)
    environment = credential._environment
    policy = environment.policy
    size = handle._sasl_options.get(SaslOption.SASL_OPTION_RECV_SIZE)
    if size is not None:
        policy = replace(policy, max_buffer=int(size), max_unannounced=int(size))
        environment = replace(environment, policy=policy)
    request = request_of(side, target, flags, inputs, credential)
    if side is Side.INITIATE:
        request = request._replace(authzid=str(handle._sasl_options.get(_AUTHZ, "")))
    context = credential._open_context(side, environment)
    context.recorded(profile.name, deferred=True)
    return context, profile.converse(context, request, _policy(side, flags, policy)), environment


def _policy(side: Side, flags: int, policy: Policy) -> Policy:
    """Return a policy for the layer that says what the flags say: wishes of an initiator, demands of an acceptor."""
    asked = SSF_UNLIMITED if flags & _SEALS[side] else 1 if flags & _SIGNS[side] else 0
    least = max(policy.min_ssf, min(asked, 2)) if side is Side.ACCEPT else policy.min_ssf
    greatest = min(policy.max_ssf, asked)
    if least > greatest:
        raise SecurityQosFailed(f"flags and policy leave no layer: SSF {least} at least and {greatest} at most")
    return replace(policy, min_ssf=least, max_ssf=greatest)


def _step(
    context: SecurityContext,
    exchange: SaslExchange,
    environment: Environment,
    inputs: SecBufferDesc | None,
    *,
    first: bool,
) -> StepResult:
    """Take the peer's message; an error ends the context."""
    token = inputs.first(SecBufferType.SECBUFFER_TOKEN) if inputs is not None else None
    try:
        if token is None and not first:
            exchange.succeed()
            if not exchange.done:
                raise InvalidToken("the peer owes a message: success is not due yet")
            reply = None
        else:
            answer = exchange.step(None if token is None else token.data)
            while isinstance(answer, Question):
                if context.attempt is not None:
                    context.attempt.asked(answer)
                answer = exchange.resume(environment.ask(answer))
            reply = answer
            failure = getattr(exchange, "failure", None)
            if failure is not None and context.attempt is not None:
                context.attempt.refused(failure)
    except Exception as error:
        _end(context, error)
        if not isinstance(error, SaslError):
            raise InternalError(f"the SASL exchange failed with {type(error).__name__}") from error
        raise
    return StepResult(Event.COMPLETE if exchange.done else Event.CONTINUE, reply)


def _finish(context: SecurityContext, exchange: SaslExchange, handle: CtxtHandle) -> None:
    """Put the outcome of the exchange in the place of the context's own; nothing is known of it before."""
    outcome, options = exchange.outcome, handle._sasl_options
    assert outcome is not None, "an exchange that is done has an outcome"
    if context.side is Side.ACCEPT and outcome.authzid and not options.get(_PROCESSING):
        refusal = NoImpersonation(
            "the client asks to act as somebody, and authorization identities are not processed here"
        )
        _end(context, refusal, outcome)
        raise refusal
    try:
        context.outcome = _capped(outcome, context.side, options.get(_SIZES[0]))
    except SaslError as error:
        _end(context, error, outcome)
        raise
    if context.attempt is not None:
        context.attempt.accepted(outcome)


def _capped(outcome: Outcome, side: Side, size: int | str | None) -> Outcome:
    """Promise no more than the layer holds, and send no larger message than SEND_SIZE says."""
    hidden = 0 if outcome.ssf > 1 else _SEALS[side]
    hidden |= 0 if outcome.ssf else _SIGNS[side]
    outcome = outcome._replace(flags=outcome.flags & ~hidden)
    protection = outcome.protection
    if size is None or protection is None:
        return outcome
    largest = int(size) - protection.overhead(int(size))
    if largest < 1:
        raise NotProtected(f"a message of {int(size)} octets leaves no room for its text")
    protection.max_payload = min(protection.max_payload, largest)
    return outcome._replace(max_send=min(outcome.max_send or int(size), int(size)))


def _end(context: SecurityContext, error: Exception, outcome: Outcome | None = None) -> None:
    if context.attempt is not None:
        context.attempt.refused(error, outcome)
    if context.state not in (State.FAILED, State.DELETED):
        context.fail()


def _granted(handle: CtxtHandle) -> int:
    return handle._opened().flags if handle._sasl is not None and handle._sasl.done else 0


def _expiry(handle: CtxtHandle) -> int:
    if handle._sasl is None or not handle._sasl.done:
        return NEVER
    return handle._opened().query(SecPkgContextLifespan).expiry
