"""The NTLM security package as the engine sees it."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.export import ProtectionState, ProtectionTraveller
from saslsspi.engine.flags import IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity, NtHashIdentity, WinNTAuthIdentity
from saslsspi.engine.package import Package
from saslsspi.engine.protection import Protection
from saslsspi.errors import BufferTooSmall, NoCredentials, UnknownCredentials
from saslsspi.packages.ntlm.client import NtlmClient
from saslsspi.packages.ntlm.credential import NtlmCredential, split_name
from saslsspi.packages.ntlm.export import export_layer, import_layer
from saslsspi.packages.ntlm.messages import MAX_TOKEN
from saslsspi.packages.ntlm.server import NtlmServer
from saslsspi.packages.ntlm.service import ServiceName

__all__ = ["NtlmPackage"]

_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_TOKEN_ONLY
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_NEGOTIABLE
        | SecurityPackageCapability.SECPKG_FLAG_LOGON
        | SecurityPackageCapability.SECPKG_FLAG_READONLY_WITH_CHECKSUM
    ),
    version=1,
    rpcid=10,  # RPC_C_AUTHN_WINNT
    max_token=MAX_TOKEN,
    name="NTLM",
    comment="NTLM Security Package",
)
_REFUSED: Final = {Side.INITIATE: int(IscReq.ISC_REQ_PROMPT_FOR_CREDS)}


class NtlmPackage(Package[NtlmCredential], ProtectionTraveller):
    """NTLM."""

    info = _INFO
    refused = _REFUSED
    missing_output = BufferTooSmall

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> NtlmCredential:
        """See Package.acquire.

        An outbound handle with an empty user name and password logs on as nobody. One whose identity names no user is
        made, as on Windows, where it means who is logged on; here its first answer to a challenge is NoCredentials.
        """
        if auth_data is not None and not isinstance(auth_data, WinNTAuthIdentity | NtHashIdentity):
            raise UnknownCredentials(f"NTLM takes WinNTAuthIdentity or NtHashIdentity, not {type(auth_data).__name__}")
        identity = auth_data or WinNTAuthIdentity()
        if Side.ACCEPT in sides and environment.authority is None:
            raise NoCredentials("an inbound NTLM handle needs an authority, or auth_data with the one account")
        name = identity.username if identity.username is not None else principal
        if Side.INITIATE in sides and Side.ACCEPT not in sides and name is None and auth_data is None:
            raise NoCredentials("an outbound NTLM handle needs a user name: pass WinNTAuthIdentity as auth_data")
        username, domain = split_name(name or "", identity.domain)
        return NtlmCredential(
            username=username,
            domain=domain,
            password=identity.password if isinstance(identity, WinNTAuthIdentity) else None,
            nt_hash=identity.nt_hash if isinstance(identity, NtHashIdentity) else None,
            principals=tuple(map(ServiceName.of, (principal or "").split())) if Side.ACCEPT in sides else (),
        )

    def initiate(self, credential: NtlmCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate."""
        return NtlmClient(credential, environment)

    def accept(self, credential: NtlmCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept."""
        return NtlmServer(credential, environment)

    def export_protection(self, protection: Protection, *, reset: bool, last: bool) -> ProtectionState | None:
        """See ProtectionTraveller.export_protection."""
        return export_layer(protection, reset=reset)

    def import_protection(self, state: ProtectionState) -> Protection:
        """See ProtectionTraveller.import_protection."""
        return import_layer(state)
