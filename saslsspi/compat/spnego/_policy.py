"""LM_COMPAT_LEVEL: which answers to a challenge NTLM gives and takes, as pyspnego reads it."""

from __future__ import annotations

import os
from typing import Final

from saslsspi.compat.spnego.exceptions import ErrorCode, SpnegoError
from saslsspi.engine.exchange import Side
from saslsspi.engine.policy import NtlmPolicy, NtlmResponses

__all__ = ["ntlm_policy"]

_VARIABLE: Final = "LM_COMPAT_LEVEL"
_LAST: Final = 5


def ntlm_policy(side: Side) -> NtlmPolicy:
    """Return what NTLM may do.

    Without the variable NTLMv2 alone is sent and, other than there, taken: an acceptor that shall take NTLMv1 needs a
    level that says so.

    Raises:
        SpnegoError: the level is not 0 to 5.
    """
    text = os.environ.get(_VARIABLE)
    if text is None:
        return NtlmPolicy()
    level = int(text) if text.isascii() and text.isdigit() else _LAST + 1
    if level > _LAST:
        raise SpnegoError(ErrorCode.failure, context_msg=f"Invalid {_VARIABLE} {text}, must be between 0 and {_LAST}")
    if side is Side.INITIATE:
        # LAN Manager's answer, which levels 0 and 1 send beside NTLMv1's, is not sent.
        return NtlmPolicy(
            responses=NtlmResponses.V2 if level > 2 else NtlmResponses.V1, extended_session_security=level > 0
        )
    responses = NtlmResponses.V2
    if level < 5:
        responses |= NtlmResponses.V1
    if level < 4:
        responses |= NtlmResponses.LM
    old = bool(responses & NtlmResponses.LM)  # its key has 56 bits, and it has no place beside the extension
    return NtlmPolicy(responses=responses, extended_session_security=not old, min_key_bits=56 if old else 128)
