"""Sign and seal without extended session security (MS-NLMP section 3.4.4.1).

    signature   01 00 00 00   00 00 00 00   CRC-32 (4 octets)   sequence number (4 octets), the last 8 enciphered

Both directions share one key stream and one counter, so the peers take turns: section 3.4 calls it half-duplex. The
CRC protects against nothing but accidents; policies must ask for this by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest
from typing import Final
from zlib import crc32

from saslsspi.crypto.md5 import md5
from saslsspi.crypto.rc4 import Rc4
from saslsspi.engine.protection import Octets, Part
from saslsspi.errors import MessageAltered, OutOfSequence
from saslsspi.packages.ntlm.extended import SIGNATURE_SIZE, VERSION, refusal

__all__ = ["PlainLayer"]

_NOTHING: Final = bytes(4)


class PlainLayer:
    """Both directions of a context.

    Args:
        sealing_key: 8 or 16 octets.
        datagram: Whether every message has a cipher of its own, and its number from the caller.
    """

    __slots__ = ("_cipher", "_datagram", "_key", "_number")

    def __init__(self, sealing_key: bytes, *, datagram: bool) -> None:
        self._key = sealing_key
        self._cipher = Rc4(sealing_key)
        self._datagram = datagram
        self._number = 0

    def _enter(self, number: int) -> None:
        if self._datagram:
            self._number = number & 0xFFFFFFFF
            self._cipher = Rc4(md5(self._key + self._number.to_bytes(4, "little")).digest())

    def _checksum(self, parts: Sequence[bytes]) -> bytes:
        value = 0
        for part in parts:
            value = crc32(part, value)
        # The random pad is enciphered first, and then set to 0: it takes its share of the key stream.
        return self._cipher.update(_NOTHING + value.to_bytes(4, "little") + _NOTHING)

    def _masked(self, stream: bytes, number: int) -> bytes:
        return bytes(a ^ b for a, b in zip(stream, number.to_bytes(4, "little"), strict=True))

    def seal_parts(self, parts: Sequence[Part], number: int) -> tuple[bytes, list[bytes]]:
        """Return the signature and each part as it goes out."""
        self._enter(number)
        octets = [self._cipher.update(part.octets) if part.sealed else bytes(part.octets) for part in parts]
        tail = self._checksum([part.octets for part in parts])
        signature = VERSION + _NOTHING + tail[4:8] + self._masked(tail[8:], self._number)
        self._number = self._number + 1 & 0xFFFFFFFF
        return signature, octets

    def unseal_parts(self, parts: Sequence[Part], signature: bytes, number: int) -> tuple[list[bytes], bool]:
        """Open a message; nothing is consumed by one that is altered or not the next.

        Raises:
            MessageAltered: the version, or the CRC, is wrong.
            OutOfSequence: the CRC is right, and the number is another one.
        """
        self._enter(number)
        if len(signature) != SIGNATURE_SIZE or signature[:4] != VERSION:
            raise refusal(signature, self._number)
        position = self._cipher.position
        for sealed in (True, False) if any(part.sealed for part in parts) else (False,):
            octets = [
                self._cipher.update(part.octets) if part.sealed and sealed else bytes(part.octets) for part in parts
            ]
            tail = self._checksum(octets)
            if compare_digest(tail[4:8], signature[8:12]):
                if self._masked(tail[8:], self._number) != signature[12:]:
                    self._cipher.restore(position)
                    raise OutOfSequence(f"another message came where {self._number} is next")
                self._number = self._number + 1 & 0xFFFFFFFF
                return octets, sealed
            self._cipher.restore(position)
        raise MessageAltered("the checksum of a message does not verify", requirement="MSNLMP-3.4.2-02")

    def seal(self, message: Octets) -> tuple[Octets, ...]:
        """Return the signature and the enciphered message."""
        signature, octets = self.seal_parts((Part(bytes(message), sealed=True),), self._number)
        return signature, octets[0]

    def clear(self, message: Octets) -> tuple[Octets, ...]:
        """Return the signature and the message as it is."""
        return self.seal_parts((Part(bytes(message), sealed=False),), self._number)[0], message

    def unseal(self, wire: Octets) -> bytes:
        """Open signature and enciphered message."""
        part = Part(bytes(wire[SIGNATURE_SIZE:]), sealed=True)
        (plain,), sealed = self.unseal_parts((part,), bytes(wire[:SIGNATURE_SIZE]), self._number)
        if not sealed:
            raise MessageAltered("a message came clear where it must be sealed")
        return plain

    def open_clear(self, wire: Octets) -> bytes:
        """Open signature and clear message."""
        part = Part(bytes(wire[SIGNATURE_SIZE:]), sealed=False)
        return self.unseal_parts((part,), bytes(wire[:SIGNATURE_SIZE]), self._number)[0][0]

    def save(self) -> int:
        """Return where the cipher stands."""
        return self._cipher.position

    def restore(self, position: int) -> None:
        """Put the cipher back (MS-SPNG section 3.2.5.1); the number stays."""
        self._cipher.restore(position)

    def place(self) -> tuple[int, int]:
        """Return the next number, and where the key stream stands."""
        return self._number, self._cipher.position

    def go_to(self, number: int, position: int) -> None:
        """Go on from where another one stood."""
        self._number = number
        self._cipher.restore(position)
