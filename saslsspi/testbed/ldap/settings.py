"""What an LDAP server is configured with, and the rules that follow from it for one connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from saslsspi.accounts.account import Account, AccountLookup, Pending
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import Security
from saslsspi.sasl.acceptance import Offer, offer
from saslsspi.sasl.layer import Layer
from saslsspi.testbed.ldap.directory import Directory
from saslsspi.testbed.ldap.identity import LdapAuthority

__all__ = ["Bound", "Limits", "SaslSession", "SessionFactory", "Settings", "Surroundings"]


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
        mechanism: str,
        /,
        *,
        service: str,
        host: Sequence[str],
        authority: AccountLookup,
        realm: Sequence[str],
        policy: Policy,
        nonce_store: NonceStore | None,
        bindings: Sequence[ChannelBindings],
        external_ssf: int,
        external_identity: str | None,
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


class Surroundings(NamedTuple):
    """What a connection gives before any bind.

    Attributes:
        tls_bits: Secret bits of the cipher of TLS; 0 without TLS.
        ssf: Security strength factor, a SASL layer included.
        identity: Whom TLS has authenticated by a certificate, or None.
    """

    tls_bits: int
    ssf: int
    identity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one server; LdapServer documents it.

    Attributes:
        mechanisms: Names of those that are offered where the connection permits.
        bindings: Those of the certificate.
    """

    authority: LdapAuthority
    policy: Policy
    mechanisms: tuple[str, ...]
    hosts: tuple[str, ...]
    realms: tuple[str, ...]
    nonce_store: NonceStore | None
    certificate: ssl.SSLContext | None
    bindings: tuple[ChannelBindings, ...]
    directory: Directory
    anonymous_search: bool
    limits: Limits
    make_session: SessionFactory
    on_security: Callable[[Bound], None] | None
    executor: Executor
    throttle: Throttle | None = None

    def policy_on(self, around: Surroundings) -> Policy:
        """Return what a bind has to satisfy: TLS makes up for a layer.

        A layer in force does not: a bind may put a weaker one in its place.
        """
        met = around.tls_bits >= self.policy.min_ssf
        return replace(self.policy, min_ssf=0) if met and self.policy.min_ssf else self.policy

    def bindings_on(self, around: Surroundings) -> tuple[ChannelBindings, ...]:
        """Return the channel bindings of a connection."""
        return self.bindings if around.tls_bits else ()

    def offer_on(self, around: Surroundings) -> Offer:
        """Return the mechanisms of a connection in its current state (RFC 4513 section 5.2.1.5)."""
        if not self.mechanisms:
            return Offer((), {})
        return offer(
            self.policy_on(around),
            self.mechanisms,
            external_ssf=around.ssf,
            bindings=self.bindings_on(around),
            external_identity=around.identity,
            secrets=self.authority.secrets,
        )
