"""The protection of an established NTLM context as a record for another process."""

from __future__ import annotations

from saslsspi.engine.export import ProtectionState
from saslsspi.engine.protection import Protection
from saslsspi.packages.ntlm.protection import NtlmProtection, dummy_protection, protect

__all__ = ["export_layer", "import_layer"]


def export_layer(protection: Protection, *, reset: bool) -> ProtectionState | None:
    """See ProtectionTraveller.export_protection."""
    if not isinstance(protection, NtlmProtection):
        return None
    flags, client, seal_always = protection.recipe or (0, False, False)
    state: dict[str, str | int | bool | None] = {
        "signs": protection.recipe is not None,
        "session_key": (protection.session_key or b"").hex(),
        "flags": flags,
        "client": client,
        "seal_always": seal_always,
    }
    if not reset:
        state |= dict(zip(_PLACES, protection.places(), strict=False))
    return state


def import_layer(state: ProtectionState) -> NtlmProtection:
    """See ProtectionTraveller.import_protection."""
    key = bytes.fromhex(str(state["session_key"]))
    if not state["signs"]:
        return dummy_protection(key)
    made = protect(int(state["flags"] or 0), key, client=bool(state["client"]), seal_always=bool(state["seal_always"]))
    made.go_to(tuple(int(state[name] or 0) for name in _PLACES if name in state))
    return made


_PLACES = ("sent", "sending", "received", "receiving")
