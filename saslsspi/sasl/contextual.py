"""The one driver for every mechanism that is a security context underneath.

It turns a policy into context flags, SASL's messages into the context's tokens, and the context's outcome into the
mechanism's. Credentials are acquired once; each call of the returned function begins another exchange with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.credentials import Password
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Credential, Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.identity import WinNTAuthIdentity
from saslsspi.engine.package import Package
from saslsspi.engine.policy import Policy
from saslsspi.engine.registry import find_package
from saslsspi.errors import UnknownCredentials
from saslsspi.sasl import credssp_layer, gssapi_layer
from saslsspi.sasl.mechanism import (
    ClientExchange,
    ClientParameters,
    First,
    LayerChoice,
    Mechanism,
    ServerExchange,
    ServerParameters,
)
from saslsspi.sspi.sasl_profiles import SaslExchange

__all__ = ["converse", "prepare_client", "prepare_server"]

_CLIENT_SIGNS: Final = int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT)
_SERVER_SIGNS: Final = int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT)
_SEALS: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)
_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)
_NO_LAYER: Final = int(IscReq.ISC_REQ_NO_INTEGRITY)


def prepare_client(mechanism: Mechanism, parameters: ClientParameters) -> Callable[[], ClientExchange]:
    """Acquire the client's credential; the returned function begins an exchange with it."""
    assert mechanism.package is not None
    package = find_package(mechanism.package)
    environment = parameters.environment
    credentials = parameters.credentials
    identity = None
    if credentials is not None:
        if not isinstance(credentials, Password):
            raise UnknownCredentials(f"{mechanism.name} does not take {type(credentials).__name__} credentials")
        identity = WinNTAuthIdentity(credentials.username, credentials.realm, credentials.password)
    credential = package.acquire(None, identity, frozenset({Side.INITIATE}), environment)
    if package.takes_records:
        required, requested = 0, credssp_layer.context_flags(Side.INITIATE, environment.policy)
    else:
        required, requested = _flags(environment.policy, _CLIENT_SIGNS)
    target = f"{parameters.service}/{parameters.host}"
    if mechanism.layer is LayerChoice.AFTER_CONTEXT:
        return _negotiating_client(package, credential, target, parameters)
    if mechanism.layer is LayerChoice.IN_CHANNEL:
        return _channel_client(package, credential, target, parameters)
    # RFC 2831 section 2.1.2: serv-name is left out where it equals host.
    if parameters.server_name and parameters.server_name.lower() != parameters.host.lower():
        target += f"/{parameters.server_name}"
    limits = None
    if mechanism.layer is LayerChoice.WITH_CONTEXT:
        limits = environment.policy
        requested |= _NO_LAYER if environment.policy.max_ssf == 0 else 0
    request = Request(target, required, requested, parameters.bindings, (), parameters.authzid)
    return lambda: _ContextualClient(SecurityContext(package, credential, Side.INITIATE, environment), request, limits)


def prepare_server(mechanism: Mechanism, parameters: ServerParameters) -> Callable[[], ServerExchange]:
    """Acquire the server's credential; the returned function begins an exchange with it."""
    assert mechanism.package is not None
    package = find_package(mechanism.package)
    environment = parameters.environment
    principals = " ".join(f"{parameters.service}/{host}" for host in parameters.hosts)
    identity = WinNTAuthIdentity(domain=" ".join(parameters.realms))
    credential = package.acquire(principals, identity, frozenset({Side.ACCEPT}), environment)
    if mechanism.layer is LayerChoice.AFTER_CONTEXT:
        return _negotiating_server(package, credential, parameters)
    if mechanism.layer is LayerChoice.IN_CHANNEL:
        return _channel_server(package, credential, parameters)
    if package.takes_records:
        required, requested = 0, credssp_layer.context_flags(Side.ACCEPT, environment.policy)
    else:
        required, requested = _flags(environment.policy, _SERVER_SIGNS)
    request = Request("", required, requested, parameters.bindings)
    limits = environment.policy if mechanism.layer is LayerChoice.WITH_CONTEXT else None
    client_first = mechanism.first is First.CLIENT
    return lambda: _ContextualServer(
        SecurityContext(package, credential, Side.ACCEPT, environment), request, limits, client_first
    )


def _negotiating_client(
    package: Package, credential: Credential, target: str, parameters: ClientParameters
) -> Callable[[], ClientExchange]:
    environment = parameters.environment
    requested = gssapi_layer.context_flags(Side.INITIATE, environment.policy)
    request = Request(target, 0, requested, parameters.bindings, (), parameters.authzid)
    return lambda: gssapi_layer.LayerNegotiatingClient(
        SecurityContext(package, credential, Side.INITIATE, environment), request, environment.policy
    )


def _negotiating_server(
    package: Package, credential: Credential, parameters: ServerParameters
) -> Callable[[], ServerExchange]:
    environment = parameters.environment
    requested = gssapi_layer.context_flags(Side.ACCEPT, environment.policy)
    request = Request("", 0, requested, parameters.bindings)
    return lambda: gssapi_layer.LayerNegotiatingServer(
        SecurityContext(package, credential, Side.ACCEPT, environment), request, environment.policy
    )


