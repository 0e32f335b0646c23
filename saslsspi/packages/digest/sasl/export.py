"""The layer of an established DIGEST-MD5 context as a record for another process."""

from __future__ import annotations

from saslsspi.engine.export import ProtectionState
from saslsspi.engine.protection import Protection, RequestProtection
from saslsspi.errors import UnsupportedFunction
from saslsspi.packages.digest.ciphers import CIPHERS
from saslsspi.packages.digest.keys import LayerKeys
from saslsspi.packages.digest.sasl.cipher_state import LayerState, probing
from saslsspi.packages.digest.sasl.protection import DigestProtection

__all__ = ["export_layer", "import_layer"]


def export_layer(protection: Protection, *, reset: bool) -> ProtectionState | None:
    """See ProtectionTraveller.export_protection."""
    if isinstance(protection, RequestProtection):
        raise UnsupportedFunction("a context of Digest for HTTP is found again by its opaque and needs no export")
    if not isinstance(protection, DigestProtection):
        return None
    keys, cipher, max_send = protection.recipe
    state = LayerState()
    if not reset:
        sent, sending = protection.sender_state(probing(cipher, keys.send_sealing, encipher=True))
        received, receiving = protection.receiver_state(probing(cipher, keys.receive_sealing, encipher=False))
        state = LayerState(sent, received, sending, receiving)
    return {
        "cipher": "" if cipher is None else cipher.name.decode(),
        "session_key": protection.session_key.hex() if protection.session_key else "",
        "max_send": max_send,
        "max_receive": protection.max_receive,
        "sent": state.sent,
        "received": state.received,
        "sending": state.sending.hex(),
        "receiving": state.receiving.hex(),
        **{f"key_{name}": value.hex() for name, value in keys._asdict().items()},
    }


def import_layer(state: ProtectionState) -> DigestProtection:
    """See ProtectionTraveller.import_protection."""
    cipher = CIPHERS[str(state["cipher"]).encode()] if state["cipher"] else None
    return DigestProtection(
        LayerKeys(**{name: bytes.fromhex(str(state[f"key_{name}"])) for name in LayerKeys._fields}),
        cipher,
        bytes.fromhex(str(state["session_key"])),
        int(state["max_send"] or 0),
        int(state["max_receive"] or 0),
        resumed=LayerState(
            int(state["sent"] or 0),
            int(state["received"] or 0),
            bytes.fromhex(str(state["sending"])),
            bytes.fromhex(str(state["receiving"])),
        ),
    )
