"""The Kerberos security package as the engine sees it."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.export import ProtectionState, ProtectionTraveller
from saslsspi.engine.flags import AscReq, IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity
from saslsspi.engine.package import Package
from saslsspi.engine.protection import Protection
from saslsspi.errors import PackageNotFound, SaslError, UnknownCredentials, UnsupportedFunction
from saslsspi.packages.kerberos.credential import KerberosCredential, acquire
from saslsspi.packages.kerberos.exchange import KerberosClient, KerberosServer
from saslsspi.packages.kerberos.export import export_layer, import_layer
from saslsspi.packages.kerberos.gss import library
from saslsspi.packages.kerberos.protection import MAX_TOKEN

__all__ = ["KerberosPackage"]

# What Windows says of the package; the datagrams among it are refused, as check_flags says.
_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_TOKEN_ONLY
        | SecurityPackageCapability.SECPKG_FLAG_DATAGRAM
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_EXTENDED_ERROR
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_NEGOTIABLE
        | SecurityPackageCapability.SECPKG_FLAG_GSS_COMPATIBLE
        | SecurityPackageCapability.SECPKG_FLAG_LOGON
        | SecurityPackageCapability.SECPKG_FLAG_MUTUAL_AUTH
        | SecurityPackageCapability.SECPKG_FLAG_DELEGATION
        | SecurityPackageCapability.SECPKG_FLAG_READONLY_WITH_CHECKSUM
    ),
    version=1,
    rpcid=16,  # RPC_C_AUTHN_GSS_KERBEROS
    max_token=MAX_TOKEN,
    name="Kerberos",
    comment="Kerberos 5 over GSS-API (RFC 4121)",
)
_REFUSED_INITIATING: Final = {
    IscReq.ISC_REQ_USE_SESSION_KEY: "user-to-user authentication is not offered",
    IscReq.ISC_REQ_PROMPT_FOR_CREDS: "nobody is asked for credentials",
    IscReq.ISC_REQ_USE_SUPPLIED_CREDS: "credentials are given to AcquireCredentialsHandle",
    IscReq.ISC_REQ_DATAGRAM: "GSS-API has no datagram contexts",
    IscReq.ISC_REQ_NULL_SESSION: "somebody has to be authenticated",
}
_REFUSED_ACCEPTING: Final = {
    AscReq.ASC_REQ_USE_SESSION_KEY: "user-to-user authentication is not offered",
    AscReq.ASC_REQ_DATAGRAM: "GSS-API has no datagram contexts",
    AscReq.ASC_REQ_ALLOW_NULL_SESSION: "somebody has to be authenticated",
}


class KerberosPackage(Package[KerberosCredential], ProtectionTraveller):
    """Kerberos."""

    info = _INFO
    aliases = ("krb5",)

    def problem(self) -> str | None:
        """See Package.problem."""
        try:
            library()
        except PackageNotFound as error:
            return error.text
        return None

    def inbound_problem(self) -> str | None:
        """See Package.inbound_problem: without a keytab nobody can be accepted."""
        try:
            self.acquire(None, None, frozenset({Side.ACCEPT}), DEFAULT_ENVIRONMENT)
        except SaslError as error:
            return error.text
        return None

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> KerberosCredential:
        """See Package.acquire.

        Outbound: without auth_data the tickets that the user already has (KRB5CCNAME, KRB5_CLIENT_KTNAME); with a
        password or a packed keytab those of a ticket that the KDC gives for it. Inbound: the keys of a packed keytab
        or of the default one (KRB5_KTNAME); principal names the services that clients may mean.

        Raises:
            PackageNotFound: the `gssapi` library is missing; the text tells what to install.
        """
        library()
        if sides == {Side.ACCEPT} and isinstance(auth_data, WinNTAuthIdentity) and auth_data.password is not None:
            raise UnknownCredentials("an inbound Kerberos handle needs a keytab, not a password")
        return acquire(principal, auth_data, sides, environment)

    def initiate(self, credential: KerberosCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate."""
        if credential.proxied:
            raise UnsupportedFunction(
                f"the credential is to ask no KDC but through {credential.proxied}, and the Kerberos library goes by "
                "krb5.conf: write `kdc = https://proxy/KdcProxy` into the realm there, and set no FORCEPROXY"
            )
        return KerberosClient(credential, environment)

    def accept(self, credential: KerberosCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept."""
        return KerberosServer(credential, environment)

    def check_flags(self, side: Side, flags: int) -> None:
        """Refuse what GSS-API cannot do, rather than leave it out in silence."""
        refused = _REFUSED_INITIATING if side is Side.INITIATE else _REFUSED_ACCEPTING
        for flag, why in refused.items():
            if flags & flag:
                raise UnsupportedFunction(f"{flag.name}: {why}")

    def export_protection(self, protection: Protection, *, reset: bool, last: bool) -> ProtectionState | None:
        """See ProtectionTraveller.export_protection."""
        return export_layer(protection, reset=reset, last=last)

    def import_protection(self, state: ProtectionState) -> Protection:
        """See ProtectionTraveller.import_protection."""
        return import_layer(state)
