"""Quality of protection: what flags and policy permit, and what an agreed qop grants (MS-DPSP)."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.engine.exchange import Qop, Side
from saslsspi.engine.flags import AscReq, AscRet, IscReq, IscRet
from saslsspi.engine.policy import Policy
from saslsspi.packages.digest.ciphers import Cipher, permitted_ciphers

__all__ = ["AUTH", "AUTH_CONF", "AUTH_INT", "QOPS", "Permitted", "granted_flags", "layer_flags", "permitted"]

AUTH: Final = b"auth"
AUTH_INT: Final = b"auth-int"
AUTH_CONF: Final = b"auth-conf"
QOPS: Final = {AUTH: Qop.AUTH, AUTH_INT: Qop.AUTH_INT, AUTH_CONF: Qop.AUTH_CONF}

# "ISC_REQ_INTEGRITY, ISC_REQ_REPLAY_DETECT, ISC_REQ_SEQUENCE_DETECT: auth-int. ISC_REQ_CONFIDENTIALITY: auth-conf."
# The bit of INTEGRITY differs between the sides.
_SIGNING: Final = {
    Side.INITIATE: int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT),
}
_SEALING: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)  # the same bit on both sides

_INITIATOR_SIGNS: Final = int(IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_SEQUENCE_DETECT)
_ACCEPTOR_SIGNS: Final = int(AscRet.ASC_RET_INTEGRITY | AscRet.ASC_RET_REPLAY_DETECT | AscRet.ASC_RET_SEQUENCE_DETECT)
# rspauth proves the server in each exchange that completes, whether it was asked for or not.
_MUTUAL: Final = int(IscRet.ISC_RET_MUTUAL_AUTH)
_GRANTED: Final = {
    (Side.INITIATE, AUTH): _MUTUAL,
    (Side.INITIATE, AUTH_INT): _MUTUAL | _INITIATOR_SIGNS,
    (Side.INITIATE, AUTH_CONF): _MUTUAL | _INITIATOR_SIGNS | _SEALING,
    (Side.ACCEPT, AUTH): _MUTUAL,
    (Side.ACCEPT, AUTH_INT): _MUTUAL | _ACCEPTOR_SIGNS,
    (Side.ACCEPT, AUTH_CONF): _MUTUAL | _ACCEPTOR_SIGNS | _SEALING,
}


class Permitted(NamedTuple):
    """What a side may use.

    Attributes:
        qops: Permitted values, the strongest first.
        ciphers: Permitted ciphers, the preferred first; empty without auth-conf.
    """

    qops: tuple[bytes, ...]
    ciphers: tuple[Cipher, ...]


def permitted(side: Side, required: int, requested: int, policy: Policy) -> Permitted:
    """Return what context flags and policy permit together."""
    signing = _SIGNING[side]
    must_sign = bool(required & (signing | _SEALING))
    qops = []
    ciphers: tuple[Cipher, ...] = ()
    if requested & _SEALING:
        ciphers = permitted_ciphers(policy)
        if ciphers:
            qops.append(AUTH_CONF)
    if requested & signing and not required & _SEALING and policy.min_ssf <= 1 <= policy.max_ssf:
        qops.append(AUTH_INT)
    if not must_sign and policy.min_ssf == 0:
        qops.append(AUTH)
    return Permitted(tuple(qops), ciphers)


def layer_flags(side: Side) -> int:
    """Return the context flags that ask for more than authentication."""
    return _SIGNING[side] | _SEALING


def granted_flags(side: Side, qop: bytes) -> int:
    """Return the flags of a completed context, in the bits of its side."""
    return _GRANTED[side, qop]
