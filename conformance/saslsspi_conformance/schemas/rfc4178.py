"""The modules of RFC 4178 (appendix A) and MS-SPNG (section 2.2.1), and the frame of RFC 2743 section 3.1."""

from __future__ import annotations

from typing import Final

from pyasn1.type.char import GeneralString
from pyasn1.type.namedtype import NamedType, NamedTypes, OptionalNamedType
from pyasn1.type.namedval import NamedValues
from pyasn1.type.tag import Tag, tagClassApplication, tagClassContext, tagFormatConstructed, tagFormatSimple
from pyasn1.type.univ import BitString, Choice, Enumerated, ObjectIdentifier, OctetString, Sequence, SequenceOf

__all__ = [
    "ContextFlags",
    "InitialContextToken",
    "InitialContextToken2",
    "MechTypeList",
    "NegHints",
    "NegTokenInit",
    "NegTokenInit2",
    "NegTokenResp",
    "NegotiationToken",
]


def _context(number: int) -> Tag:
    return Tag(tagClassContext, tagFormatSimple, number)


MechTypeList: Final = SequenceOf(componentType=ObjectIdentifier())
"""RFC 4178 section 4.1."""

ContextFlags: Final = BitString(
    namedValues=NamedValues(
        ("delegFlag", 0),
        ("mutualFlag", 1),
        ("replayFlag", 2),
        ("sequenceFlag", 3),
        ("anonFlag", 4),
        ("confFlag", 5),
        ("integFlag", 6),
    )
)
"""RFC 4178 section 4.2.1."""

NegTokenInit: Final = Sequence(
    componentType=NamedTypes(
        NamedType("mechTypes", MechTypeList.subtype(explicitTag=_context(0))),
        OptionalNamedType("reqFlags", ContextFlags.subtype(explicitTag=_context(1))),
        OptionalNamedType("mechToken", OctetString().subtype(explicitTag=_context(2))),
        OptionalNamedType("mechListMIC", OctetString().subtype(explicitTag=_context(3))),
    )
)
"""RFC 4178 section 4.2.1."""

NegHints: Final = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("hintName", GeneralString().subtype(explicitTag=_context(0))),
        OptionalNamedType("hintAddress", OctetString().subtype(explicitTag=_context(1))),
    )
)
"""MS-SPNG section 2.2.1."""

NegTokenInit2: Final = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("mechTypes", MechTypeList.subtype(explicitTag=_context(0))),
        OptionalNamedType("reqFlags", ContextFlags.subtype(explicitTag=_context(1))),
        OptionalNamedType("mechToken", OctetString().subtype(explicitTag=_context(2))),
        OptionalNamedType("negHints", NegHints.subtype(explicitTag=_context(3))),
        OptionalNamedType("mechListMIC", OctetString().subtype(explicitTag=_context(4))),
    )
)
"""MS-SPNG section 2.2.1."""

_NegState: Final = Enumerated(
    namedValues=NamedValues(("accept-completed", 0), ("accept-incomplete", 1), ("reject", 2), ("request-mic", 3))
)

NegTokenResp: Final = Sequence(
    componentType=NamedTypes(
        OptionalNamedType("negState", _NegState.subtype(explicitTag=_context(0))),
        OptionalNamedType("supportedMech", ObjectIdentifier().subtype(explicitTag=_context(1))),
        OptionalNamedType("responseToken", OctetString().subtype(explicitTag=_context(2))),
        OptionalNamedType("mechListMIC", OctetString().subtype(explicitTag=_context(3))),
    )
)
"""RFC 4178 section 4.2.2."""

NegotiationToken: Final = Choice(
    componentType=NamedTypes(
        NamedType("negTokenInit", NegTokenInit.subtype(explicitTag=_context(0))),
        NamedType("negTokenResp", NegTokenResp.subtype(explicitTag=_context(1))),
    )
)
"""RFC 4178 section 4.2."""

_NegotiationToken2: Final = Choice(
    componentType=NamedTypes(NamedType("negTokenInit2", NegTokenInit2.subtype(explicitTag=_context(0))))
)

_FRAME: Final = Tag(tagClassApplication, tagFormatConstructed, 0)


InitialContextToken: Final = Sequence(
    tagSet=Sequence.tagSet.tagImplicitly(_FRAME),
    componentType=NamedTypes(
        NamedType("thisMech", ObjectIdentifier()), NamedType("innerContextToken", NegotiationToken)
    ),
)
"""RFC 2743 section 3.1, for this mechanism."""

InitialContextToken2: Final = Sequence(
    tagSet=Sequence.tagSet.tagImplicitly(_FRAME),
    componentType=NamedTypes(
        NamedType("thisMech", ObjectIdentifier()), NamedType("innerContextToken", _NegotiationToken2)
    ),
)
"""The same with a NegTokenInit2."""
