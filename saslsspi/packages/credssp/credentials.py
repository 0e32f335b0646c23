"""The credentials that are handed over: TSCredentials and its three kinds (MS-CSSP section 2.2.1.2).

TSCredentials ::= SEQUENCE { credType [0] INTEGER, credentials [1] OCTET STRING }
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Self

from cryptography.hazmat import asn1

from saslsspi.engine.identity import Delegated
from saslsspi.engine.policy import CredSspCredentials
from saslsspi.errors import InvalidToken
from saslsspi.packages.credssp.messages import decode, encode

__all__ = [
    "EMPTY",
    "EMPTY_OCTETS",
    "PackageCredential",
    "PasswordCredentials",
    "RemoteGuardCredentials",
    "SmartCardCredentials",
    "decode_credentials",
]


@asn1.sequence
class _TSCredentials:
    cred_type: Annotated[int, asn1.Explicit(0)]
    credentials: Annotated[bytes, asn1.Explicit(1)]


@asn1.sequence
class _TSPasswordCreds:
    domain_name: Annotated[bytes, asn1.Explicit(0)]
    user_name: Annotated[bytes, asn1.Explicit(1)]
    password: Annotated[bytes, asn1.Explicit(2)]


@asn1.sequence
class _TSCspDataDetail:
    key_spec: Annotated[int, asn1.Explicit(0)]
    card_name: Annotated[bytes | None, asn1.Explicit(1)]
    reader_name: Annotated[bytes | None, asn1.Explicit(2)]
    container_name: Annotated[bytes | None, asn1.Explicit(3)]
    csp_name: Annotated[bytes | None, asn1.Explicit(4)]


@asn1.sequence
class _TSSmartCardCreds:
    pin: Annotated[bytes, asn1.Explicit(0)]
    csp_data: Annotated[_TSCspDataDetail, asn1.Explicit(1)]
    user_hint: Annotated[bytes | None, asn1.Explicit(2)]
    domain_hint: Annotated[bytes | None, asn1.Explicit(3)]


@asn1.sequence
class _TSRemoteGuardPackageCred:
    package_name: Annotated[bytes, asn1.Explicit(0)]
    cred_buffer: Annotated[bytes, asn1.Explicit(1)]


@asn1.sequence
class _TSRemoteGuardCreds:
    logon_cred: Annotated[_TSRemoteGuardPackageCred, asn1.Explicit(0)]
    supplemental_creds: Annotated[list[_TSRemoteGuardPackageCred] | None, asn1.Explicit(1)]


@dataclass(frozen=True, slots=True)
class PasswordCredentials(Delegated):
    """A password (section 2.2.1.2.1). Its repr omits it; three empty values say that nothing is delegated."""

    kind: ClassVar = CredSspCredentials.PASSWORD
    words: ClassVar = "a password"

    domain: str
    username: str
    password: str = field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode as TSCredentials."""
        return _credentials(
            1,
            encode(
                _TSPasswordCreds(
                    domain_name=_octets(self.domain),
                    user_name=_octets(self.username),
                    password=_octets(self.password),
                )
            ),
        )

    @classmethod
    def from_body(cls, data: bytes) -> Self:
        """Decode a TSPasswordCreds."""
        wire = decode(_TSPasswordCreds, data, "TSPasswordCreds")
        return cls(_text(wire.domain_name), _text(wire.user_name), _text(wire.password))


