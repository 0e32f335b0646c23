"""What can be asked of packages, credentials and contexts: the SecPkg structures of SSPI.

Each class is at once the name of an attribute (the argument of query_context_attributes) and its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from saslsspi.engine.flags import (
    ChannelBindingsResult,
    KdcProxySettingsFlags,
    NegotiationState,
    SecurityPackageCapability,
)

__all__ = [
    "FILETIME_EPOCH",
    "NEVER",
    "SecPkgContext",
    "SecPkgContextChannelBindings",
    "SecPkgContextEstablished",
    "SecPkgContextFlags",
    "SecPkgContextKeyInfo",
    "SecPkgContextLifespan",
    "SecPkgContextNames",
    "SecPkgContextNegotiationInfo",
    "SecPkgContextPackageInfo",
    "SecPkgContextSessionKey",
    "SecPkgContextSizes",
    "SecPkgContextStreamSizes",
    "SecPkgContextTarget",
    "SecPkgContextUnpromised",
    "SecPkgCred",
    "SecPkgCredKdcProxySettings",
    "SecPkgCredNames",
    "SecPkgInfo",
]

FILETIME_EPOCH: Final = 116444736000000000  # 1970; a FILETIME counts tenths of a microsecond since 1601
NEVER: Final = 0x7FFFFFFFFFFFFFFF
"""The FILETIME that means a context or credential does not expire."""


@dataclass(frozen=True, slots=True)
class SecPkgInfo:
    """What a security package says of itself.

    Attributes:
        max_token: Largest token it produces or takes, in octets.
        rpcid: Its DCE RPC identifier, 0xFFFF (SECPKG_ID_NONE) without one.
    """

    capabilities: SecurityPackageCapability
    version: int
    rpcid: int
    max_token: int
    name: str
    comment: str


class SecPkgContext:
    """Base of the attributes of a context.

    Attributes:
        early: Whether the attribute may be asked for before the context is established.
    """

    __slots__ = ()
    early: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class SecPkgContextSizes(SecPkgContext):
    """SECPKG_ATTR_SIZES: what the message functions need, in octets; each is a maximum.

    Attributes:
        max_token: Largest token of the exchange.
        max_signature: Largest signature of MakeSignature.
        block_size: Block size of the cipher; messages are padded to a multiple of it.
        security_trailer: What EncryptMessage adds beside padding.
    """

    max_token: int = 0
    max_signature: int = 0
    block_size: int = 0
    security_trailer: int = 0


@dataclass(frozen=True, slots=True)
class SecPkgContextStreamSizes(SecPkgContext):
    """SECPKG_ATTR_STREAM_SIZES: header, trailer and largest message of a stream package, in octets."""

    header: int = 0
    trailer: int = 0
    maximum_message: int = 0
    buffers: int = 0
    block_size: int = 0


@dataclass(frozen=True, slots=True)
class SecPkgContextNames(SecPkgContext):
    """SECPKG_ATTR_NAMES: the authenticated user."""

    username: str = ""


@dataclass(frozen=True, slots=True)
class SecPkgContextPackageInfo(SecPkgContext):
    """SECPKG_ATTR_PACKAGE_INFO: the package that serves the context."""

    early: ClassVar[bool] = True

    capabilities: SecurityPackageCapability
    version: int
    rpcid: int
    max_token: int
    name: str
    comment: str


@dataclass(frozen=True, slots=True)
class SecPkgContextSessionKey(SecPkgContext):
    """SECPKG_ATTR_SESSION_KEY: the session key; a secret, left out of repr."""

    session_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class SecPkgContextKeyInfo(SecPkgContext):
    """SECPKG_ATTR_KEY_INFO: the algorithms in force.

    Attributes:
        key_size: Effective key length of the encryption algorithm, in bits; 0 without one.
        signature_algorithm: SSPI's number of the signature algorithm, 0 where the package has none.
        encryption_algorithm: SSPI's number (CALG_*) of the encryption algorithm, 0 without one.
    """

    signature_algorithm_name: str = ""
    encryption_algorithm_name: str = ""
    key_size: int = 0
    signature_algorithm: int = 0
    encryption_algorithm: int = 0


@dataclass(frozen=True, slots=True)
class SecPkgContextLifespan(SecPkgContext):
    """SECPKG_ATTR_LIFESPAN: from when to when the context is valid, as FILETIMEs; NEVER ends never."""

    start: int = 0
    expiry: int = NEVER


@dataclass(frozen=True, slots=True)
class SecPkgContextFlags(SecPkgContext):
    """SECPKG_ATTR_FLAGS: the attributes of the established context (IscRet or AscRet of its side)."""

    flags: int = 0


@dataclass(frozen=True, slots=True)
class SecPkgContextTarget(SecPkgContext):
    """SECPKG_ATTR_CLIENT_SPECIFIED_TARGET: the principal that the client meant (Digest: its digest-uri)."""

    target_name: str = ""


@dataclass(frozen=True, slots=True)
class SecPkgContextEstablished(SecPkgContext):
    """Ours, not SSPI's: what the innermost context has ended in, also while an exchange around it still runs.

    CredSSP seals with the package that Negotiate chose before Negotiate itself is complete.

    Attributes:
        outcome: Its saslsspi.engine.exchange.Outcome; left out of repr, since it leads to keys.
    """

    early: ClassVar[bool] = True

    outcome: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecPkgContextUnpromised(SecPkgContext):
    """Ours, not SSPI's: what seals messages whatever the context's flags grant, where there are keys for it.

    Kerberos has keys always, and MIT's GSS-API seals with them whatever was asked for.

    Attributes:
        protection: A saslsspi.engine.protection.Protection; left out of repr, since it leads to keys.
    """

    protection: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecPkgContextNegotiationInfo(SecPkgContext):
    """SECPKG_ATTR_NEGOTIATION_INFO: the package that Negotiate chose, and why it did not choose others.

    Attributes:
        package_info: The chosen package; while the negotiation runs, the one that is tried.
        state: How far the choice is.
        refused: The reason for each package that was not offered or not taken, by name.
        mech_list_protected: Whether both sides signed the list of mechanisms.
    """

    early: ClassVar[bool] = True

    package_info: SecPkgInfo
    state: NegotiationState = NegotiationState.COMPLETE
    refused: Mapping[str, str] = field(default_factory=dict)
    mech_list_protected: bool = False


@dataclass(frozen=True, slots=True)
class SecPkgContextChannelBindings(SecPkgContext):
    """The audit of channel bindings on an acceptor (SEC_CHANNEL_BINDINGS_RESULT)."""

    result: ChannelBindingsResult = ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_ABSENT


class SecPkgCred:
    """Base of the attributes of a credential."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SecPkgCredNames(SecPkgCred):
    """SECPKG_CRED_ATTR_NAMES: the user of the credential."""

    username: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class SecPkgCredKdcProxySettings(SecPkgCred):
    """SECPKG_CRED_ATTR_KDC_PROXY_SETTINGS: where Kerberos finds its KDC proxy.

    It can be set. The Kerberos library goes by krb5.conf all the same (`kdc = https://proxy/KdcProxy`), and a
    credential that is to use nothing but the proxy (FORCEPROXY) begins no context.
    """

    version: ClassVar = 1

    flags: KdcProxySettingsFlags | int = field(default=0, kw_only=True)
    proxy_server: str | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"SecPkgCredKdcProxySettings(flags={int(self.flags)}, proxy_server={self.proxy_server!r})"
