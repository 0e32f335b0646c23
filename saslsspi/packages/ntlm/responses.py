"""A client's response as an acceptor receives it, and how it is verified (MS-NLMP sections 2.2.2.6 to 2.2.2.8, 3.3).

An NTLMv2 response is verified over the octets that were received: peers leave octets behind MsvAvEOL, and whoever
encodes the pairs anew refuses them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hmac import compare_digest
from typing import Final

from saslsspi.crypto.md5 import md5
from saslsspi.engine.policy import NtlmResponses
from saslsspi.errors import InvalidParameter, InvalidToken, LogonDenied
from saslsspi.packages.ntlm.av_pairs import AvFlag, AvId, decode_pairs
from saslsspi.packages.ntlm.keys import desl, key_exchange_key, lm_hash, ntowf_v2, session_base_key_v1
from saslsspi.packages.ntlm.messages import Authenticate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag

__all__ = ["NtlmResponse", "received_response"]

_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
_TAKES_V2: Final = int(NtlmResponses.V2)
_NOT_MEANT: Final = int(AvFlag.UNTRUSTED_SPN | AvFlag.MIC)
_V1_SIZE: Final = 24
_V2_PAIRS: Final = 44  # NTProofStr 16, versions and zeros 8, time 8, challenge 8, zeros 4
_LM_NOWHERE: Final = bytes(16)


class NtlmResponse(ABC):
    """What a client answered.

    Attributes:
        av_flags: MsvAvFlags, 0 without.
        bindings: MsvAvChannelBindings, b"" without.
        target: MsvAvTargetName, "" without one that can be trusted.
        time: The client's FILETIME, None where the response has none.
        timestamp: MsvAvTimestamp as the client repeats it, b"" without; None where the response holds no AV_PAIRs.
    """

    __slots__ = ("av_flags", "bindings", "target", "time", "timestamp")

    def __init__(self) -> None:
        self.av_flags = 0
        self.bindings = b""
        self.target = ""
        self.time: int | None = None
        self.timestamp: bytes | None = None

    @abstractmethod
    def verify(
        self, own_hash: bytes, password: str | None, username: str, domain: str, server_challenge: bytes
    ) -> bytes | None:
        """Return KeyExchangeKey where the response proves the NT hash, None otherwise; both take the same time."""


class _V2(NtlmResponse):
    """NTLMv2_RESPONSE."""

    __slots__ = ("_proof", "_temp")

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        # Section 2.2.2.7: "RespType" and "HiRespType" are 1.
        if len(octets) < _V2_PAIRS + 4 or octets[16:18] != b"\x01\x01":
            raise InvalidToken(f"an NTLMv2 response of {len(octets)} octets is cut, or of another version")
        pairs = decode_pairs(octets, _V2_PAIRS, trailing=True)
        self._proof, self._temp = octets[:16], octets[16:]
        self.time = int.from_bytes(octets[24:32], "little")
        self.av_flags = int.from_bytes(pairs.get(AvId.FLAGS, b""), "little")
        self.bindings = pairs.get(AvId.CHANNEL_BINDINGS, b"")
        self.timestamp = pairs.get(AvId.TIMESTAMP, b"")
        name = pairs.get(AvId.TARGET_NAME, b"")
        # Section 3.2.5.1.2: "If MsvAvFlags bit 0x00000004 is set, the server MUST set ClientSuppliedTargetName
        # (section 3.1.1.2) to NULL."
        # Without a MIC the bit may have been put into the challenge by whoever relays it, for the client to repeat: a
        # client that sets it itself has a MIC.
        if name and self.av_flags & _NOT_MEANT != _NOT_MEANT:
            try:
                self.target = name.decode("utf-16-le")
            except UnicodeDecodeError:
                raise InvalidToken("MsvAvTargetName is not UTF-16") from None

    def verify(
        self, own_hash: bytes, password: str | None, username: str, domain: str, server_challenge: bytes
    ) -> bytes | None:
        # "NTLM servers SHOULD support NTLM clients which incorrectly use NIL for the UserDom".
        for name in (domain, "") if domain else ("",):
            key = ntowf_v2(own_hash, username, name)
            if compare_digest(key.digest(server_challenge, self._temp), self._proof):
                return key.digest(self._proof)
        return None


class _V1(NtlmResponse):
    """NTLM_RESPONSE and LM_RESPONSE, with or without the client's challenge."""

    __slots__ = ("_allowed", "_flags", "_lm", "_nt")

    def __init__(self, message: Authenticate, flags: int, allowed: NtlmResponses) -> None:
        super().__init__()
        self._nt, self._lm, self._flags, self._allowed = message.nt_response, message.lm_response, flags, allowed

    def verify(
        self, own_hash: bytes, password: str | None, username: str, domain: str, server_challenge: bytes
    ) -> bytes | None:
        # An account without a password, and nobody, cost the LM hash of one.
        made = _lm_of(password or "") if self._allowed & NtlmResponses.LM else None
        lm = None if password is None else made
        block = server_challenge
        if self._flags & _ESS and self._nt:
            block = md5(server_challenge + self._lm[:8]).digest()[:8]
        right = False
        if self._nt and self._allowed & NtlmResponses.V1:
            right = compare_digest(desl(own_hash, block), self._nt)
        if not right and self._allowed & NtlmResponses.LM and not self._flags & _ESS:
            right = compare_digest(desl(lm or _LM_NOWHERE, server_challenge), self._lm) and lm is not None
        if not right:
            return None
        return key_exchange_key(self._flags, session_base_key_v1(own_hash), self._lm, server_challenge, lm)


def _lm_of(password: str) -> bytes | None:
    try:
        return lm_hash(password)
    except InvalidParameter:
        return None


def received_response(message: Authenticate, flags: int, allowed: NtlmResponses) -> NtlmResponse:
    """Return the response in an AUTHENTICATE_MESSAGE.

    Raises:
        InvalidToken: it is malformed.
        LogonDenied: it is of a kind that the policy does not name.
    """
    size = len(message.nt_response)
    if size > _V1_SIZE:
        if not int(allowed) & _TAKES_V2:
            raise LogonDenied("the client answers with NTLMv2, and the policy does not name it")
        return _V2(message.nt_response)
    if (
        size not in (0, _V1_SIZE)
        or len(message.lm_response) not in (0, _V1_SIZE)
        or not size + len(message.lm_response)
    ):
        raise InvalidToken(f"responses of {size} and {len(message.lm_response)} octets are none of NTLM's")
    if not allowed & (NtlmResponses.V1 if size else NtlmResponses.LM) and not (allowed & NtlmResponses.LM):
        raise LogonDenied("the client answers with NTLMv1 or LM, and the policy does not name that")
    return _V1(message, flags, allowed)
