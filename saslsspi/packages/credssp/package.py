"""The CredSSP security package as the engine sees it; what needs `ssl` and `cryptography` is loaded on first use."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.flags import AscReq, IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity
from saslsspi.engine.package import Package
from saslsspi.engine.registry import find_package
from saslsspi.errors import PackageNotFound
from saslsspi.packages.credssp.credential import CredsspCredential, acquire

__all__ = ["CredsspPackage"]

_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_STREAM
        | SecurityPackageCapability.SECPKG_FLAG_MUTUAL_AUTH
    ),
    version=1,
    rpcid=0xFFFF,  # SECPKG_ID_NONE
    max_token=(1 << 17) + (1 << 14),
    name="CREDSSP",
    comment="Microsoft CredSSP Security Provider (MS-CSSP)",
)
_REFUSED: Final = {
    Side.INITIATE: int(
        IscReq.ISC_REQ_PROMPT_FOR_CREDS
        | IscReq.ISC_REQ_DATAGRAM
        | IscReq.ISC_REQ_USE_DCE_STYLE
        | IscReq.ISC_REQ_NULL_SESSION
        | IscReq.ISC_REQ_NO_INTEGRITY
    ),
    Side.ACCEPT: int(AscReq.ASC_REQ_DATAGRAM | AscReq.ASC_REQ_USE_DCE_STYLE | AscReq.ASC_REQ_ALLOW_NULL_SESSION),
}


class CredsspPackage(Package[CredsspCredential]):
    """CredSSP."""

    info = _INFO
    refused = _REFUSED
    takes_records = True

    def problem(self) -> str | None:
        """See Package.problem: the two packages that it runs."""
        try:
            return find_package("Schannel").problem() or find_package("Negotiate").problem()
        except PackageNotFound as error:
            return error.text

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> CredsspCredential:
        """See Package.acquire. auth_data is CredsspCred, or what Negotiate takes."""
        return acquire(principal, auth_data, sides, environment)

    def initiate(self, credential: CredsspCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate."""
        from saslsspi.packages.credssp.client import CredsspClient

        return CredsspClient(credential, environment, request)

    def accept(self, credential: CredsspCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept."""
        from saslsspi.packages.credssp.server import CredsspServer

        return CredsspServer(credential, environment, request)

    def reauthenticate(self, side: Side) -> None:
        """A client may begin anew, with a handshake of its own and a new context of the server."""
        if side is Side.ACCEPT:
            super().reauthenticate(side)
