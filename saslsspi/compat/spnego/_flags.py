"""What is asked of a context and what it grants, in pyspnego's bits and in SSPI's."""

from __future__ import annotations

import enum
from typing import Final

from saslsspi.engine.flags import AscRet, IscReq, IscRet
from saslsspi.engine.policy import SSF_UNLIMITED

__all__ = ["ContextReq", "asked_flags", "granted", "largest_factor"]


class ContextReq(enum.IntFlag):
    """What is asked of a context; context_attr says in the same bits what was granted."""

    none = 0
    delegate = 0x1
    mutual_auth = 0x2
    replay_detect = 0x4
    sequence_detect = 0x8
    confidentiality = 0x10
    integrity = 0x20
    dce_style = 0x1000
    identify = 0x2000
    delegate_policy = 0x80000
    no_integrity = 0x10000000
    default = mutual_auth | replay_detect | sequence_detect | confidentiality | integrity


_NAMES: Final = {
    ContextReq.delegate: "DELEGATE",
    ContextReq.mutual_auth: "MUTUAL_AUTH",
    ContextReq.replay_detect: "REPLAY_DETECT",
    ContextReq.sequence_detect: "SEQUENCE_DETECT",
    ContextReq.confidentiality: "CONFIDENTIALITY",
    ContextReq.integrity: "INTEGRITY",
    ContextReq.dce_style: "USE_DCE_STYLE",
    ContextReq.identify: "IDENTIFY",
}
_ASKED: Final = {request: int(IscReq[f"ISC_REQ_{name}"]) for request, name in _NAMES.items()}
_RETURNED: Final = {request: name.replace("USE_", "USED_") for request, name in _NAMES.items()}
_GRANTED: Final = {
    "initiate": {request: int(IscRet[f"ISC_RET_{name}"]) for request, name in _RETURNED.items()},
    "accept": {request: int(AscRet[f"ASC_RET_{name}"]) for request, name in _RETURNED.items()},
}
_NO_INTEGRITY: Final = int(IscReq.ISC_REQ_NO_INTEGRITY)


def asked_flags(asked: ContextReq) -> int:
    """Return what an initiator asks for, in ISC_REQ bits."""
    flags = sum(bit for request, bit in _ASKED.items() if asked & request)
    return flags if asked & ContextReq.confidentiality or not asked & ContextReq.no_integrity else flags | _NO_INTEGRITY


def largest_factor(asked: ContextReq) -> int:
    """Return the greatest security strength factor that an initiator wants.

    Without confidentiality messages are signed, as pyspnego's NTLM signs them whatever is asked for.
    """
    if asked & ContextReq.confidentiality:
        return SSF_UNLIMITED
    return 0 if asked & ContextReq.no_integrity else 1


def granted(usage: str, flags: int) -> ContextReq:
    """Return what ISC_RET bits (initiate) or ASC_RET bits (accept) say."""
    found = ContextReq.none
    for request, bit in _GRANTED[usage].items():
        if flags & bit:
            found |= request
    return found
