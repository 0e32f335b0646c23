"""Sign and seal with extended session security (MS-NLMP section 3.4.4.2).

    signature   01 00 00 00   checksum (8 octets)   sequence number (4 octets, in clear)

The checksum is the head of HMAC-MD5(signing key, sequence number ‖ plain message); with KEY_EXCH it is enciphered,
behind the message and in the same key stream. Each direction has its own keys, cipher and counter. The number stands
in clear and is compared first, so a lost or repeated message costs nothing; a message costs one MAC and one cipher
call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hmac import compare_digest
from struct import Struct
from typing import Final, Self

from saslsspi.crypto.md5 import HmacMd5, Md5, md5
from saslsspi.crypto.rc4 import Rc4
from saslsspi.engine.protection import Octets, Part
from saslsspi.errors import MessageAltered, OutOfSequence

__all__ = ["SIGNATURE_SIZE", "VERSION", "Datagrams", "Receiver", "Sender"]

SIGNATURE_SIZE: Final = 16
VERSION: Final = b"\x01\0\0\0"
_NUMBER: Final = Struct("<I").pack
_VIEWED: Final = 2048  # from this size on a second cipher call costs less than a copy


class _Direction:
    """Keys, states and counter of one direction.

    The keys, the cipher and the MAC's states are made with the first message: they cost as much as the rest of a
    logon, and many logons have no message at all.

    Args:
        keys: Derives signing and sealing key.
        enciphered: Whether KEY_EXCH was negotiated, so that checksums are enciphered.
    """

    __slots__ = ("_enciphered", "_inner", "_keys", "_number", "_outer", "_update")

    _inner: Callable[[], Md5]
    _outer: Callable[[], Md5]
    _update: Callable[[Octets], bytes]

    def __init__(self, keys: Callable[[], tuple[bytes, bytes]], *, enciphered: bool) -> None:
        self._keys: Callable[[], tuple[bytes, bytes]] | Rc4 = keys
        self._inner = self._first_inner
        self._update = self._first_update
        self._enciphered = enciphered
        self._number = 0

    @property
    def _cipher(self) -> Rc4:
        keys = self._keys
        if isinstance(keys, Rc4):
            return keys
        signing, sealing = keys()
        mac = HmacMd5(signing)
        self._inner, self._outer = mac.inner.copy, mac.outer.copy
        cipher = self._keys = Rc4(sealing)
        self._update = cipher.update
        return cipher

    def _first_inner(self) -> Md5:
        assert self._cipher
        return self._inner()

    def _first_update(self, data: Octets) -> bytes:
        return self._cipher.update(data)

    def _checksum(self, parts: Iterable[Octets]) -> bytes:
        """Return the checksum of the next message, in clear. Whole messages are sealed and opened without this call."""
        inner = self._inner()
        inner.update(_NUMBER(self._number))
        for part in parts:
            inner.update(part)
        outer = self._outer()
        outer.update(inner.digest())
        return outer.digest()[:8]

    def place(self) -> tuple[int, int]:
        """Return the next number, and where the key stream stands."""
        keys = self._keys
        return self._number, keys.position if isinstance(keys, Rc4) else 0

    def go_to(self, number: int, position: int) -> None:
        """Go on from where another one stood."""
        self._number = number
        if position:
            self._cipher.restore(position)

    def _twin(self) -> Self:
        """Return another one that stands where this one stands, for a signature that must not move the cipher."""
        assert not isinstance(self._keys, Rc4), "mechListMIC comes before every message"
        derived = self._keys()
        self._keys = lambda: derived
        twin = type(self)(self._keys, enciphered=self._enciphered)
        twin._number = self._number
        return twin


class Sender(_Direction):
    """One direction's sending end."""

    __slots__ = ()

    def seal(self, message: Octets) -> tuple[Octets, ...]:
        """Return the signature and the enciphered message."""
        counter = _NUMBER(self._number)
        inner = self._inner()
        inner.update(counter)
        inner.update(message)
        outer = self._outer()
        outer.update(inner.digest())
        checksum = outer.digest()[:8]
        self._number = self._number + 1 & 0xFFFFFFFF
        update = self._update
        if not self._enciphered:
            return VERSION, checksum, counter, update(message)
        if len(message) >= _VIEWED:
            sealed = update(message)
            return VERSION, update(checksum), counter, sealed
        sealed = update(b"".join((message, checksum)))
        return VERSION, sealed[-8:], counter, sealed[:-8]

    def sign(self, message: Octets) -> bytes:
        """Return the signature of a message that stays clear."""
        return self._signature(self._checksum((message,)))

    def clear(self, message: Octets) -> tuple[Octets, ...]:
        """Return the signature and the message as it is."""
        return self.sign(message), message

    def seal_parts(self, parts: Sequence[Part]) -> tuple[bytes, list[bytes]]:
        """Return the signature and each part as it goes out."""
        checksum = self._checksum(part.octets for part in parts)
        octets = [self._update(part.octets) if part.sealed else part.octets for part in parts]
        return self._signature(checksum), octets

    def _signature(self, checksum: bytes) -> bytes:
        signature = VERSION + (self._update(checksum) if self._enciphered else checksum) + _NUMBER(self._number)
        self._number = self._number + 1 & 0xFFFFFFFF
        return signature

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """Sign, and put the cipher back where it stood; the number goes on (MS-SPNG section 3.2.5.1)."""
        twin = self._twin()
        signature = twin.sign(mech_list)
        self._number = twin._number
        return signature


