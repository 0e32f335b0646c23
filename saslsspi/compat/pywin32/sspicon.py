"""sspicon's names: the flags, buffer types, attributes and statuses, as signed 32-bit numbers.

They are read from the enumerations of this library, so that there is one list; the numbers of attributes stand here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from saslsspi.engine import flags
from saslsspi.errors import signed_status
from saslsspi.status import SecurityStatus

__all__: list[str] = []

_ENUMERATIONS: Final[tuple[type[enum.Enum], ...]] = (
    flags.AscReq,
    flags.AscRet,
    flags.CredentialUse,
    flags.ExportFlags,
    flags.IscReq,
    flags.IscRet,
    flags.QopFlags,
    flags.SaslOption,
    flags.SecBufferFlags,
    flags.SecBufferType,
    flags.SecurityPackageCapability,
    flags.TargetDataRep,
    flags.WinNTAuthFlags,
    SecurityStatus,
)
_ATTRIBUTES: Final = {
    "SECPKG_ATTR_SIZES": 0,
    "SECPKG_ATTR_NAMES": 1,
    "SECPKG_ATTR_LIFESPAN": 2,
    "SECPKG_ATTR_DCE_INFO": 3,
    "SECPKG_ATTR_STREAM_SIZES": 4,
    "SECPKG_ATTR_KEY_INFO": 5,
    "SECPKG_ATTR_AUTHORITY": 6,
    "SECPKG_ATTR_PROTO_INFO": 7,
    "SECPKG_ATTR_PASSWORD_EXPIRY": 8,
    "SECPKG_ATTR_SESSION_KEY": 9,
    "SECPKG_ATTR_PACKAGE_INFO": 10,
    "SECPKG_ATTR_USER_FLAGS": 11,
    "SECPKG_ATTR_NEGOTIATION_INFO": 12,
    "SECPKG_ATTR_NATIVE_NAMES": 13,
    "SECPKG_ATTR_FLAGS": 14,
    "SECPKG_ATTR_USE_VALIDATED": 15,
    "SECPKG_ATTR_CREDENTIAL_NAME": 16,
    "SECPKG_ATTR_TARGET_INFORMATION": 17,
    "SECPKG_ATTR_ACCESS_TOKEN": 18,
    "SECPKG_ATTR_TARGET": 19,
    "SECPKG_ATTR_AUTHENTICATION_ID": 20,
    "SECPKG_ATTR_CLIENT_SPECIFIED_TARGET": 27,
    "SECPKG_ATTR_REMOTE_CERT_CONTEXT": 83,
    "SECPKG_ATTR_LOCAL_CERT_CONTEXT": 84,
    "SECPKG_ATTR_ROOT_STORE": 85,
    "SECPKG_ATTR_SUPPORTED_ALGS": 86,
    "SECPKG_ATTR_CIPHER_STRENGTHS": 87,
    "SECPKG_ATTR_SUPPORTED_PROTOCOLS": 88,
    "SECPKG_ATTR_ISSUER_LIST_EX": 89,
    "SECPKG_ATTR_CONNECTION_INFO": 90,
    "SECPKG_ATTR_EAP_KEY_BLOCK": 91,
    "SECPKG_ATTR_MAPPED_CRED_ATTR": 92,
    "SECPKG_ATTR_SESSION_INFO": 93,
    "SECPKG_ATTR_APP_DATA": 94,
    "SECPKG_CRED_ATTR_NAMES": 1,
}
_OTHERS: Final = {
    "ISSP_LEVEL": 32,
    "ISSP_MODE": 1,
    "SECBUFFER_ATTRMASK": 0xF0000000,
    "SECBUFFER_RESERVED": 0x60000000,
    "SECBUFFER_VERSION": 0,
    "SECPKG_CRED_DEFAULT": 4,
    "SECPKG_CRED_RESERVED": 0xF0000000,
    "SECPKG_ID_NONE": 0xFFFF,
    "SECPKG_NEGOTIATION_COMPLETE": 0,
    "SECPKG_NEGOTIATION_OPTIMISTIC": 1,
    "SECPKG_NEGOTIATION_IN_PROGRESS": 2,
    "SECPKG_NEGOTIATION_DIRECT": 3,
    "SECPKG_NEGOTIATION_TRY_MULTICRED": 4,
    "SECPKG_OPTIONS_TYPE_UNKNOWN": 0,
    "SECPKG_OPTIONS_TYPE_LSA": 1,
    "SECPKG_OPTIONS_TYPE_SSPI": 2,
    "SECPKG_OPTIONS_PERMANENT": 1,
    "SEC_WINNT_AUTH_IDENTITY_ANSI": 1,
    "SEC_WINNT_AUTH_IDENTITY_UNICODE": 2,
    "SEC_WINNT_AUTH_IDENTITY_MARSHALLED": 4,
    "SEC_WINNT_AUTH_IDENTITY_ONLY": 8,
    "SEC_WINNT_AUTH_IDENTITY_VERSION": 0x200,
    "SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION": 1,
    "SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_2": 2,
}


def SEC_SUCCESS(Status: int) -> bool:
    """Whether a status is one of success."""
    return Status >= 0


def _named() -> Iterator[tuple[str, int]]:
    for enumeration in _ENUMERATIONS:
        for name, member in enumeration.__members__.items():
            yield name, int(member.value)
    yield from _ATTRIBUTES.items()
    yield from _OTHERS.items()


_NUMBERS: Final = {name: signed_status(number) for name, number in _named()}
globals().update(_NUMBERS)  # so that a program that walks sspicon.__dict__ finds them, as pywin32's own demo does
__all__ += ["SEC_SUCCESS", *sorted(_NUMBERS)]


def __getattr__(name: str) -> int:
    """Say what there is not; for type checkers, that every name is a number."""
    raise AttributeError(f"{__name__} has no {name}: this library knows no such flag, attribute or status")