def _channel_client(
    package: Package, credential: Credential, target: str, parameters: ClientParameters
) -> Callable[[], ClientExchange]:
    environment, policy = parameters.environment, parameters.environment.policy
    requested = credssp_layer.context_flags(Side.INITIATE, policy)
    request = Request(target, 0, requested, None, (), parameters.authzid)
    return lambda: credssp_layer.ChannelClient(
        SecurityContext(package, credential, Side.INITIATE, environment), request, policy, parameters.max_message
    )


def _channel_server(
    package: Package, credential: Credential, parameters: ServerParameters
) -> Callable[[], ServerExchange]:
    environment, policy = parameters.environment, parameters.environment.policy
    request = Request("", 0, credssp_layer.context_flags(Side.ACCEPT, policy))
    return lambda: credssp_layer.ChannelServer(
        SecurityContext(package, credential, Side.ACCEPT, environment), request, policy, parameters.max_message
    )


def converse(mechanism: Mechanism, context: SecurityContext, request: Request, policy: Policy) -> SaslExchange:
    """Begin an exchange over a context whose flags the caller has chosen; see SaslProfile.converse."""
    side = context.side
    client = side is Side.INITIATE
    if mechanism.layer is LayerChoice.AFTER_CONTEXT:
        request = request._replace(required=0, requested=request.requested | gssapi_layer.context_flags(side, policy))
        negotiating = gssapi_layer.LayerNegotiatingClient if client else gssapi_layer.LayerNegotiatingServer
        return negotiating(context, request, policy)
    if mechanism.layer is LayerChoice.IN_CHANNEL:
        request = request._replace(required=0, requested=request.requested | credssp_layer.context_flags(side, policy))
        channel = credssp_layer.ChannelClient if client else credssp_layer.ChannelServer
        return channel(context, request, policy, 0)
    policy_of_sizes = policy if mechanism.layer is LayerChoice.WITH_CONTEXT else None
    if client:
        return _ContextualClient(context, request, policy_of_sizes)
    return _ContextualServer(context, request, policy_of_sizes, mechanism.first is First.CLIENT)


def _flags(policy: Policy, signs: int) -> tuple[int, int]:
    """Return what a policy requires and what it wishes for."""
    required = _MUTUAL
    if policy.min_ssf > 0:
        required |= signs
    if policy.min_ssf > 1:
        required |= _SEALS
    requested = required
    if policy.max_ssf > 0:
        requested |= signs
    if policy.max_ssf > 1:
        requested |= _SEALS
    return required, requested


class _ContextualClient(ClientExchange):
    __slots__ = ("_context", "_limits", "_request", "_untaken", "outcome")

    def __init__(self, context: SecurityContext, request: Request, limits: Policy | None) -> None:
        self._untaken = b""
        self.outcome: Outcome | None = None
        self._context = context
        self._request = request
        self._limits = limits

    def step(self, challenge: bytes | None) -> bytes | None:
        token = self._untaken + (challenge or b"")
        step = self._context.advance(token, self._request)
        self._untaken = token[len(token) - step.extra :] if step.extra else b""
        if step.event is Event.COMPLETE:
            self.outcome = _limited(self._context.outcome, self._limits)
        return step.token


class _ContextualServer(ServerExchange):
    __slots__ = ("_awaits_first", "_context", "_limits", "_request", "outcome")

    def __init__(self, context: SecurityContext, request: Request, limits: Policy | None, client_first: bool) -> None:
        self.outcome: Outcome | None = None
        self._context = context
        self._request = request
        self._limits = limits
        self._awaits_first = client_first

    def step(self, response: bytes | None) -> bytes | Question | None:
        # RFC 4422 section 3: where the client goes first and has sent no initial response, "the server sends an empty
        # challenge".
        awaits_first, self._awaits_first = self._awaits_first, False
        if awaits_first and response is None:
            return b""
        return self._follow(self._context.begin(response or b"", self._request))

    def resume(self, account: Account | None) -> bytes | Question | None:
        return self._follow(self._context.resume(account))

    def _follow(self, reply: StepResult | Question) -> bytes | Question | None:
        if isinstance(reply, Question):
            return reply
        if reply.event is Event.COMPLETE:
            self.outcome = _limited(self._context.outcome, self._limits)
        return reply.token


def _limited(outcome: Outcome | None, limits: Policy | None) -> Outcome | None:
    """Where nothing is said about sizes: send no buffer that our own policy would not take, take what it tolerates."""
    protection = outcome.protection if outcome is not None else None
    if limits is None or outcome is None or protection is None:
        return outcome
    largest = limits.max_buffer - protection.overhead(limits.max_buffer)
    protection.max_payload = max(1, min(protection.max_payload, largest))
    protection.max_receive = min(protection.max_receive, max(limits.max_buffer, limits.max_unannounced))
    return outcome._replace(max_receive=protection.max_receive)
