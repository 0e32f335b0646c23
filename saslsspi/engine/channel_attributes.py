"""The attributes that only Schannel and CredSSP have (schannel.h, credssp.h)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.attributes import SecPkgContext, SecPkgInfo
from saslsspi.engine.flags import SchannelProtocol
from saslsspi.engine.identity import Delegated

if TYPE_CHECKING:  # who asks for its objects has loaded it
    import ssl

__all__ = [
    "SCHANNEL_SHUTDOWN",
    "CredSspStage",
    "SecPkgContextApplicationProtocol",
    "SecPkgContextBindings",
    "SecPkgContextCertTrustStatus",
    "SecPkgContextClientCreds",
    "SecPkgContextConnectionInfo",
    "SecPkgContextCredSspProgress",
    "SecPkgContextEndpointBindings",
    "SecPkgContextIssuerListInfoEx",
    "SecPkgContextLocalCert",
    "SecPkgContextNegotiationPackage",
    "SecPkgContextRemoteCert",
    "SecPkgContextServerAuthFlags",
    "SecPkgContextSessionInfo",
    "SecPkgContextTlsObjects",
    "SecPkgContextUniqueBindings",
]

SCHANNEL_SHUTDOWN: Final = b"\x01\x00\x00\x00"
"""The control token that closes one's own direction of a stream."""


@dataclass(frozen=True, slots=True)
class SecPkgContextRemoteCert(SecPkgContext):
    """SECPKG_ATTR_REMOTE_CERT_CONTEXT: the peer's certificate in DER."""

    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class SecPkgContextLocalCert(SecPkgContext):
    """SECPKG_ATTR_LOCAL_CERT_CONTEXT: our own certificate in DER."""

    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class SecPkgContextConnectionInfo(SecPkgContext):
    """SECPKG_ATTR_CONNECTION_INFO: what TLS negotiated.

    Attributes:
        cipher: OpenSSL's name of the cipher suite.
        cipher_strength: Secret bits.
    """

    protocol: SchannelProtocol
    cipher: str
    cipher_strength: int


@dataclass(frozen=True, slots=True)
class SecPkgContextSessionInfo(SecPkgContext):
    """SECPKG_ATTR_SESSION_INFO: whether an earlier session was taken up again."""

    reconnected: bool = False


@dataclass(frozen=True, slots=True)
class SecPkgContextIssuerListInfoEx(SecPkgContext):
    """SECPKG_ATTR_ISSUER_LIST_EX: the authorities that the server names when it asks for a certificate, in DER."""

    early: ClassVar[bool] = True

    issuers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SecPkgContextApplicationProtocol(SecPkgContext):
    """SECPKG_ATTR_APPLICATION_PROTOCOL: what ALPN agreed on, "" for nothing."""

    protocol: str = ""


@dataclass(frozen=True, slots=True)
class SecPkgContextBindings(SecPkgContext):
    """Channel bindings that this channel gives to an exchange inside it."""

    bindings: ChannelBindings = field(default_factory=ChannelBindings)


@dataclass(frozen=True, slots=True)
class SecPkgContextUniqueBindings(SecPkgContextBindings):
    """SECPKG_ATTR_UNIQUE_BINDINGS: tls-unique (RFC 5929 section 3); TLS 1.3 has none."""


@dataclass(frozen=True, slots=True)
class SecPkgContextEndpointBindings(SecPkgContextBindings):
    """SECPKG_ATTR_ENDPOINT_BINDINGS: tls-server-end-point (RFC 5929 section 4)."""


@dataclass(frozen=True, slots=True)
class SecPkgContextCertTrustStatus(SecPkgContext):
    """SECPKG_ATTR_CERT_TRUST_STATUS: whether the server's certificate is trusted for the target, and if not why."""

    trusted: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SecPkgContextClientCreds(SecPkgContext):
    """SECPKG_ATTR_CREDS: the credentials that the client has delegated; left out of repr."""

    credentials: Delegated = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecPkgContextNegotiationPackage(SecPkgContext):
    """SECPKG_ATTR_NEGOTIATION_PACKAGE: the package that Negotiate chose."""

    package_info: SecPkgInfo


@dataclass(frozen=True, slots=True)
class SecPkgContextServerAuthFlags(SecPkgContext):
    """SECPKG_ATTR_SERVER_AUTH_FLAGS: the attributes (IscRet) of the context inside, that of Negotiate."""

    flags: int = 0


@dataclass(frozen=True, slots=True)
class SecPkgContextTlsObjects(SecPkgContext):
    """Ours, not SSPI's: the objects of Python's ssl that an exchange runs on, there before its first step.

    Look at them; whoever handshakes, reads or writes on the connection breaks the exchange.

    Attributes:
        context: What the connection was made of.
        connection: The connection itself.
    """

    early: ClassVar[bool] = True

    context: ssl.SSLContext = field(repr=False)
    connection: ssl.SSLObject = field(repr=False)


class CredSspStage(enum.Enum):
    """How far an exchange of CredSSP is (MS-CSSP section 3.1.5); its last stage lasts."""

    TLS_HANDSHAKE = enum.auto()
    NEGOTIATE = enum.auto()
    PUBLIC_KEY = enum.auto()  # the key of TLS is being bound
    CREDENTIALS = enum.auto()  # they are on their way, or have come


@dataclass(frozen=True, slots=True)
class SecPkgContextCredSspProgress(SecPkgContext):
    """Ours, not SSPI's: how far an exchange of CredSSP is, there before its first step.

    Attributes:
        version: What both sides go by, 2 to 6; None before the peer has said its own.
    """

    early: ClassVar[bool] = True

    stage: CredSspStage
    version: int | None = None
