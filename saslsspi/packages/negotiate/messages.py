"""The tokens of SPNEGO (RFC 4178 section 4.2, MS-SPNG section 2.2.1).

    NegotiationToken ::= CHOICE { negTokenInit [0] NegTokenInit, negTokenResp [1] NegTokenResp }

The list of mechanisms is kept as it was received: its MIC is over those octets, not over an encoding of our own.
Unknown fields are ignored (RFC 4178 section 6).
"""

from __future__ import annotations

import enum
import functools
from typing import Final, NamedTuple, Self

from saslsspi.der import Lengths, Reader, Tag, context, element, encode_oid, enumerated, octet_string, oid, sequence
from saslsspi.errors import InvalidToken

__all__ = ["HINT", "MAX_TOKEN", "SPNEGO", "NegState", "NegTokenInit", "NegTokenResp", "mech_type_list"]

MAX_TOKEN: Final = 48256
"""Largest token that Windows makes, in octets."""

SPNEGO: Final = "1.3.6.1.5.5.2"
HINT: Final = b"not_defined_in_RFC4178@please_ignore"

_SPNEGO_OCTETS: Final = encode_oid(SPNEGO)
_FRAME: Final = 0x60  # RFC 2743 section 3.1: [APPLICATION 0]
_MAX_MECHANISMS: Final = 32


class NegState(enum.IntEnum):
    """The state of a negotiation, as its sender sees it."""

    ACCEPT_COMPLETED = 0
    ACCEPT_INCOMPLETE = 1
    REJECT = 2
    REQUEST_MIC = 3


def mech_type_list(mech_types: tuple[str, ...]) -> bytes:
    """Encode a MechTypeList; the MIC is over these octets, without the [0] around them."""
    return sequence(*map(oid, mech_types))


class NegTokenInit(NamedTuple):
    """The first token: a client's offer, or a server's with hints (NegTokenInit2).

        NegTokenInit  ::= SEQUENCE { mechTypes [0], reqFlags [1] OPTIONAL, mechToken [2] OPTIONAL,
                                     mechListMIC [3] OPTIONAL, ... }
        NegTokenInit2 ::= SEQUENCE { mechTypes [0], reqFlags [1] OPTIONAL, mechToken [2] OPTIONAL,
                                     negHints [3] OPTIONAL, mechListMIC [4] OPTIONAL, ... }

    Attributes:
        mech_list: The encoded MechTypeList, as received.
        hint: The hintName of NegTokenInit2; None without hints.
    """

    mech_types: tuple[str, ...]
    mech_list: bytes
    token: bytes | None = None
    mic: bytes | None = None
    hint: bytes | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: it is not framed for SPNEGO, or not DER, or lists no mechanism.
        """
        outer = Reader(data, lengths=Lengths.ANY_DEFINITE)
        frame = outer.enter(_FRAME)
        outer.end()
        if frame.contents(Tag.OID) != _SPNEGO_OCTETS:
            raise InvalidToken("the token is framed for another mechanism", requirement="RFC4178-4.2-03")
        choice = frame.enter(context(0))
        frame.end()
        fields = choice.enter()
        choice.end()
        mech_list, token, mic, hint = b"", None, None, None
        while (tag := fields.peek()) is not None:
            if tag == context(0):
                mech_list = fields.enter(tag).encoded(Tag.SEQUENCE)
            elif tag == context(2):
                token = fields.enter(tag).octet_string()
            elif tag in (context(3), context(4)):
                field = fields.enter(tag)
                # [3] is mechListMIC in RFC 4178 and negHints in MS-SPNG; their types tell them apart.
                if field.peek() == Tag.SEQUENCE:
                    hint = _hint_name(field.enter())
                else:
                    mic = field.octet_string()
            else:
                # RFC 4178 section 4.2.1: reqFlags "... SHALL be ignored"; section 6: so are unknown fields.
                fields.contents(tag)
        mech_types = _mech_types(mech_list) if mech_list else ()
        if not mech_types:
            raise InvalidToken("the offer lists no mechanism", requirement="RFC4178-4.2.1-01")
        return cls(mech_types, mech_list, token, mic, hint)

    def to_bytes(self) -> bytes:
        """Encode; with a hint as NegTokenInit2."""
        parts = [element(context(0), self.mech_list)]
        if self.token is not None:
            parts.append(element(context(2), octet_string(self.token)))
        if self.hint is not None:
            hints = sequence(element(context(0), element(Tag.GENERAL_STRING, self.hint)))
            parts.append(element(context(3), hints))
        if self.mic is not None:
            parts.append(element(context(3 if self.hint is None else 4), octet_string(self.mic)))
        return element(_FRAME, element(Tag.OID, _SPNEGO_OCTETS), element(context(0), sequence(*parts)))


# Peers send the same few lists, and we the same few identifiers, with every logon.
@functools.lru_cache(maxsize=64)
def _mech_types(mech_list: bytes) -> tuple[str, ...]:
    types = Reader(mech_list, lengths=Lengths.ANY_DEFINITE)
    return tuple(types.sequence_of(Reader.oid, max_count=_MAX_MECHANISMS))


@functools.lru_cache(maxsize=64)
def _supported(dotted: str) -> bytes:
    return element(context(1), oid(dotted))


def _hint_name(hints: Reader) -> bytes:
    name = b""
    while (tag := hints.peek()) is not None:
        if tag == context(0):
            name = hints.enter(tag).general_string()
        else:
            hints.contents(tag)
    return name


class NegTokenResp(NamedTuple):
    """Every later token, of both sides.

        NegTokenResp ::= SEQUENCE { negState [0] OPTIONAL, supportedMech [1] OPTIONAL, responseToken [2] OPTIONAL,
                                    mechListMIC [3] OPTIONAL, ... }

    Attributes:
        state: None where the sender left it to be inferred.
    """

    state: NegState | None = None
    supported_mech: str | None = None
    token: bytes | None = None
    mic: bytes | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: it is not a NegTokenResp in DER, or its state is none of the four.
        """
        outer = Reader(data, lengths=Lengths.ANY_DEFINITE)
        choice = outer.enter(context(1))
        outer.end()
        fields = choice.enter()
        choice.end()
        state, mech, token, mic = None, None, None, None
        while (tag := fields.peek()) is not None:
            if tag == context(0):
                number = fields.enter(tag).enumerated()
                if not 0 <= number <= 3:
                    raise InvalidToken(f"negState {number} is none of the four")
                state = NegState(number)
            elif tag == context(1):
                mech = fields.enter(tag).oid()
            elif tag == context(2):
                token = fields.enter(tag).octet_string()
            elif tag == context(3):
                mic = fields.enter(tag).octet_string()
            else:
                fields.contents(tag)
        # Old servers copy the responseToken into mechListMIC.
        return cls(state, mech, token, None if mic is not None and mic == token else mic)

    def to_bytes(self) -> bytes:
        """Encode."""
        parts = []
        if self.state is not None:
            parts.append(element(context(0), enumerated(self.state)))
        if self.supported_mech is not None:
            parts.append(_supported(self.supported_mech))
        if self.token is not None:
            parts.append(element(context(2), octet_string(self.token)))
        if self.mic is not None:
            parts.append(element(context(3), octet_string(self.mic)))
        return element(context(1), sequence(*parts))
