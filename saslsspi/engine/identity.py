"""Authentication data for AcquireCredentialsHandle: SEC_WINNT_AUTH_IDENTITY and its relatives."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, Self

from saslsspi.credentials import Credentials, NtHash, Password, PerPackage, Tickets
from saslsspi.engine.flags import CredentialKind, SchannelProtocol, WinNTAuthFlags
from saslsspi.errors import InvalidParameter, UnknownCredentials

if TYPE_CHECKING:  # who has a context has loaded it
    import ssl

__all__ = [
    "AuthIdentity",
    "CredsspCred",
    "Delegated",
    "HandedOver",
    "NtHashIdentity",
    "PerPackageIdentity",
    "SchCredentials",
    "TicketsIdentity",
    "WinNTAuthCredentialType",
    "WinNTAuthIdentity",
    "WinNTAuthIdentityPackedCredential",
    "identity_of",
]


class AuthIdentity:
    """Base of what acquire_credentials_handle takes as auth_data; a package knows which of them it understands."""

    __slots__ = ()


_UNICODE: Final = WinNTAuthFlags.SEC_WINNT_AUTH_IDENTITY_UNICODE  # Python's texts are nothing else


@dataclass(frozen=True, slots=True, repr=False)
class WinNTAuthIdentity(AuthIdentity):
    """A user name, a domain (the realm, with Digest) and a password. Its repr omits the password."""

    username: str | None = None
    domain: str | None = None
    password: str | None = field(default=None, repr=False)
    flags: WinNTAuthFlags | int = field(default=_UNICODE, kw_only=True)
    package_list: str | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return (
            f"WinNTAuthIdentity(username={self.username!r}, domain={self.domain!r}, flags={int(self.flags)}, "
            f"package_list={self.package_list!r})"
        )

    def __str__(self) -> str:
        return _qualified(self.username, self.domain)


@dataclass(frozen=True, slots=True)
class NtHashIdentity(AuthIdentity):
    """A user name, a domain and the NT hash of a password, 16 octets, for NTLM. Its repr omits the hash."""

    username: str
    domain: str | None
    nt_hash: bytes = field(repr=False)
    package_list: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class TicketsIdentity(AuthIdentity):
    """Kerberos tickets in a cache, or a keytab that gets them, by name; see saslsspi.Tickets. Accepting: a keytab."""

    username: str | None = None
    domain: str | None = None
    cache: str = field(default="", kw_only=True)
    keytab: str = field(default="", kw_only=True)
    package_list: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class PerPackageIdentity(AuthIdentity):
    """For Negotiate: what each package authenticates with, by its name; see saslsspi.PerPackage."""

    identities: Mapping[str, AuthIdentity | None]
    package_list: str | None = field(default=None, kw_only=True)


class Delegated:
    """Base of the credentials that an acceptor was handed (CredSSP)."""

    __slots__ = ()


class HandedOver:
    """Delegated credentials inside a result: they are there for who asks for them, and in no form of the result itself.

    Its repr shows nothing, a copy (dataclasses.asdict too) holds this same object, and it cannot be pickled.
    """

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Delegated) -> None:
        self._credentials = credentials

    @property
    def credentials(self) -> Delegated:
        """What was handed over."""
        return self._credentials

    def __repr__(self) -> str:
        return "<delegated credentials>"

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __copy__(self) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise InvalidParameter("delegated credentials do not travel; take what you need of them first")


@dataclass(frozen=True, slots=True, repr=False)
class WinNTAuthIdentityPackedCredential(AuthIdentity):
    """A credential that is not a password, such as a keytab, with the type that says how to read it."""

    credential_type: uuid.UUID
    credential: bytes = field(repr=False)
    username: str | None = field(default=None, kw_only=True)
    domain: str | None = field(default=None, kw_only=True)
    flags: WinNTAuthFlags | int = field(default=_UNICODE, kw_only=True)
    package_list: str | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return (
            f"WinNTAuthIdentityPackedCredential(credential_type={self.credential_type!r}, username={self.username!r}, "
            f"domain={self.domain!r}, flags={int(self.flags)}, package_list={self.package_list!r})"
        )

    def __str__(self) -> str:
        kind = f"WinNTAuthIdentityPackedCredential {self.credential_type}"
        return f"{kind} for {_qualified(self.username, self.domain)}" if self.username else kind


def _qualified(username: str | None, domain: str | None) -> str:
    return f"{domain}\\{username or ''}" if domain else username or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchCredentials(AuthIdentity):
    """What Schannel authenticates with and whom it trusts (SCH_CREDENTIALS).

    Attributes:
        certificate: PEM file with the certificate, and those up to the root; "" has none. An acceptor without one
            makes a self-signed one.
        private_key: PEM file with its key; "" looks in the same file.
        password: Of the key.
        authorities: PEM file with the authorities to trust; "" trusts those of the system.
        host: Accepting: the name in a self-signed certificate.
        protocols: The versions of TLS that may be used.
        ciphers: OpenSSL's list of ciphers for TLS 1.2; "" takes Python's.
        resumption: Whether sessions are taken up again.
        session_lifetime: How long, in seconds.
        context: An ssl.SSLContext in place of all this but host; it says itself whom it trusts, and an acceptor's
            holds its certificate.
    """

    certificate: str = ""
    private_key: str = ""
    password: str | None = field(default=None, repr=False)
    authorities: str = ""
    host: str = ""
    protocols: SchannelProtocol = SchannelProtocol.SP_PROT_TLS1_2 | SchannelProtocol.SP_PROT_TLS1_3
    ciphers: str = ""
    resumption: bool = True
    session_lifetime: float = 36000.0
    context: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredsspCred(AuthIdentity):
    """What CredSSP authenticates with (CREDSSP_CRED).

    Attributes:
        schannel: For TLS: whom to trust, and the certificate of an acceptor, or of a client whose server asks for one.
        spnego: For Negotiate; None uses the tickets of the user.
        delegated: What is handed over, as CredSSP's TSCredentials in DER; None hands over what spnego holds.
        kind: Where that comes from; it chooses among the lists of the delegation policy.
    """

    schannel: SchCredentials | None = None
    spnego: AuthIdentity | None = None
    delegated: bytes | None = field(default=None, repr=False)
    kind: CredentialKind | None = None


class WinNTAuthCredentialType:
    """The types of packed credentials (sspi.h, SEC_WINNT_AUTH_DATA_TYPE_*)."""

    SEC_WINNT_AUTH_DATA_TYPE_PASSWORD: ClassVar = uuid.UUID("28BFC32F-10F6-4738-98D1-1AC061DF716A")
    SEC_WINNT_AUTH_DATA_TYPE_CERT: ClassVar = uuid.UUID("235F69AD-73FB-4DBC-8203-0629E739339B")
    SEC_WINNT_AUTH_DATA_TYPE_CREDMAN_CERT: ClassVar = uuid.UUID("7CB72412-1016-491A-8C87-4D2AA1B7DD3A")
    SEC_WINNT_AUTH_DATA_TYPE_NGC: ClassVar = uuid.UUID("10A47879-5EBF-4B85-BD8D-C21BB4F49C8A")
    SEC_WINNT_AUTH_DATA_TYPE_FIDO: ClassVar = uuid.UUID("32E8F8D7-7871-4BCC-83C5-460F66C6135C")
    SEC_WINNT_AUTH_DATA_TYPE_KEYTAB: ClassVar = uuid.UUID("D587AAE8-F78F-4455-A112-C934BEEE7CE1")
    SEC_WINNT_AUTH_DATA_TYPE_DELEGATION_TOKEN: ClassVar = uuid.UUID("12E52E0F-6F9B-4F83-9020-9DE42B226267")
    SEC_WINNT_AUTH_DATA_TYPE_CSP_DATA: ClassVar = uuid.UUID("68FD9879-079C-4DFE-8281-578AADC1C100")
    SEC_WINNT_AUTH_DATA_TYPE_SMARTCARD_CONTEXTS: ClassVar = uuid.UUID("B86C4FF3-49D7-4DC4-B560-B1163685B236")


def identity_of(credentials: Credentials | AuthIdentity | None, name: str) -> AuthIdentity | None:
    """Return what a package takes for what a program has.

    Args:
        credentials: None takes what the user has.
        name: Of the package, for the error's text.

    Raises:
        UnknownCredentials: no package takes credentials of this kind.
    """
    if credentials is None or isinstance(credentials, AuthIdentity):
        return credentials
    if isinstance(credentials, NtHash):
        return NtHashIdentity(credentials.username, credentials.realm, credentials.octets)
    if isinstance(credentials, Tickets):
        return TicketsIdentity(
            credentials.username or None, credentials.realm, cache=credentials.cache, keytab=credentials.keytab
        )
    if isinstance(credentials, PerPackage):
        return PerPackageIdentity({each: identity_of(own, each) for each, own in credentials.packages.items()})
    if not isinstance(credentials, Password):
        raise UnknownCredentials(f"{name} does not take {type(credentials).__name__} credentials")
    return WinNTAuthIdentity(credentials.username, credentials.realm, credentials.password)
