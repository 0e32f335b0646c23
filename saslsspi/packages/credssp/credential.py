"""A CredSSP credential: one for TLS, one for Negotiate, and what is handed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.flags import CredentialKind
from saslsspi.engine.identity import AuthIdentity, CredsspCred, SchCredentials, WinNTAuthIdentity
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import CredSspPolicy, Policy
from saslsspi.engine.registry import find_package
from saslsspi.errors import NoCredentials

__all__ = ["CredsspCredential", "acquire"]

_TLS: Final = "Schannel"
_INNER: Final = "Negotiate"


@dataclass(slots=True, eq=False, repr=False)
class CredsspCredential(Credential):
    """An acquired CredSSP credential. Its repr shows nothing.

    Attributes:
        schannel: The package of TLS.
        tls: The credential for it; the server's certificate is made once for each.
        negotiate: The package inside TLS.
        inner: The credential for it.
        identity: Outbound: what Negotiate authenticates with, None for the user's own tickets.
        delegated: Outbound: what is handed over, as TSCredentials; None is the identity.
        kind: Outbound: where that comes from.
        trusts: Outbound: whether a certificate can prove who a server is.
        inside: What the context inside depends on: the policy's limits are about the layer, and not about it.
    """

    username: str
    schannel: AnyPackage
    tls: Credential
    negotiate: AnyPackage
    inner: Credential
    identity: AuthIdentity | None
    delegated: bytes | None
    kind: CredentialKind
    trusts: bool
    inside: Environment

    def own_delegated(self) -> bytes | None:
        """Return the TSCredentials to hand over, None where there is nothing."""
        from saslsspi.packages.credssp.credentials import PasswordCredentials

        identity = self.identity
        if self.delegated is not None:
            return self.delegated
        if not isinstance(identity, WinNTAuthIdentity) or identity.password is None:
            return None
        username, domain = identity.username or "", identity.domain
        if domain is None and "\\" in username:
            domain, _, username = username.partition("\\")
        return PasswordCredentials(domain or "", username, identity.password).to_bytes()


def acquire(
    principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
) -> CredsspCredential:
    """Acquire the two credentials.

    Raises:
        NoCredentials: Negotiate has no package to choose, or TLS no certificate that can be read.
    """
    given = auth_data if isinstance(auth_data, CredsspCred) else CredsspCred(spnego=auth_data)
    schannel, negotiate = find_package(_TLS), find_package(_INNER)
    limits = Policy()
    inside = replace(
        environment,
        policy=replace(
            environment.policy,
            min_ssf=limits.min_ssf,
            max_ssf=limits.max_ssf,
            channel_binding=limits.channel_binding,
            negotiate=replace(
                environment.policy.negotiate,
                bare_ntlm=environment.policy.credssp.bare_ntlm or environment.policy.negotiate.bare_ntlm,
            ),
        ),
    )
    inner = negotiate.acquire(principal, given.spnego, sides, inside)
    identity = _tls_identity(given.schannel, principal, sides, environment.policy.credssp)
    kind = given.kind
    if kind is None:
        kind = CredentialKind.DEFAULT if given.spnego is None else CredentialKind.FRESH
    return CredsspCredential(
        username=inner.username,
        schannel=schannel,
        tls=schannel.acquire(None, identity, sides, environment),
        negotiate=negotiate,
        inner=inner,
        identity=given.spnego,
        delegated=given.delegated,
        kind=kind,
        trusts=bool(identity.authorities),
        inside=inside,
    )


def _tls_identity(
    given: SchCredentials | None, principal: str | None, sides: frozenset[Side], policy: CredSspPolicy
) -> SchCredentials:
    identity = given or SchCredentials(
        certificate=policy.certificate, private_key=policy.private_key, authorities=policy.authorities
    )
    if identity.private_key and not identity.certificate:
        raise NoCredentials("there is a private key without its certificate")
    if Side.ACCEPT not in sides and given is None:
        # "the CredSSP server does not request the client's X.509 certificate (thus far, the client is anonymous)": the
        # policy's is a server's. A server that asks all the same gets the certificate of CredsspCred.schannel.
        identity = replace(identity, certificate="", private_key="")
    host = identity.host or (principal or "").partition(" ")[0].partition("/")[2].partition("/")[0]
    # MS-CSSP section 3.1.5: "TLS session resumption is not supported."
    return replace(identity, resumption=False, host=host)
