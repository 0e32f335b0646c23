"""What both sides make of negotiated flags and a session key when an exchange is complete."""

from __future__ import annotations

from typing import Final

from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag, granted, key_bits
from saslsspi.packages.ntlm.protection import dummy_protection, protect
from saslsspi.sspi.package import Outcome, Side
from saslsspi.sspi.policy import Policy

__all__ = ["established"]

_LAYER: Final = int(NtlmFlag.SIGN | NtlmFlag.SEAL)
_SEAL: Final = int(NtlmFlag.SEAL)
_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)


def established(side: Side, flags: int, session_key: bytes, target: str, *, mic: bool, policy: Policy) -> Outcome:
    """Return flags, protection and strength of a complete context; the names are filled in by the side.

    Args:
        side: Whose context it is.
        flags: Negotiated.
        session_key: ExportedSessionKey.
        target: The principal that is meant. With LDAP, SIGN alone seals: Active Directory and Samba do so.
        mic: Whether the exchange was protected by a MIC.
        policy: How large buffers may be.
    """
    if not flags & _LAYER:
        protection = dummy_protection(session_key)
        protection.wants_mech_list_mic = False
        return Outcome(granted(side, flags), protection)
    seal_always = target[:5].lower() == "ldap/"
    protection = protect(flags, session_key, client=side is Side.INITIATE, seal_always=seal_always)
    protection.wants_mech_list_mic = mic
    sealed = bool(flags & _SEAL)
    return Outcome(
        granted(side, flags),
        protection,
        qop="auth-conf" if sealed else "auth-int",
        cipher="rc4" if sealed else "",
        ssf=key_bits(flags) if sealed else 1,
        max_send=policy.max_buffer,
        max_receive=protection.max_receive,
    )
