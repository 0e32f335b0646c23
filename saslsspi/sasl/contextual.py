"""What comes before the driver of a mechanism that is a security context underneath: credential, target, flags.

Credentials are acquired once; each call of a returned function begins another exchange with them.
"""

from __future__ import annotations

from collections.abc import Callable

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.identity import WinNTAuthIdentity, identity_of
from saslsspi.engine.registry import find_package
from saslsspi.engine.security import seals_signed
from saslsspi.sasl.mechanism import (
    Binding,
    ClientExchange,
    ClientParameters,
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
    bindings = None if mechanism.binding is Binding.NONE else parameters.bindings
    request = Request(
        target=target,
        required=required,
        requested=requested,
        bindings=bindings,
        authzid=parameters.authzid,
        seals_signed=seals_signed(target),
    )
    max_message = parameters.max_message
    return lambda: driver.client(
        SecurityContext(package, credential, Side.INITIATE, environment), request, policy, max_message=max_message
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
    bindings = None if mechanism.binding is Binding.NONE else parameters.bindings
    seals = seals_signed(f"{parameters.service}/")  # whichever of its names the client means
    request = Request(required=required, requested=requested, bindings=bindings, seals_signed=seals)
    first, max_message = mechanism.first, parameters.max_message
    return lambda: driver.server(
        SecurityContext(package, credential, Side.ACCEPT, environment),
        request,
        policy,
        first=first,
        max_message=max_message,
    )
