"""What both sides make of negotiated flags and a session key when an exchange is complete."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.accounts.account import Account
from saslsspi.engine.attributes import SecPkgContextNames
from saslsspi.engine.exchange import Outcome, Qop, Side
from saslsspi.engine.policy import Policy
from saslsspi.engine.protection import SignsMechList
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag, granted, key_bits, permitted
from saslsspi.packages.ntlm.protection import dummy_protection, protect, withheld_protection

__all__ = ["Names", "established", "qualified_name"]

_LAYER: Final = int(NtlmFlag.SIGN | NtlmFlag.SEAL)
_SEAL: Final = int(NtlmFlag.SEAL)


class Names(NamedTuple):
    """Who and what an exchange was about.

    Attributes:
        target: The principal that the client meant.
        channel_binding: Type of the bindings that were sent or verified.
    """

    username: str
    domain: str
    target: str
    channel_binding: str
    account: Account | None = None


def established(
    side: Side, flags: int, session_key: bytes, names: Names, *, mic: bool, policy: Policy, seals_signed: bool
) -> Outcome:
    """Return the outcome of a complete exchange.

    Args:
        side: Whose context it is.
        flags: Negotiated.
        session_key: ExportedSessionKey.
        names: Who and what it was about.
        mic: Whether the exchange was protected by a MIC.
        policy: How large buffers may be, and whether there is to be a layer at all.
        seals_signed: Whether SIGN alone seals; see Request.
    """
    username, domain, target, bound, account = names
    wire, flags = flags, permitted(flags, policy)
    if not flags & _LAYER:
        return Outcome(
            flags=granted(side, flags),
            protection=withheld_protection(wire, session_key, side, mic=mic)
            if wire & _LAYER
            else dummy_protection(session_key),
            username=username,
            realm=domain,
            target=target,
            channel_binding=bound,
            account=account,
        )
    protection = protect(flags, session_key, client=side is Side.INITIATE, seal_always=seals_signed)
    if isinstance(protection, SignsMechList):
        protection.must_sign_list = mic
    sealed = bool(flags & _SEAL)
    return Outcome(
        flags=granted(side, flags),
        protection=protection,
        username=username,
        realm=domain,
        qop=Qop.AUTH_CONF if sealed else Qop.AUTH_INT,
        cipher="rc4" if sealed else "",
        ssf=key_bits(flags) if sealed else 1,
        max_send=policy.max_buffer,
        max_receive=protection.max_receive,
        target=target,
        channel_binding=bound,
        account=account,
    )


def qualified_name(outcome: Outcome) -> SecPkgContextNames:
    """Return the user as Windows names it, with the domain before it."""
    return SecPkgContextNames(f"{outcome.realm}\\{outcome.username}" if outcome.realm else outcome.username)