@dataclass(frozen=True, slots=True)
class SmartCardCredentials(Delegated):
    """A smart card's PIN and where its key is (section 2.2.1.2.2). Its repr omits the PIN.

    Attributes:
        key_spec: AT_KEYEXCHANGE 1, AT_SIGNATURE 2, or 0 for a CNG key.
    """

    kind: ClassVar = CredSspCredentials.SMART_CARD
    words: ClassVar = "the PIN of a smart card"

    pin: str = field(repr=False)
    key_spec: int
    card_name: str | None = None
    reader_name: str | None = None
    container_name: str | None = None
    csp_name: str | None = None
    user_hint: str | None = None
    domain_hint: str | None = None

    def to_bytes(self) -> bytes:
        """Encode as TSCredentials."""
        detail = _TSCspDataDetail(
            key_spec=self.key_spec,
            card_name=_maybe_octets(self.card_name),
            reader_name=_maybe_octets(self.reader_name),
            container_name=_maybe_octets(self.container_name),
            csp_name=_maybe_octets(self.csp_name),
        )
        wire = _TSSmartCardCreds(
            pin=_octets(self.pin),
            csp_data=detail,
            user_hint=_maybe_octets(self.user_hint),
            domain_hint=_maybe_octets(self.domain_hint),
        )
        return _credentials(2, encode(wire))

    @classmethod
    def from_body(cls, data: bytes) -> Self:
        """Decode a TSSmartCardCreds."""
        wire = decode(_TSSmartCardCreds, data, "TSSmartCardCreds")
        detail = wire.csp_data
        return cls(
            _text(wire.pin),
            detail.key_spec,
            _maybe_text(detail.card_name),
            _maybe_text(detail.reader_name),
            _maybe_text(detail.container_name),
            _maybe_text(detail.csp_name),
            _maybe_text(wire.user_hint),
            _maybe_text(wire.domain_hint),
        )


@dataclass(frozen=True, slots=True)
class PackageCredential:
    """What one security package needs for Remote Credential Guard (section 2.2.1.2.3.1); its repr omits the buffer."""

    package: str
    buffer: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoteGuardCredentials(Delegated):
    """Credentials that stay on the client: Kerberos service tickets, NTLM supplements (section 2.2.1.2.3)."""

    kind: ClassVar = CredSspCredentials.REMOTE_GUARD
    words: ClassVar = "what Remote Credential Guard needs"

    logon: PackageCredential
    supplemental: tuple[PackageCredential, ...] = ()

    def to_bytes(self) -> bytes:
        """Encode as TSCredentials."""
        supplemental = [_package(credential) for credential in self.supplemental] or None
        return _credentials(
            6, encode(_TSRemoteGuardCreds(logon_cred=_package(self.logon), supplemental_creds=supplemental))
        )

    @classmethod
    def from_body(cls, data: bytes) -> Self:
        """Decode a TSRemoteGuardCreds."""
        wire = decode(_TSRemoteGuardCreds, data, "TSRemoteGuardCreds")
        supplemental = tuple(_unpackage(credential) for credential in wire.supplemental_creds or ())
        return cls(_unpackage(wire.logon_cred), supplemental)


EMPTY: Final = PasswordCredentials("", "", "")
"""What goes where nothing is delegated."""
_Kind = PasswordCredentials | SmartCardCredentials | RemoteGuardCredentials
_KINDS: Final[Mapping[int, Callable[[bytes], _Kind]]] = {
    1: PasswordCredentials.from_body,
    2: SmartCardCredentials.from_body,
    6: RemoteGuardCredentials.from_body,
}


def decode_credentials(data: bytes) -> _Kind:
    """Decode a TSCredentials.

    Raises:
        InvalidToken: an unknown kind, a structure of another kind, octets left over, or text that is not UTF-16LE.
    """
    if data == EMPTY_OCTETS:  # as nearly always
        return EMPTY
    wire = decode(_TSCredentials, data, "TSCredentials")
    from_body = _KINDS.get(wire.cred_type)
    if from_body is None:
        raise InvalidToken(f"credType {wire.cred_type}, expected one of 1, 2 and 6", requirement="MSCSSP-2.2.1.2-01")
    return from_body(wire.credentials)


def _credentials(kind: int, body: bytes) -> bytes:
    return encode(_TSCredentials(cred_type=kind, credentials=body))


def _package(credential: PackageCredential) -> _TSRemoteGuardPackageCred:
    return _TSRemoteGuardPackageCred(package_name=_octets(credential.package), cred_buffer=credential.buffer)


def _unpackage(wire: _TSRemoteGuardPackageCred) -> PackageCredential:
    return PackageCredential(_text(wire.package_name), wire.cred_buffer)


def _octets(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _maybe_octets(text: str | None) -> bytes | None:
    return None if text is None else _octets(text)


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-16-le", "surrogatepass")
    except UnicodeDecodeError:
        raise InvalidToken("a text is not UTF-16LE", requirement="MSCSSP-2.2-02") from None


def _maybe_text(octets: bytes | None) -> str | None:
    return None if octets is None else _text(octets)


EMPTY_OCTETS: Final = EMPTY.to_bytes()