class Receiver(_Direction):
    """One direction's receiving end."""

    __slots__ = ()

    def unseal(self, wire: Octets) -> bytes:
        """Open signature and enciphered message; after MessageAltered the cipher has run on."""
        counter = _NUMBER(self._number)
        if wire[12:16] != counter or wire[:4] != VERSION:
            raise refusal(wire[:SIGNATURE_SIZE], self._number)
        update = self._update
        if not self._enciphered:
            plain, received = update(wire[16:]), bytes(wire[4:12])
        elif len(wire) >= _VIEWED:
            view = memoryview(wire)
            plain = update(view[16:])
            received = update(view[4:12])
        else:
            opened = update(b"".join((wire[16:], wire[4:12])))
            plain, received = opened[:-8], opened[-8:]
        inner = self._inner()
        inner.update(counter)
        inner.update(plain)
        outer = self._outer()
        outer.update(inner.digest())
        if not compare_digest(outer.digest()[:8], received):
            raise MessageAltered("the checksum of a message does not verify", requirement="MSNLMP-3.4.2-02")
        self._number = self._number + 1 & 0xFFFFFFFF
        return plain

    def verify(self, message: Octets, signature: bytes) -> None:
        """Verify the signature of a message that is clear; nothing is consumed by one that is wrong."""
        counter = _NUMBER(self._number)
        if len(signature) != SIGNATURE_SIZE or signature[12:] != counter or signature[:4] != VERSION:
            raise refusal(signature, self._number)
        received = self._update(signature[4:12]) if self._enciphered else signature[4:12]
        if not compare_digest(self._checksum((message,)), received):
            cipher = self._cipher
            cipher.restore(cipher.position - (8 if self._enciphered else 0))
            raise MessageAltered("the checksum of a message does not verify", requirement="MSNLMP-3.4.2-02")
        self._number = self._number + 1 & 0xFFFFFFFF

    def clear(self, wire: Octets) -> bytes:
        """Open signature and clear message."""
        message = bytes(wire[SIGNATURE_SIZE:])
        self.verify(message, bytes(wire[:SIGNATURE_SIZE]))
        return message

    def unseal_parts(self, parts: Sequence[Part], signature: bytes) -> tuple[list[bytes], bool]:
        """Open a message of several parts; one whose sealed parts came clear is told by the flag.

        An altered message leaves nothing consumed: the cipher goes back, which takes time in proportion to all that
        it has enciphered.
        """
        counter = _NUMBER(self._number)
        if len(signature) != SIGNATURE_SIZE or signature[12:] != counter or signature[:4] != VERSION:
            raise refusal(signature, self._number)
        position = self._cipher.position
        # A peer that was told SECQOP_WRAP_NO_ENCRYPT signs and leaves clear; nothing on the wire says so.
        for sealed in (True, False) if any(part.sealed for part in parts) else (False,):
            octets = [self._update(part.octets) if part.sealed and sealed else part.octets for part in parts]
            received = self._update(signature[4:12]) if self._enciphered else signature[4:12]
            if compare_digest(self._checksum(octets), received):
                self._number = self._number + 1 & 0xFFFFFFFF
                return octets, sealed
            self._cipher.restore(position)
        raise MessageAltered("the checksum of a message does not verify", requirement="MSNLMP-3.4.2-02")

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """Verify, and put the cipher back where it stood; the number goes on (MS-SPNG section 3.2.5.1)."""
        twin = self._twin()
        twin.verify(mech_list, signature)
        self._number = twin._number


class Datagrams:
    """Both directions of a connectionless context: every message has a cipher of its own (MS-NLMP section 3.4).

    "SealingKey' = MD5(ConcatenationOf(SealingKey, SequenceNumber))", the number being the caller's.
    """

    __slots__ = ("_enciphered", "_receive", "_send")

    def __init__(self, send: tuple[bytes, bytes], receive: tuple[bytes, bytes], *, enciphered: bool) -> None:
        self._send, self._receive, self._enciphered = send, receive, enciphered

    def seal_parts(self, parts: Sequence[Part], number: int) -> tuple[bytes, list[bytes]]:
        """See Sender.seal_parts."""
        signing, sealing = self._send
        sender = Sender(lambda: (signing, _message_key(sealing, number)), enciphered=self._enciphered)
        sender._number = number & 0xFFFFFFFF
        return sender.seal_parts(parts)

    def unseal_parts(self, parts: Sequence[Part], signature: bytes, number: int) -> tuple[list[bytes], bool]:
        """See Receiver.unseal_parts."""
        signing, sealing = self._receive
        receiver = Receiver(lambda: (signing, _message_key(sealing, number)), enciphered=self._enciphered)
        receiver._number = number & 0xFFFFFFFF
        return receiver.unseal_parts(parts, signature)


def _message_key(sealing_key: bytes, number: int) -> bytes:
    return md5(sealing_key + _NUMBER(number & 0xFFFFFFFF)).digest()


def refusal(signature: Octets, expected: int) -> OutOfSequence | MessageAltered:
    """Say why a signature cannot be that of the next message."""
    if len(signature) != SIGNATURE_SIZE or signature[:4] != VERSION:
        return MessageAltered(
            f"a signature of {len(signature)} octets is none of NTLM's version 1", requirement="MSNLMP-2.2.2.9-01"
        )
    number = int.from_bytes(signature[12:], "little")
    return OutOfSequence(f"message {number} came where {expected} is next: one was lost, repeated or reordered")
