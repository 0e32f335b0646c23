"""The Negotiate security package as the engine sees it."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.flags import IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity
from saslsspi.engine.package import Package
from saslsspi.packages.negotiate.client import NegotiateClient
from saslsspi.packages.negotiate.credential import NegotiateCredential, acquire
from saslsspi.packages.negotiate.messages import MAX_TOKEN
from saslsspi.packages.negotiate.server import NegotiateServer

__all__ = ["NegotiatePackage"]

_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_EXTENDED_ERROR
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_NEGOTIABLE
        | SecurityPackageCapability.SECPKG_FLAG_GSS_COMPATIBLE
        | SecurityPackageCapability.SECPKG_FLAG_LOGON
        | SecurityPackageCapability.SECPKG_FLAG_READONLY_WITH_CHECKSUM
    ),
    version=1,
    rpcid=9,  # RPC_C_AUTHN_GSS_NEGOTIATE
    max_token=MAX_TOKEN,
    name="Negotiate",
    comment="Microsoft Package Negotiator (SPNEGO, RFC 4178)",
)
_REFUSED: Final = {Side.INITIATE: int(IscReq.ISC_REQ_PROMPT_FOR_CREDS)}


class NegotiatePackage(Package[NegotiateCredential]):
    """Negotiate."""

    info = _INFO
    refused = _REFUSED
    fragments = True
    aliases = ("SPNEGO",)

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> NegotiateCredential:
        """See Package.acquire. auth_data goes to every package that may be chosen; its package_list says which."""
        return acquire(principal, auth_data, sides, environment)

    def initiate(self, credential: NegotiateCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate."""
        return NegotiateClient(credential, environment)

    def accept(self, credential: NegotiateCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept."""
        return NegotiateServer(credential, environment)
