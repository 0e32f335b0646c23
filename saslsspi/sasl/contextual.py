"""What comes before the driver of a mechanism that is a security context underneath: credential, target, flags.

Credentials are acquired once; each call of a returned function begins another exchange with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.identity import WinNTAuthIdentity, identity_of
from saslsspi.engine.policy import ChannelBindingPolicy
from saslsspi.engine.registry import find_package
from saslsspi.engine.security import seals_signed
from saslsspi.sasl.mechanism import (
    Binding,
    ClientExchange,
    ClientParameters,
    Driver,
    Mechanism,
    ServerExchange,
    ServerParameters,
    principal,
    served,
)

__all__ = ["prepare_client", "prepare_server"]


def prepare_client(mechanism: Mechanism, parameters: ClientParameters) -> Callable[[], ClientExchange]:
    """Acquire the client's credential; the returned function begins an exchange with it."""
    driver = mechanism.driver
    assert mechanism.package is not None, "the mechanism is a context underneath"
    assert driver is not None, "a description with a package names its driver"
    package = find_package(mechanism.package)
    environment, policy = parameters.environment, parameters.environment.policy
    identity = identity_of(parameters.credentials, mechanism.name)
    credential = package.acquire(None, identity, frozenset({Side.INITIATE}), environment)
    target = parameters.target if driver.names_replica else principal(parameters.service, parameters.host, None)
    required, requested = driver.flags(package, Side.INITIATE, policy)
    told = driver.binds_itself or mechanism.binding is not Binding.NONE
    request = Request(
        target=target,
        required=required,
        requested=requested,
        bindings=parameters.bindings if told else None,
        authzid=parameters.authzid,
        seals_signed=seals_signed(target),
    )
    max_message, inner = parameters.max_message, _inner(environment, driver)
    return lambda: driver.client(
        SecurityContext(package, credential, Side.INITIATE, inner), request, policy, max_message=max_message
    )


def prepare_server(mechanism: Mechanism, parameters: ServerParameters) -> Callable[[], ServerExchange]:
    """Acquire the server's credential; the returned function begins an exchange with it."""
    driver = mechanism.driver
    assert mechanism.package is not None, "the mechanism is a context underneath"
    assert driver is not None, "a description with a package names its driver"
    package = find_package(mechanism.package)
    environment, policy = parameters.environment, parameters.environment.policy
    principals = " ".join(served(parameters.service, host) for host in parameters.hosts)
    identity = WinNTAuthIdentity(domain=" ".join(parameters.realms))
    credential = package.acquire(principals, identity, frozenset({Side.ACCEPT}), environment)
    required, requested = driver.flags(package, Side.ACCEPT, policy)
    told = driver.binds_itself or mechanism.binding is not Binding.NONE
    seals = seals_signed(f"{parameters.service}/")  # whichever of its names the client means
    request = Request(
        required=required,
        requested=requested,
        bindings=parameters.bindings if told else None,
        alternate_bindings=parameters.alternate_bindings if told else (),
        seals_signed=seals,
    )
    first, max_message, inner = mechanism.first, parameters.max_message, _inner(environment, driver)
    return lambda: driver.server(
        SecurityContext(package, credential, Side.ACCEPT, inner),
        request,
        policy,
        first=first,
        max_message=max_message,
    )


def _inner(environment: Environment, driver: Driver) -> Environment:
    """Return the environment of the context: where the driver binds, the policy's word is the driver's to obey."""
    if not driver.binds_itself:
        return environment
    return environment.overridden(policy=replace(environment.policy, channel_binding=ChannelBindingPolicy.ALLOW))
