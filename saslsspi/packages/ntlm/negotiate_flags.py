"""The NegotiateFlags of NTLM, and what context flags and policy make of them (MS-NLMP section 2.2.2.5)."""

from __future__ import annotations

import enum
from typing import Final

from saslsspi.engine.exchange import Side
from saslsspi.engine.flags import AscReq, AscRet, IscReq, IscRet
from saslsspi.engine.policy import NtlmResponses, Policy
from saslsspi.errors import InvalidToken, PeerUnsupported, SecurityNotAgreed

__all__ = ["NtlmFlag", "agree", "asked", "check_strength", "granted", "key_bits", "offer", "permitted", "select"]


class NtlmFlag(enum.IntFlag):
    """The bits of NegotiateFlags; those that we do not know survive a round trip."""

    UNICODE = 0x00000001
    OEM = 0x00000002
    REQUEST_TARGET = 0x00000004
    SIGN = 0x00000010
    SEAL = 0x00000020
    DATAGRAM = 0x00000040
    LM_KEY = 0x00000080
    NTLM = 0x00000200
    ANONYMOUS = 0x00000800
    OEM_DOMAIN_SUPPLIED = 0x00001000
    OEM_WORKSTATION_SUPPLIED = 0x00002000
    ALWAYS_SIGN = 0x00008000
    TARGET_TYPE_DOMAIN = 0x00010000
    TARGET_TYPE_SERVER = 0x00020000
    EXTENDED_SESSIONSECURITY = 0x00080000
    IDENTIFY = 0x00100000
    REQUEST_NON_NT_SESSION_KEY = 0x00400000
    TARGET_INFO = 0x00800000
    VERSION = 0x02000000
    KEY_128 = 0x20000000
    KEY_EXCH = 0x40000000
    KEY_56 = 0x80000000


# Plain integers: an IntFlag operation costs a microsecond.
_UNICODE: Final = int(NtlmFlag.UNICODE)
_OEM: Final = int(NtlmFlag.OEM)
_SIGN: Final = int(NtlmFlag.SIGN)
_SEAL: Final = int(NtlmFlag.SEAL)
_DATAGRAM: Final = int(NtlmFlag.DATAGRAM)
_LM_KEY: Final = int(NtlmFlag.LM_KEY)
_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
_IDENTIFY: Final = int(NtlmFlag.IDENTIFY)
_KEY_EXCH: Final = int(NtlmFlag.KEY_EXCH)
_KEY_128: Final = int(NtlmFlag.KEY_128)
_KEY_56: Final = int(NtlmFlag.KEY_56)
_LAYER: Final = _SIGN | _SEAL
_STRENGTHS: Final = _KEY_128 | _KEY_56

# Section 3.1.5.1.1: what a client always sets, and the strengths of section 2.2.2.5 that go with them.
_CLIENT: Final = int(
    NtlmFlag.REQUEST_TARGET | NtlmFlag.NTLM | NtlmFlag.ALWAYS_SIGN | NtlmFlag.UNICODE | NtlmFlag.OEM | NtlmFlag.VERSION
)
# Section 3.2.5.1.1: what a server always sets.
_SERVER: Final = int(NtlmFlag.REQUEST_TARGET | NtlmFlag.NTLM | NtlmFlag.ALWAYS_SIGN | NtlmFlag.TARGET_INFO)
# "The server SHOULD return only the capabilities it supports."
_SUPPORTED: Final = _LAYER | _DATAGRAM | _ESS | _IDENTIFY | _KEY_EXCH | _STRENGTHS | int(NtlmFlag.VERSION)
_LM: Final = int(NtlmResponses.LM)
_OF_LM_HASH: Final = int(_LM_KEY | NtlmFlag.REQUEST_NON_NT_SESSION_KEY)
# What a server says of itself, whatever the client offered.
_OF_DOMAIN: Final = int(NtlmFlag.TARGET_TYPE_DOMAIN)
_OF_MACHINE: Final = int(NtlmFlag.TARGET_TYPE_SERVER)
_OF_SERVER: Final = int(NtlmFlag.TARGET_INFO) | _OF_DOMAIN | _OF_MACHINE

# Rows: what is asked or granted, in the bits of each side, as (REQ, RET).
_SIGNING: Final = {
    Side.INITIATE: int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT),
}
_SIGNED: Final = {
    Side.INITIATE: int(IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscRet.ASC_RET_INTEGRITY | AscRet.ASC_RET_REPLAY_DETECT | AscRet.ASC_RET_SEQUENCE_DETECT),
}
_IDENTIFYING: Final = {Side.INITIATE: int(IscReq.ISC_REQ_IDENTIFY), Side.ACCEPT: int(AscReq.ASC_REQ_IDENTIFY)}
# The same bits on both sides.
_SEALING: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)
_DATAGRAMS: Final = int(IscReq.ISC_REQ_DATAGRAM)


def asked(side: Side, context_flags: int, policy: Policy) -> int:
    """Return the flags SIGN, SEAL, DATAGRAM and IDENTIFY that context flags ask for and the policy permits."""
    flags = 0
    if context_flags & (_SIGNING[side] | _SEALING):
        flags |= _SIGN
    if context_flags & _SEALING:
        flags |= _SIGN | _SEAL
    if context_flags & _DATAGRAMS:
        flags |= _DATAGRAM
    if context_flags & _IDENTIFYING[side]:
        flags |= _IDENTIFY
    return permitted(flags, policy)


