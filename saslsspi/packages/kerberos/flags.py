"""SSPI's context flags in GSS-API's bits (RFC 2744 section 3.5; RFC 4757 section 7.1 for the last three)."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.exchange import Side
from saslsspi.engine.flags import AscReq, IscReq

__all__ = [
    "GSS_ANONYMOUS",
    "GSS_CHANNEL_BOUND",
    "GSS_CONFIDENTIALITY",
    "GSS_DCE",
    "GSS_DELEGATE",
    "GSS_INTEGRITY",
    "from_gss",
    "to_gss",
]

GSS_DELEGATE: Final = 0x1
_MUTUAL: Final = 0x2
GSS_CONFIDENTIALITY: Final = 0x10
GSS_INTEGRITY: Final = 0x20
GSS_ANONYMOUS: Final = 0x40
GSS_CHANNEL_BOUND: Final = 0x800  # MIT since 1.19: the acceptor has compared the bindings
GSS_DCE: Final = 0x1000
# Without effect in a request. The binding takes 0 for "nothing was said" and then asks for mutual authentication.
_TRANSFERABLE: Final = 0x100

# Name of the flag without its prefix, and the bit; requests and grants of one side share their bits.
_NAMES: Final = {
    "DELEGATE": GSS_DELEGATE,
    "MUTUAL_AUTH": _MUTUAL,
    "REPLAY_DETECT": 0x4,
    "SEQUENCE_DETECT": 0x8,
    "CONFIDENTIALITY": GSS_CONFIDENTIALITY,
    "INTEGRITY": GSS_INTEGRITY,
    "USE_DCE_STYLE": GSS_DCE,
    "IDENTIFY": 0x2000,
    "EXTENDED_ERROR": 0x4000,
}
_BITS: Final = {
    Side.INITIATE: {int(IscReq[f"ISC_REQ_{name}"]): bit for name, bit in _NAMES.items()},
    Side.ACCEPT: {int(AscReq[f"ASC_REQ_{name}"]): bit for name, bit in _NAMES.items()},
}
_NO_INTEGRITY: Final = int(IscReq.ISC_REQ_NO_INTEGRITY)
_NEEDS_INTEGRITY: Final = 0x4 | 0x8 | GSS_CONFIDENTIALITY


def to_gss(side: Side, flags: int) -> int:
    """Return what to ask the library for.

    Confidentiality and the detection of replays and sequence errors imply integrity; delegation counts only with
    mutual authentication. An initiator's NO_INTEGRITY takes back what implied it: messages are neither signed nor
    numbered then, unless they are sealed.
    """
    bits = sum(bit for flag, bit in _BITS[side].items() if flags & flag)
    if side is Side.INITIATE and flags & _NO_INTEGRITY and not bits & GSS_CONFIDENTIALITY:
        bits &= ~GSS_INTEGRITY
    elif bits & _NEEDS_INTEGRITY:
        bits |= GSS_INTEGRITY
    if not bits & _MUTUAL:
        bits &= ~GSS_DELEGATE
    return bits | _TRANSFERABLE


def from_gss(side: Side, bits: int, *, delegated: bool | None = None) -> int:
    """Return what a context grants in SSPI's flags; delegated tells whether there is a credential to use."""
    if delegated is not None:
        bits = bits | GSS_DELEGATE if delegated else bits & ~GSS_DELEGATE
    return sum(flag for flag, bit in _BITS[side].items() if bits & bit)
