"""The Digest security package as the engine sees it."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Exchange, Request, Side
from saslsspi.engine.export import ProtectionState, ProtectionTraveller
from saslsspi.engine.flags import AscReq, IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity
from saslsspi.engine.package import Package
from saslsspi.engine.protection import Protection
from saslsspi.errors import (
    LogonFailure,
    NoCredentials,
    SecurityQosFailed,
    UnknownCredentials,
    UnsupportedFunction,
)
from saslsspi.packages.digest.ciphers import CIPHERS
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.digest.http.client import HttpDigestClient
from saslsspi.packages.digest.http.server import HttpDigestServer
from saslsspi.packages.digest.sasl.client import DigestClient
from saslsspi.packages.digest.sasl.export import export_layer, import_layer
from saslsspi.packages.digest.sasl.protection import MAX_TOKEN
from saslsspi.packages.digest.sasl.server import DigestServer

__all__ = ["DigestPackage"]

_INFO: Final = SecPkgInfo(
    capabilities=(
        SecurityPackageCapability.SECPKG_FLAG_INTEGRITY
        | SecurityPackageCapability.SECPKG_FLAG_PRIVACY
        | SecurityPackageCapability.SECPKG_FLAG_CONNECTION
        | SecurityPackageCapability.SECPKG_FLAG_MULTI_REQUIRED
        | SecurityPackageCapability.SECPKG_FLAG_IMPERSONATION
        | SecurityPackageCapability.SECPKG_FLAG_ACCEPT_WIN32_NAME
        | SecurityPackageCapability.SECPKG_FLAG_STREAM
        | SecurityPackageCapability.SECPKG_FLAG_ASCII_BUFFERS
        | SecurityPackageCapability.SECPKG_FLAG_MUTUAL_AUTH
    ),
    version=1,
    rpcid=21,  # RPC_C_AUTHN_DIGEST
    max_token=MAX_TOKEN,
    name="WDigest",
    comment="Digest Authentication (RFC 2831, RFC 7616)",
)
_REFUSED_INITIATING: Final = int(IscReq.ISC_REQ_DELEGATE | IscReq.ISC_REQ_PROMPT_FOR_CREDS)
_KNOWN_ACCEPTING: Final = int(
    AscReq.ASC_REQ_MUTUAL_AUTH  # without effect here, and harmless
    | AscReq.ASC_REQ_REPLAY_DETECT
    | AscReq.ASC_REQ_SEQUENCE_DETECT
    | AscReq.ASC_REQ_CONFIDENTIALITY
    | AscReq.ASC_REQ_ALLOCATE_MEMORY
    | AscReq.ASC_REQ_CONNECTION
    | AscReq.ASC_REQ_EXTENDED_ERROR
    | AscReq.ASC_REQ_STREAM
    | AscReq.ASC_REQ_INTEGRITY
)
_HTTP: Final = int(IscReq.ISC_REQ_HTTP)  # the same bit on both sides; ALLOW_MISSING_BINDINGS to other packages
_HTTP_ACCEPTING: Final = int(AscReq.ASC_REQ_HTTP | AscReq.ASC_REQ_PROXY_BINDINGS)
_CONFIDENTIALITY: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)  # the same bit on both sides
_SUPPLIED: Final = int(IscReq.ISC_REQ_USE_SUPPLIED_CREDS)


class DigestPackage(Package[DigestCredential], ProtectionTraveller):
    """WDigest."""

    info = _INFO
    aliases = ("Digest",)

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> DigestCredential:
        """See Package.acquire. The domain of auth_data is the realm; on an inbound handle blanks separate several."""
        if auth_data is not None and not isinstance(auth_data, WinNTAuthIdentity):
            raise UnknownCredentials(f"Digest takes WinNTAuthIdentity, not {type(auth_data).__name__}")
        identity = auth_data or WinNTAuthIdentity()
        if Side.ACCEPT in sides and environment.authority is None:
            raise NoCredentials("an inbound Digest handle needs an authority, or auth_data with the one account")
        if Side.INITIATE in sides and Side.ACCEPT not in sides and not (identity.username or principal):
            raise NoCredentials("an outbound Digest handle needs a user name: pass WinNTAuthIdentity as auth_data")
        return DigestCredential(
            username=identity.username or principal or "",
            password=identity.password,
            realm=identity.domain or "",
            realms=tuple((identity.domain or "").split()),
            principals=frozenset((principal or "").lower().split()) if Side.ACCEPT in sides else frozenset(),
        )

    def initiate(self, credential: DigestCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.initiate; the flag says which of the two protocols it is."""
        return (HttpDigestClient if request.requested & _HTTP else DigestClient)(credential, environment)

    def accept(self, credential: DigestCredential, environment: Environment, request: Request) -> Exchange:
        """See Package.accept; the flag says which of the two protocols it is."""
        return (HttpDigestServer if request.requested & _HTTP else DigestServer)(credential, environment)

    def choices(self, field: str) -> tuple[str, ...]:
        """See Package.choices."""
        known = {
            "ciphers": tuple(cipher.name for cipher in CIPHERS.values()),
            "http_digest.algorithms": tuple(algorithm.name for algorithm in ALGORITHMS.values()),
        }
        return tuple(name.decode() for name in known.get(field, ()))

    def check_flags(self, side: Side, flags: int) -> None:
        """Refuse what the pages of InitializeSecurityContext and AcceptSecurityContext (Digest) refuse."""
        if flags & _HTTP:
            _check_http_flags(side, flags)
        if side is Side.INITIATE and flags & _REFUSED_INITIATING:
            raise UnsupportedFunction("Digest cannot delegate credentials and does not prompt for them")
        known = _KNOWN_ACCEPTING | _HTTP_ACCEPTING if flags & _HTTP else _KNOWN_ACCEPTING
        if side is Side.ACCEPT and flags & ~known:
            unknown = AscReq(flags & ~known)
            raise SecurityQosFailed(f"AcceptSecurityContext (Digest) does not know {unknown!r}")

    def reauthenticate(self, side: Side) -> None:
        """A client may begin anew; a server's context is finished (AcceptSecurityContext (Digest), Return value)."""
        if side is Side.ACCEPT:
            raise LogonFailure("the context is established; begin a new one for the next logon")

    def export_protection(self, protection: Protection, *, reset: bool, last: bool) -> ProtectionState | None:
        """See ProtectionTraveller.export_protection."""
        return export_layer(protection, reset=reset)

    def import_protection(self, state: ProtectionState) -> Protection:
        """See ProtectionTraveller.import_protection."""
        return import_layer(state)


def _check_http_flags(side: Side, flags: int) -> None:
    # "Because this flag is not valid for HTTP authentication, it cannot be used with the ISC_REQ_HTTP flag."
    if flags & _CONFIDENTIALITY:
        refusal = SecurityQosFailed if side is Side.ACCEPT else UnsupportedFunction
        raise refusal("Digest encrypts messages in SASL use only; HTTP has TLS for it")
    if side is Side.INITIATE and flags & _SUPPLIED:
        raise UnsupportedFunction("in HTTP use the SECBUFFER_PKG_PARAMS buffers hold the request, not credentials")
