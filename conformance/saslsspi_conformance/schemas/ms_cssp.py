"""The module of MS-CSSP: sections 2.2.1 to 2.2.1.2.3.1, appendix A. Every field has an explicit tag."""

from __future__ import annotations

from typing import Any, Final

from pyasn1.type.namedtype import NamedType, NamedTypes, OptionalNamedType
from pyasn1.type.tag import Tag, tagClassContext, tagFormatSimple
from pyasn1.type.univ import Integer, OctetString, Sequence, SequenceOf

__all__ = [
    "NegoData",
    "TSCredentials",
    "TSCspDataDetail",
    "TSPasswordCreds",
    "TSRemoteGuardCreds",
    "TSRemoteGuardPackageCred",
    "TSRequest",
    "TSSmartCardCreds",
]


def _tagged(kind: Any, number: int) -> Any:
    return kind.subtype(explicitTag=Tag(tagClassContext, tagFormatSimple, number))


def _must(name: str, kind: Any, number: int) -> NamedType:
    return NamedType(name, _tagged(kind, number))


def _may(name: str, kind: Any, number: int) -> OptionalNamedType:
    return OptionalNamedType(name, _tagged(kind, number))


_NegoToken: Final = Sequence(componentType=NamedTypes(_must("negoToken", OctetString(), 0)))

NegoData: Final = SequenceOf(componentType=_NegoToken)
"""Section 2.2.1.1."""

TSRequest: Final = Sequence(
    componentType=NamedTypes(
        _must("version", Integer(), 0),
        _may("negoTokens", NegoData, 1),
        _may("authInfo", OctetString(), 2),
        _may("pubKeyAuth", OctetString(), 3),
        _may("errorCode", Integer(), 4),
        _may("clientNonce", OctetString(), 5),
    )
)
"""Section 2.2.1."""

TSCredentials: Final = Sequence(
    componentType=NamedTypes(_must("credType", Integer(), 0), _must("credentials", OctetString(), 1))
)
"""Section 2.2.1.2."""

TSPasswordCreds: Final = Sequence(
    componentType=NamedTypes(
        _must("domainName", OctetString(), 0), _must("userName", OctetString(), 1), _must("password", OctetString(), 2)
    )
)
"""Section 2.2.1.2.1."""

TSCspDataDetail: Final = Sequence(
    componentType=NamedTypes(
        _must("keySpec", Integer(), 0),
        _may("cardName", OctetString(), 1),
        _may("readerName", OctetString(), 2),
        _may("containerName", OctetString(), 3),
        _may("cspName", OctetString(), 4),
    )
)
"""Section 2.2.1.2.2.1."""

TSSmartCardCreds: Final = Sequence(
    componentType=NamedTypes(
        _must("pin", OctetString(), 0),
        _must("cspData", TSCspDataDetail, 1),
        _may("userHint", OctetString(), 2),
        _may("domainHint", OctetString(), 3),
    )
)
"""Section 2.2.1.2.2."""

TSRemoteGuardPackageCred: Final = Sequence(
    componentType=NamedTypes(_must("packageName", OctetString(), 0), _must("credBuffer", OctetString(), 1))
)
"""Section 2.2.1.2.3.1."""

_Supplemental: Final = SequenceOf(componentType=TSRemoteGuardPackageCred)

TSRemoteGuardCreds: Final = Sequence(
    componentType=NamedTypes(
        _must("logonCred", TSRemoteGuardPackageCred, 0), _may("supplementalCreds", _Supplemental, 1)
    )
)
"""Section 2.2.1.2.3."""