def permitted(flags: int, policy: Policy) -> int:
    """Return flags without those of a layer that a policy rules out."""
    if policy.max_ssf == 0:
        return flags & ~(_LAYER | _KEY_EXCH)
    return flags & ~_SEAL if policy.max_ssf == 1 else flags


def offer(flags: int, policy: Policy) -> int:
    """Return the NegotiateFlags of a client's NEGOTIATE_MESSAGE (section 3.1.5.1.1).

    Args:
        flags: What asked returned.
        policy: NTLMv1 with the LAN Manager hash goes without extended session security.
    """
    flags |= _CLIENT | _STRENGTHS
    if flags & (_LAYER | _DATAGRAM):
        # Without a layer there is nothing to exchange a key for, and some acceptors refuse the empty one.
        flags |= _KEY_EXCH
    with_lm = int(policy.ntlm.responses) & _LM
    if policy.ntlm.extended_session_security and not with_lm:
        flags |= _ESS
    elif with_lm:
        flags |= _LM_KEY
    return flags


def select(offered: int, policy: Policy, *, in_domain: bool) -> int:
    """Return the NegotiateFlags of a server's CHALLENGE_MESSAGE (section 3.2.5.1.1).

    A server that wants no layer returns SIGN all the same: "If the client sends NTLMSSP_NEGOTIATE_SIGN to the server in
    the NEGOTIATE_MESSAGE, the server MUST return" it (section 2.2.2.5), and there are clients that end the exchange
    where it does not. SEAL is left out where encryption is forbidden: whoever gets it back seals.
    """
    flags = offered & _SUPPORTED | _SERVER
    if policy.max_ssf <= 1:
        flags &= ~_SEAL
    if policy.max_ssf == 0 and not flags & _DATAGRAM:
        flags &= ~_KEY_EXCH
    flags |= _OF_DOMAIN if in_domain else _OF_MACHINE
    flags |= _UNICODE if offered & _UNICODE else _OEM
    if not flags & _ESS and int(policy.ntlm.responses) & _LM:
        flags |= offered & _OF_LM_HASH
    if not flags & (_LAYER | _DATAGRAM):
        flags &= ~_KEY_EXCH
    return flags


def agree(offered: int, selected: int, required: int) -> int:
    """Return what a client takes of a server's selection (section 3.1.5.1.2).

    SIGN that comes back alone, where KEY_EXCH was offered with it, is the courtesy of a server that wants no layer (see
    select): a client that can do without one takes it for that.

    Raises:
        InvalidToken: the server selected no character set.
    """
    flags = selected & (offered | _OF_SERVER)
    if offered & _KEY_EXCH and not flags & (_SEAL | _KEY_EXCH) and not required & _LAYER:
        flags &= ~_SIGN
    if flags & _UNICODE:
        return flags & ~_OEM
    if not flags & _OEM:
        raise InvalidToken("the challenge selects neither UNICODE nor OEM")
    return flags


def check_strength(flags: int, required: int, policy: Policy) -> None:
    """Raise unless negotiated flags have what is required and are as strong as the policy demands.

    Args:
        flags: What both sides have.
        required: SIGN and SEAL, where this side must have them.
        policy: Its min_ssf and its NTLM part.

    Raises:
        SecurityNotAgreed: signing or sealing is missing.
        PeerUnsupported: the key is too weak, or there is no extended session security.
    """
    # Section 3.1.5.1.2: "it MUST determine if the features selected by the server are strong enough for the client
    # authentication policy. If not, the client MUST return an error to the calling application."
    if required & _LAYER & ~flags:
        missing = NtlmFlag(required & _LAYER & ~flags)
        raise SecurityNotAgreed(f"the peer did not agree to {missing.name}", requirement="MSNLMP-3.1.5.1.2-01")
    if not flags & (_LAYER | _DATAGRAM):
        return
    # "If ClientRequire128bitEncryption == TRUE, then if 128-bit encryption is not negotiated, then the client MUST
    # return SEC_E_UNSUPPORTED_FUNCTION to the application."
    if key_bits(flags) < policy.ntlm.min_key_bits:
        raise PeerUnsupported(
            f"the key has {key_bits(flags)} bits, and the policy's min_key_bits is {policy.ntlm.min_key_bits}",
            requirement="MSNLMP-3.1.5.1.2-02",
        )
    if policy.ntlm.extended_session_security and not flags & _ESS:
        raise PeerUnsupported("the peer has no extended session security, and the policy wants it for a layer")


def key_bits(flags: int) -> int:
    """Return the strength of the sealing key (section 3.4.5.3)."""
    if not flags & (_ESS | _LM_KEY | _DATAGRAM) or (flags & _KEY_128 and flags & _ESS):
        return 128
    return 56 if flags & _KEY_56 else 40


def granted(side: Side, flags: int) -> int:
    """Return the context flags of an established context, in the bits of its side."""
    result = 0
    if flags & _LAYER:
        result |= _SIGNED[side]
    if flags & _SEAL:
        result |= _SEALING
    if flags & _DATAGRAM:
        result |= _DATAGRAMS
    if flags & _IDENTIFY:
        result |= _IDENTIFYING[side]
    return result
