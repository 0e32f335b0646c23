"""The security layer of DIGEST-MD5: auth-int and auth-conf (RFC 2831 sections 2.3 and 2.4).

A protected message, without the 4-octet length that SASL framing puts before it:

    auth-int    message                                 MAC (10 octets)   00 01   sequence number (4 octets)
    auth-conf   cipher(message  padding  MAC (10 octets))                 00 01   sequence number (4 octets)

The sequence number stands in clear and is compared first: another than the next one is OutOfSequence, and nothing
has been consumed then. After that a wrong type, padding and MAC are one error in the same time. The operations are
closures over counters, prepared MAC states and cipher states: a message costs one MAC and one cipher call.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from struct import Struct
from typing import Final

from saslsspi.crypto.md5 import LONG, HmacMd5
from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.protection import Octets, Signing
from saslsspi.errors import InvalidToken, MessageAltered, OutOfSequence
from saslsspi.packages.digest.ciphers import Cipher
from saslsspi.packages.digest.keys import LayerKeys
from saslsspi.packages.digest.sasl.cipher_state import LayerState, Probe, begun

__all__ = ["MAX_TOKEN", "DigestProtection"]

MAX_TOKEN: Final = 4096
"""Largest token of the package, in octets; a digest-response is shorter (RFC 2831 section 2.1.2)."""

_MAC_SIZE: Final = 10
_TRAILER_SIZE: Final = 16  # MAC, type, sequence number
_CLEAR_SIZE: Final = 6  # type, sequence number
_TYPE: Final = b"\x00\x01"
_SEQUENCE: Final = Struct(">I").pack
_PADDING: Final = tuple(bytes([size]) * size for size in range(256))

Sealer = Callable[[Octets], tuple[Octets, ...]]
Opener = Callable[[Octets], bytes]
StateOf = Callable[[Probe], tuple[int, bytes]]


class DigestProtection(Signing):
    """The layer of one established DIGEST-MD5 session with integrity.

    Args:
        keys: The keys of this side.
        cipher: The cipher of auth-conf; None for auth-int.
        session_key: H(A1).
        max_send: The peer's maxbuf, in octets; what is added counts within it.
        max_receive: Our own maxbuf.
        first_number: Sequence number of the first message either way; the protocol's is 0.
        resumed: Where the layer of another process stood, which this one goes on from.

    Raises:
        InvalidToken: the peer's maxbuf leaves no room for a message.
    """

    header_size = 0
    signature_algorithm = "HMAC-MD5"

    def __init__(
        self,
        keys: LayerKeys,
        cipher: Cipher | None,
        session_key: bytes,
        max_send: int,
        max_receive: int,
        *,
        first_number: int = 0,
        resumed: LayerState | None = None,
    ) -> None:
        block = 1 if cipher is None else cipher.block_size
        self.encrypts = cipher is not None
        self.recovers = cipher is None
        self.block_size = block
        self.session_key = session_key
        self.max_receive = max_receive
        self.encryption_algorithm = "" if cipher is None else cipher.name.decode()
        self.key_bits = 0 if cipher is None else cipher.ssf
        # Padding is at least one octet and completes a block, so the largest enciphered part is whole blocks.
        enciphered = (max_send - _CLEAR_SIZE) // block * block
        self.max_payload = enciphered - _MAC_SIZE - (block > 1)
        if self.max_payload < 1:
            raise InvalidToken(f"the peer's maxbuf of {max_send} octets leaves no room for a message")
        self.recipe = (keys, cipher, max_send)
        to, back = (first_number, first_number) if resumed is None else (resumed.sent, resumed.received)
        if cipher is None:
            self.seal, self._sign, self.sender_state = _sender(keys.send_signing, to)
            self.unseal, self._verify, self.receiver_state = _receiver(keys.receive_signing, back)
        else:
            encipher, decipher = begun(cipher, keys, resumed)
            self.seal, self._sign, self.sender_state = _enciphering_sender(keys.send_signing, encipher, block, to)
            self.unseal, self._verify, self.receiver_state = _deciphering_receiver(
                keys.receive_signing, decipher, block, back
            )

    @property
    def sizes(self) -> SecPkgContextSizes:  # type: ignore[override]  # computed when asked for, which is seldom
        """What the message functions need."""
        block = self.block_size
        return SecPkgContextSizes(MAX_TOKEN, _TRAILER_SIZE, block, _TRAILER_SIZE + block)

    def overhead(self, size: int) -> int:
        """Return how many octets seal adds to a message of size octets."""
        block = self.block_size
        padding = 0 if block == 1 else block - (size + _MAC_SIZE) % block
        return padding + _TRAILER_SIZE

    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return the MAC block of a message, 16 octets; it counts as the next message of this side."""
        return self._sign(message)

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Verify a MAC block as the next one of the peer."""
        self._verify(message, signature)


def _sender(key: bytes, number: int) -> tuple[Sealer, Callable[[bytes], bytes], StateOf]:
    mac = HmacMd5(key)
    begin, finish = mac.inner.copy, mac.outer.copy

    def seal(message: Octets) -> tuple[Octets, ...]:
        nonlocal number
        counter = _SEQUENCE(number)
        inner = begin() if len(message) < LONG else mac.begin_long()
        inner.update(counter)
        inner.update(message)
        outer = finish()
        outer.update(inner.digest())
        number = (number + 1) & 0xFFFFFFFF
        return message, outer.digest()[:10] + b"\x00\x01" + counter

    def sign(message: bytes) -> bytes:
        return bytes(seal(message)[1])

    def state(probe: Probe) -> tuple[int, bytes]:
        return number, b""

    return seal, sign, state


def _receiver(key: bytes, number: int) -> tuple[Opener, Callable[[bytes, bytes], None], StateOf]:
    mac = HmacMd5(key)
    begin, finish = mac.inner.copy, mac.outer.copy

    def unseal(wire: Octets) -> bytes:
        nonlocal number
        counter = _SEQUENCE(number)
        if wire[-4:] != counter:
            raise _not_next(wire[-_CLEAR_SIZE:], len(wire), number)
        message = wire[:-16]
        inner = begin() if len(message) < LONG else mac.begin_long()
        inner.update(counter)
        inner.update(message)
        outer = finish()
        outer.update(inner.digest())
        if not compare_digest(outer.digest()[:10] + b"\x00\x01", wire[-16:-4]):
            raise MessageAltered("the MAC of a message does not verify", requirement="RFC2831-2.3-09")
        number = (number + 1) & 0xFFFFFFFF
        return bytes(message)

    def verify(message: bytes, signature: bytes) -> None:
        if len(signature) != _TRAILER_SIZE:
            raise MessageAltered(f"a signature of {len(signature)} octets, expected {_TRAILER_SIZE}")
        unseal(message + signature)

    def state(probe: Probe) -> tuple[int, bytes]:
        return number, b""

    return unseal, verify, state


def _enciphering_sender(
    key: bytes, encipher: Callable[[Octets], bytes], block: int, number: int
) -> tuple[Sealer, Callable[[bytes], bytes], StateOf]:
    mac = HmacMd5(key)
    begin, finish = mac.inner.copy, mac.outer.copy

    def seal(message: Octets) -> tuple[Octets, ...]:
        nonlocal number
        size, counter = len(message), _SEQUENCE(number)
        inner = begin() if size < LONG else mac.begin_long()
        inner.update(counter)
        inner.update(message)
        outer = finish()
        outer.update(inner.digest())
        number = (number + 1) & 0xFFFFFFFF
        code = outer.digest()[:10]
        if block > 1:
            code = _PADDING[block - (size + _MAC_SIZE) % block] + code
        return encipher(b"".join((message, code))), b"\x00\x01" + counter

    def sign(message: bytes) -> bytes:
        nonlocal number
        counter = _SEQUENCE(number)
        number = (number + 1) & 0xFFFFFFFF
        return mac.digest(counter, message)[:10] + _TYPE + counter

    def state(probe: Probe) -> tuple[int, bytes]:
        nonlocal encipher
        position, encipher = probe(encipher)
        return number, position

    return seal, sign, state


def _deciphering_receiver(
    key: bytes, decipher: Callable[[Octets], bytes], block: int, number: int
) -> tuple[Opener, Callable[[bytes, bytes], None], StateOf]:
    mac = HmacMd5(key)
    begin, finish = mac.inner.copy, mac.outer.copy
    # One octet of padding and the MAC are whole blocks at least.
    least = _TRAILER_SIZE if block == 1 else -(-(1 + _MAC_SIZE) // block) * block + _CLEAR_SIZE

    def unseal(wire: Octets) -> bytes:
        nonlocal number
        counter = _SEQUENCE(number)
        if wire[-4:] != counter:
            raise _not_next(wire[-_CLEAR_SIZE:], len(wire), number)
        size = len(wire)
        if size < least or (block > 1 and (size - _CLEAR_SIZE) % block):
            raise MessageAltered(f"a protected message of {size} octets is no whole number of cipher blocks")
        plain = decipher(wire[:-6])
        message = plain[:-10] if block == 1 else plain[: _end_of_text(plain, block)]
        inner = begin() if size < LONG else mac.begin_long()
        inner.update(counter)
        inner.update(message)
        outer = finish()
        outer.update(inner.digest())
        if not compare_digest(outer.digest()[:10] + b"\x00\x01", b"".join((plain[-10:], wire[-6:-4]))):
            raise MessageAltered("the MAC of a message does not verify", requirement="RFC2831-2.4-15")
        number = (number + 1) & 0xFFFFFFFF
        return message

    def verify(message: bytes, signature: bytes) -> None:
        nonlocal number
        counter = _SEQUENCE(number)
        if len(signature) != _TRAILER_SIZE:
            raise MessageAltered(f"a signature of {len(signature)} octets, expected {_TRAILER_SIZE}")
        if signature[-4:] != counter:
            raise _not_next(signature[-_CLEAR_SIZE:], len(signature), number)
        if not compare_digest(mac.digest(counter, message)[:10] + _TYPE, signature[:12]):
            raise MessageAltered("a signature does not verify", requirement="RFC2831-2.4-15")
        number = (number + 1) & 0xFFFFFFFF

    def state(probe: Probe) -> tuple[int, bytes]:
        nonlocal decipher
        position, decipher = probe(decipher)
        return number, position

    return unseal, verify, state


def _end_of_text(plain: bytes, block: int) -> int:
    """Where the message ends before its padding; where the padding is wrong, an end that no MAC fits.

    A wrong padding must not be told from a wrong MAC, neither by error nor by time, so it is not an error here:
    the MAC is then computed over all that was deciphered, which the peer did not sign.
    """
    padding = plain[-11]
    if 1 <= padding <= block and plain.endswith(_PADDING[padding], 0, -10):
        return len(plain) - 10 - padding
    return len(plain)


def _not_next(clear: Octets, size: int, expected: int) -> OutOfSequence | MessageAltered:
    if size < _TRAILER_SIZE:
        return MessageAltered(f"a protected message of {size} octets is shorter than its MAC block")
    received = int.from_bytes(clear[-4:])
    return OutOfSequence(
        f"message {received} came where {expected} is next: one was lost, repeated or reordered",
        requirement="RFC2831-2.3-08",
    )
