"""The Schannel security package as the engine sees it; what needs `ssl` is loaded with the first credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.flags import AscReq, IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity, SchCredentials
from saslsspi.engine.package import Package
from saslsspi.errors import UnknownCredentials

if TYPE_CHECKING:
    from saslsspi.packages.schannel.credential import SchannelCredential

__all__ = ["SchannelPackage"]

_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_EXTENDED_ERROR
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_STREAM
        | SecurityPackageCapability.SECPKG_FLAG_MUTUAL_AUTH
    ),
    version=1,
    rpcid=14,  # RPC_C_AUTHN_GSS_SCHANNEL
    max_token=1 << 17,
    name="Schannel",
    comment="Schannel Security Package (TLS 1.2 and 1.3)",
)
_REFUSED: Final = {
    Side.INITIATE: int(IscReq.ISC_REQ_DELEGATE | IscReq.ISC_REQ_PROMPT_FOR_CREDS),
    Side.ACCEPT: int(AscReq.ASC_REQ_DELEGATE),
}


class SchannelPackage(Package["SchannelCredential"]):
    """Schannel."""

    info = _INFO
    refused = _REFUSED
    aliases = ("Microsoft Unified Security Protocol Provider",)
    lists_aliases = True
    takes_records = True

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> SchannelCredential:
        """See Package.acquire. Both sides do without auth_data: a client is anonymous, an acceptor signs its own."""
        if auth_data is not None and not isinstance(auth_data, SchCredentials):
            raise UnknownCredentials(f"Schannel takes SchCredentials, not {type(auth_data).__name__}")
        identity = auth_data or SchCredentials()
        from saslsspi.packages.schannel.credential import SchannelCredential

        return SchannelCredential(identity, sides, environment.clock)

    def initiate(self, credential: SchannelCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate."""
        return _exchange(Side.INITIATE, credential, environment, request)

    def accept(self, credential: SchannelCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept."""
        return _exchange(Side.ACCEPT, credential, environment, request)


def _exchange(side: Side, credential: SchannelCredential, environment: Environment, request: Request) -> Exchange:
    from saslsspi.packages.schannel.exchange import TlsExchange

    return TlsExchange(side, credential, environment, request)
