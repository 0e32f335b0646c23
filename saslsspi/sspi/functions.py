"""The SSPI functions over credentials and contexts, by their names and in the argument order of sspilib.raw."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from saslsspi.accounts.account import Account
from saslsspi.accounts.authority import SingleAccount
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.attributes import (
    NEVER,
    SecPkgContext,
    SecPkgContextLifespan,
    SecPkgCred,
    SecPkgCredNames,
    SecPkgInfo,
)
from saslsspi.engine.context import SecurityContext, State
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Event, Request, Side, StepResult
from saslsspi.engine.flags import (
    AscReq,
    AscRet,
    CredentialUse,
    IscReq,
    IscRet,
    SecBufferType,
    TargetDataRep,
)
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity
from saslsspi.engine.registry import PACKAGES, find_package
from saslsspi.engine.security import seals_signed
from saslsspi.errors import (
    BufferMissing,
    BufferTooSmall,
    ContextMisuse,
    InvalidParameter,
    NoBuffers,
    NoCredentials,
    UnsupportedFunction,
)
from saslsspi.sspi import stream_buffers
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc
from saslsspi.sspi.handles import (
    STATUS_OF_EVENT,
    AcceptContextResult,
    AcquireCredentialsResult,
    CredHandle,
    CtxtHandle,
    InitializeContextResult,
)

__all__ = [
    "accept_security_context",
    "acquire_credentials_handle",
    "apply_control_token",
    "complete_auth_token",
    "delete_security_context",
    "enumerate_security_packages",
    "free_context_buffer",
    "free_credentials_handle",
    "initialize_security_context",
    "query_context_attributes",
    "query_credentials_attributes",
    "query_security_package_info",
    "set_context_attributes",
    "set_credentials_attributes",
]

ContextAttribute = TypeVar("ContextAttribute", bound=SecPkgContext)
CredentialAttribute = TypeVar("CredentialAttribute", bound=SecPkgCred)

_ALLOCATE = int(IscReq.ISC_REQ_ALLOCATE_MEMORY)  # the same bit on both sides
_FRAGMENTS = {Side.INITIATE: int(IscReq.ISC_REQ_FRAGMENT_TO_FIT), Side.ACCEPT: int(AscReq.ASC_REQ_FRAGMENT_TO_FIT)}
_LEAST_FRAGMENT = 5
_SIDES = {Side.ACCEPT: CredentialUse.SECPKG_CRED_INBOUND, Side.INITIATE: CredentialUse.SECPKG_CRED_OUTBOUND}


def enumerate_security_packages() -> list[SecPkgInfo]:
    """Return what each installed security package says of itself."""
    return [info for plugin in PACKAGES.plugins() if plugin.value is not None for info in plugin.value.infos()]


def query_security_package_info(package: str) -> SecPkgInfo:
    """Return what one package says of itself; raise PackageNotFound without it."""
    found = find_package(package)
    return next((info for info in found.infos() if info.name.upper() == package.upper()), found.info)


def acquire_credentials_handle(
    principal: str | None,
    package: str,
    credential_use: CredentialUse | int,
    *,
    auth_data: AuthIdentity | None = None,
    environment: Environment | None = None,
) -> AcquireCredentialsResult:
    """Acquire a credential of a package (AcquireCredentialsHandle).

    Args:
        principal: Outbound: the user, where auth_data does not name one. Inbound: the service principal that
            clients must mean, such as "ldap/host.example"; several are separated by blanks. None checks nothing.
        package: Name of the package, compared without regard to case.
        credential_use: INBOUND to accept contexts, OUTBOUND to initiate them, or BOTH.
        auth_data: The identity. On an inbound handle without an authority, the one account that may log on.
        environment: Clock, randomness, authority, nonce store and policy; None is the system's own and the
            default policy.

    Raises:
        PackageNotFound: no such package.
        NoCredentials: nothing to authenticate with, or nobody to ask about clients.
        UnknownCredentials: the package cannot use this kind of auth_data.
    """
    found = find_package(package)
    sides = frozenset(side for side, use in _SIDES.items() if int(credential_use) & use)
    if not sides:
        kind = NoCredentials if found.takes_records else InvalidParameter
        raise kind(f"credential_use {int(credential_use):#x} names neither INBOUND nor OUTBOUND")
    surroundings = environment or DEFAULT_ENVIRONMENT
    if Side.ACCEPT in sides and surroundings.authority is None and isinstance(auth_data, WinNTAuthIdentity):
        account = Account(username=auth_data.username or "", domain=auth_data.domain or "", password=auth_data.password)
        surroundings = replace(surroundings, authority=SingleAccount(account))
    handle = CredHandle()
    handle._assign(found, found.acquire(principal, auth_data, sides, surroundings), sides, surroundings)
    handle._principal = principal
    return AcquireCredentialsResult(handle, NEVER)


def free_credentials_handle(credential: CredHandle) -> None:
    """Give a credential back; contexts that were made with it live on (FreeCredentialsHandle)."""
    credential._release()


def initialize_security_context(
    credential: CredHandle | None,
    context: CtxtHandle | None,
    target_name: str | None,
    context_req: IscReq | int,
    target_data_rep: TargetDataRep | int,
    input_buffers: SecBufferDesc | None,
    output_buffers: SecBufferDesc | None,
) -> InitializeContextResult:
    """Take the client's side of an exchange one step further (InitializeSecurityContext).

    Args:
        credential: Needed on the first call, ignored afterwards.
        context: None or an empty handle on the first call, the returned one afterwards.
        target_name: The principal that is meant, such as "ldap/host.example".
        context_req: What to ask for. Outcomes may be less: look at the attributes of the last call.
        target_data_rep: NATIVE or NETWORK; no package here looks at it.
        input_buffers: The peer's TOKEN and what else the package takes; None when there is none.
        output_buffers: Gets the TOKEN for the peer: in the caller's memory, which the token must fit, or in memory that
            is found for it where the buffer has none, or context_req has ALLOCATE_MEMORY.

    Raises:
        ContextMisuse: a handle is empty, deleted, or of the other side.
        BufferTooSmall: the TOKEN buffer is too small; call again with a larger one, nothing is lost.
        SaslError: the exchange failed, with the status of its class.
    """
    handle, step, allocated = _advance(
        Side.INITIATE, credential, context, target_name, int(context_req), target_data_rep, input_buffers,
        output_buffers,
    )  # fmt: skip
    granted = _granted(handle) | (IscRet.ISC_RET_ALLOCATED_MEMORY if allocated else 0)
    return InitializeContextResult(handle, IscRet(granted), _expiry(handle), STATUS_OF_EVENT[step.event])


def accept_security_context(
    credential: CredHandle | None,
    context: CtxtHandle | None,
    input_buffers: SecBufferDesc | None,
    context_req: AscReq | int,
    target_data_rep: TargetDataRep | int,
    output_buffers: SecBufferDesc | None,
) -> AcceptContextResult:
    """Take the server's side of an exchange one step further (AcceptSecurityContext).

    Arguments and errors are those of initialize_security_context, in SSPI's own order.
    """
    handle, step, allocated = _advance(
        Side.ACCEPT, credential, context, "", int(context_req), target_data_rep, input_buffers, output_buffers
    )
    granted = _granted(handle) | (AscRet.ASC_RET_ALLOCATED_MEMORY if allocated else 0)
    return AcceptContextResult(handle, AscRet(granted), _expiry(handle), STATUS_OF_EVENT[step.event])


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
    context = handle._context
    first = context is None
    if context is None:
        if credential is None:
            raise ContextMisuse("the first call needs a credential handle")
        context = credential._open_context(side)
    elif context.side is not side or context.state is State.DELETED or handle._sasl is not None:
        raise ContextMisuse(f"the handle is deleted, one of SASL, or not one of this side ({side.value})")
    context.package.check_flags(side, flags)
    output = outputs.first(SecBufferType.SECBUFFER_TOKEN) if outputs is not None else None
    step = handle._undelivered
    again = step is not None
    if step is None:
        request = request_of(side, target or "", flags, inputs, credential if first else None)
        if context.package.takes_records:
            if not first and credential is not None and credential._credential is not None:
                context.renew(credential._credential)
            allocate = bool(flags & _ALLOCATE)
            step = stream_buffers.advance(context, request, inputs, outputs, first=first, allocate=allocate)
        else:
            step = context.advance(_token(inputs), request)
    handle._context = context
    if step.extra:
        handle._undelivered = step
        stream_buffers.return_extra(inputs, step.extra, again=again)
    if flags & _ALLOCATE and output is not None:
        output.release()
    if flags & _FRAGMENTS[side] and context.package.fragments:
        step = _fragment(handle, step, output)
        if step.event is Event.CONTINUE and handle._undelivered is not None:
            assert output is not None
            output.fill(step.token or b"")
            return handle, step, False
    return handle, step, deliver(handle, step, output)


def check_data_rep(target_data_rep: int) -> None:
    """Raise InvalidParameter for another data representation than the two that there are."""
    if int(target_data_rep) not in (TargetDataRep.SECURITY_NETWORK_DREP, TargetDataRep.SECURITY_NATIVE_DREP):
        raise InvalidParameter(f"target_data_rep {int(target_data_rep):#x} is neither NETWORK nor NATIVE")


def _token(inputs: SecBufferDesc | None) -> bytes:
    token = inputs.first(SecBufferType.SECBUFFER_TOKEN) if inputs is not None else None
    return b"" if token is None else token.data


def request_of(
    side: Side, target: str, flags: int, inputs: SecBufferDesc | None, credential: CredHandle | None
) -> Request:
    """Return what the arguments of a call ask of a context; of the first call, with its credential."""
    bindings = None
    parameters: tuple[bytes, ...] = ()
    protocols = target_host = b""
    if inputs is not None:
        packed = inputs.first(SecBufferType.SECBUFFER_CHANNEL_BINDINGS)
        bindings = None if packed is None or not packed.count else ChannelBindings.from_bytes(packed.data)
        parameters = tuple(buffer.data for buffer in inputs.all(SecBufferType.SECBUFFER_PKG_PARAMS))
        host = inputs.first(SecBufferType.SECBUFFER_TARGET_HOST)
        target_host = b"" if host is None else host.data
        offered = inputs.first(SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)
        protocols = b"" if offered is None else offered.data
    # An initiator asks and looks afterwards at what it got; an acceptor's flags are what it requires.
    required = flags if side is Side.ACCEPT else 0
    return Request(
        target=target,
        required=required,
        requested=flags,
        bindings=bindings,
        parameters=parameters,
        target_host=target_host,
        protocols=protocols,
        seals_signed=credential is not None and seals_signed(credential._principal if side is Side.ACCEPT else target),
    )


def _fragment(handle: CtxtHandle, step: StepResult, output: SecBuffer | None) -> StepResult:
    """Cut a token that is larger than its buffer (MS-SPNG section 3.1.5.6); the rest is kept for the next calls."""
    token = step.token or b""
    handle._undelivered = None
    if output is None or output.allocates or len(token) <= output.count:
        return step
    # "This requires that MaxOutputTokenSize be at least 5 bytes": the first part holds the header of the token.
    if output.count < _LEAST_FRAGMENT:
        handle._undelivered = step
        raise BufferTooSmall(
            f"a fragment of {output.count} octets is too small, at least {_LEAST_FRAGMENT} are needed",
            requirement="MSSPNG-3.1.1-01",
        )
    handle._undelivered = step._replace(token=token[output.count :])
    return StepResult(Event.CONTINUE, token[: output.count])


def deliver(handle: CtxtHandle, step: StepResult, output: SecBuffer | None) -> bool:
    """Put the token where the caller wants it; keep it for the next call when it does not fit."""
    handle._undelivered = step
    if output is None:
        if step.token:
            missing = handle._opened(unfinished=True).package.missing_output
            raise missing("output_buffers has no SECBUFFER_TOKEN for the token; call again with one")
        handle._undelivered = None
        return False
    allocated = output.allocates
    output.fill(step.token or b"")
    handle._undelivered = None
    return allocated


def _granted(handle: CtxtHandle) -> int:
    # "Do not check for security-related attributes until the final function call returns successfully."
    return handle._opened(unfinished=True).flags


def _expiry(handle: CtxtHandle) -> int:
    context = handle._opened()
    return NEVER if context.outcome is None else context.query(SecPkgContextLifespan).expiry


def complete_auth_token(context: CtxtHandle, token: SecBufferDesc) -> None:
    """Finish a token that the transport has changed, in place (CompleteAuthToken).

    Raises:
        ContextMisuse: the last step did not ask for it with SEC_I_COMPLETE_NEEDED.
    """
    buffer = token.first(SecBufferType.SECBUFFER_TOKEN)
    if buffer is None:
        raise BufferMissing("there is no SECBUFFER_TOKEN to complete")
    buffer.fill(_opened(context).complete(buffer.data))


def apply_control_token(context: CtxtHandle | None, input_buffers: SecBufferDesc | None) -> None:
    """Tell a context something (ApplyControlToken): SCHANNEL_SHUTDOWN closes this side's direction of a stream.

    The next call of initialize_security_context or accept_security_context returns the token that tells the peer, and
    looks at no input. Before the handshake is done SCHANNEL_ALERT gives the peer a reason.

    Raises:
        ContextMisuse: there is no context.
        NoBuffers: there are no buffers.
        BufferMissing: they are not one SECBUFFER_TOKEN.
        UnsupportedFunction: the package takes no control token, or not this one.
    """
    opened = _opened(CtxtHandle() if context is None else context)
    if input_buffers is None:
        raise NoBuffers("there are no buffers with the control token")
    if len(input_buffers) != 1 or input_buffers[0].buffer_type is not SecBufferType.SECBUFFER_TOKEN:
        raise BufferMissing("the input is one SECBUFFER_TOKEN, with the control token")
    opened.control(input_buffers[0].data)


def delete_security_context(context: CtxtHandle) -> None:
    """End a context, whatever its state; every later use of the handle is SEC_E_INVALID_HANDLE."""
    context._opened(unfinished=True).delete()


def free_context_buffer(buffer: SecBuffer) -> None:
    """Give back memory that a function allocated; a second call does nothing (FreeContextBuffer)."""
    buffer.release()


def query_context_attributes(context: CtxtHandle, attribute: type[ContextAttribute]) -> ContextAttribute:
    """Return an attribute of a context, asked for by its class (QueryContextAttributes).

    Raises:
        ContextMisuse: the context is not there, or the attribute is known only after the final success.
        UnsupportedFunction: the package does not have it.
    """
    return _opened(context).query(attribute)


def set_context_attributes(context: CtxtHandle, attribute: SecPkgContext) -> None:
    """Set an attribute of a context (SetContextAttributes); no package here has one that can be set."""
    package = _opened(context).package.info.name
    raise UnsupportedFunction(f"{package} lets no {type(attribute).__name__} be set")


def query_credentials_attributes(credential: CredHandle, attribute: type[CredentialAttribute]) -> CredentialAttribute:
    """Return an attribute of a credential, asked for by its class (QueryCredentialsAttributes)."""
    package, held = credential._held()
    if attribute is SecPkgCredNames:
        if not held.username:
            raise NoCredentials("the credential names no user")
        return attribute(held.username)  # type: ignore[call-arg]  # the class was just compared
    raise UnsupportedFunction(f"{package.info.name} credentials have no {attribute.__name__}")


def set_credentials_attributes(context: CredHandle, attribute: SecPkgCred) -> None:
    """Set an attribute of a credential (SetCredentialsAttributes).

    Raises:
        UnsupportedFunction: the package has no such attribute, or lets nothing be set; Kerberos has
            SecPkgCredKdcProxySettings.
    """
    package, credential = context._held()
    if not credential.accept_setting(attribute):
        raise UnsupportedFunction(f"{package.info.name} credentials let no {type(attribute).__name__} be set")


def _opened(handle: CtxtHandle) -> SecurityContext:
    return handle._opened()
