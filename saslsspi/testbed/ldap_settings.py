"""What an LDAP server is configured with, and the rules that follow from it for one connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.sasl.acceptance import objection
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS, find_mechanism
from saslsspi.sasl.session import Pending, Security
from saslsspi.sspi.environment import Account, Authority, NonceStore
from saslsspi.sspi.policy import Policy, Property
from saslsspi.testbed.ldap_directory import Directory

__all__ = ["Bound", "Limits", "SaslSession", "SessionFactory", "Settings", "usable_mechanisms"]


class SaslSession(Protocol):
    """What the server needs of a SASL exchange; saslsspi.Server is one."""

    layer: Layer | None

    @property
    def done(self) -> bool: ...  # noqa: D102  # see saslsspi.Server

    @property
    def security(self) -> Security: ...  # noqa: D102

    def begin(self, response: bytes | None) -> bytes | Pending | None: ...  # noqa: D102

    def resume(self, account: Account | None) -> bytes | Pending | None: ...  # noqa: D102

    def abort(self) -> None: ...  # noqa: D102


class SessionFactory(Protocol):
    """Makes the server's side of an exchange; saslsspi.Server is one, and a test may wrap it."""

    def __call__(
        self,
        mechanism: Mechanism,
        /,
        *,
        service: str,
        host: Sequence[str],
        authority: Authority,
        realm: Sequence[str],
        policy: Policy,
        nonce_store: NonceStore | None,
        bindings: ChannelBindings | None,
    ) -> SaslSession:
        """Make one for one connection."""


class Bound(NamedTuple):
    """A bind that succeeded.

    Attributes:
        peer: The client's address.
        method: "simple", "anonymous", or the SASL mechanism.
        authzid: Who the session now acts as, in LDAP's form; "" for nobody.
        ssf: Security strength factor of the connection, TLS included.
        security: What SASL negotiated; None for a simple bind.
    """

    peer: str
    method: str
    authzid: str
    ssf: int
    security: Security | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a client may ask for.

    Attributes:
        anonymous_message: Largest message before authentication, in octets.
        message: Largest message afterwards, in octets.
        connections: How many clients at a time.
        operations: How many searches of one client at a time; more have to wait.
        entries: How many entries one search returns; 0 for no limit.
        idle_timeout: How long a client may take for its next whole message, or to read an answer, in seconds.
        authority_timeout: How long the authority may take, in seconds.
    """

    anonymous_message: int = 1 << 16
    message: int = 1 << 20
    connections: int = 128
    operations: int = 16
    entries: int = 0
    idle_timeout: float = 300.0
    authority_timeout: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one server; LdapServer documents it."""

    authority: Authority
    policy: Policy
    mechanisms: tuple[Mechanism, ...]
    hosts: tuple[str, ...]
    realms: tuple[str, ...]
    nonce_store: NonceStore | None
    certificate: ssl.SSLContext | None
    bindings: ChannelBindings | None
    directory: Directory
    anonymous_search: bool
    limits: Limits
    make_session: SessionFactory
    on_security: Callable[[Bound], None] | None
    executor: Executor

    def policy_on(self, tls_bits: int) -> Policy:
        """Return what binds have to satisfy: TLS makes up for a layer, and hides a password."""
        if not tls_bits:
            return self.policy
        least = 0 if tls_bits >= self.policy.min_ssf else self.policy.min_ssf
        return replace(self.policy, min_ssf=least, properties=self.policy.properties & ~Property.NO_PLAINTEXT)

    def mechanisms_on(self, tls_bits: int) -> list[Mechanism]:
        """Return the mechanisms that a connection may use (RFC 4513 section 5.2.1.5: in its current state)."""
        policy = self.policy_on(tls_bits)
        return [mechanism for mechanism in self.mechanisms if objection(mechanism, policy) is None]


def usable_mechanisms(names: Sequence[str] | None) -> tuple[Mechanism, ...]:
    """Return the named mechanisms, or every installed one that has a server's side.

    Raises:
        PackageNotFound: a named one is not installed.
    """
    if names is not None:
        return tuple(map(find_mechanism, names))
    installed = (plugin.value for plugin in MECHANISMS.plugins())
    return tuple(found for found in installed if found is not None and (found.package or found.server) is not None)
