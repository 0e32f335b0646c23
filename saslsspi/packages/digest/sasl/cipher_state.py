"""Where the ciphers of a layer stand, for a layer that moves to another process.

A message pays nothing for it: the position is found from outside when it is asked for. The next 16 octets of an RC4
key stream say where it stands (the stream is made again and searched), and the first block of a CBC chain says what
was in its register. The probe uses the cipher up, so each comes with another one that stands where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from saslsspi.engine.protection import Octets
from saslsspi.errors import UnsupportedFunction
from saslsspi.packages.digest.ciphers import Cipher
from saslsspi.packages.digest.keys import LayerKeys

__all__ = ["LayerState", "Probe", "begun", "probing"]

Update: TypeAlias = Callable[[Octets], bytes]
Probe: TypeAlias = Callable[[Update], tuple[bytes, Update]]
"""Takes a cipher's update; returns where it stood, and an update that stands there."""

_MARK_SIZE: Final = 16
_CHUNK: Final = 1 << 20
_FARTHEST: Final = 1 << 36  # octets of key stream that are searched


class LayerState(NamedTuple):
    """Where both directions stand.

    Attributes:
        sent, received: The numbers of the next messages.
        sending, receiving: Where the ciphers stand; b"" for one that has not begun.
    """

    sent: int = 0
    received: int = 0
    sending: bytes = b""
    receiving: bytes = b""


def begun(cipher: Cipher, keys: LayerKeys, resumed: LayerState | None) -> tuple[Update, Update]:
    """Return the ciphers of both directions, at their beginning or where they stood."""
    encipher = _at(cipher, keys.send_sealing, resumed.sending if resumed else b"", encipher=True)
    decipher = _at(cipher, keys.receive_sealing, resumed.receiving if resumed else b"", encipher=False)
    return encipher, decipher


def probing(cipher: Cipher | None, key: bytes, *, encipher: bool) -> Probe:
    """Return the probe of a cipher under a key."""

    def probe(update: Update) -> tuple[bytes, Update]:
        assert cipher is not None
        position = _stream_position(cipher, key, update) if cipher.block_size == 1 else _register(
            cipher, key, update, encipher=encipher
        )  # fmt: skip
        return position, _at(cipher, key, position, encipher=encipher)

    return probe


def _at(cipher: Cipher, key: bytes, position: bytes, *, encipher: bool) -> Update:
    if not position:
        return cipher.begin(key, encipher=encipher)
    if cipher.block_size > 1:
        # Whatever leaves the register as it was: the last block on the wire.
        update = cipher.begin(key, encipher=encipher)
        update(cipher.begin(key, encipher=False)(position) if encipher else position)
        return update
    update, left = cipher.begin(key, encipher=encipher), int.from_bytes(position)
    while left:
        update(bytes(min(left, _CHUNK)))
        left -= min(left, _CHUNK)
    return update


def _stream_position(cipher: Cipher, key: bytes, update: Update) -> bytes:
    mark = update(bytes(_MARK_SIZE))
    stream, searched, tail = cipher.begin(key, encipher=True), 0, b""
    while searched < _FARTHEST:
        octets = tail + stream(bytes(_CHUNK))
        found = octets.find(mark)
        if found >= 0:
            return (searched - len(tail) + found).to_bytes(8)
        searched += _CHUNK
        tail = octets[-_MARK_SIZE + 1 :]
    raise UnsupportedFunction("the key stream was used further than it is searched")


def _register(cipher: Cipher, key: bytes, update: Update, *, encipher: bool) -> bytes:
    """Return what is chained into the next block: the sealing key's last octets at first."""
    zeros, first = bytes(cipher.block_size), key[-cipher.block_size :]
    probed = update(zeros)
    if encipher:
        return _mixed(cipher.begin(key, encipher=False)(probed), first)
    return _mixed(_mixed(probed, cipher.begin(key, encipher=False)(zeros)), first)


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
