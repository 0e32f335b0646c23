"""What protects messages after CredSSP: records of TLS, and the signatures of the package that Negotiate chose."""

from __future__ import annotations

from struct import Struct
from typing import Final

from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgContextStreamSizes
from saslsspi.engine.protection import Numbering, Octets, Opened, Records, Signing
from saslsspi.errors import InvalidToken, QopNotSupported

__all__ = ["ConfidentialLayer", "CredsspProtection", "SigningLayer"]

_RECORD: Final = 16384
_SIGNATURE_SIZE: Final = Struct(">H")


class _InsideTls(Signing):
    """Signatures are those of the context inside.

    Args:
        tls: The connection's protection.
        inner: The protection of the context inside.
        max_token: Largest token of the package.
    """

    numbering = Numbering.OWN
    encrypts = True
    recovers = False
    header_size = 0
    session_key = None

    def __init__(self, tls: Records, inner: Signing, max_token: int) -> None:
        self.tls = tls
        self.inner = inner
        self.seal = tls.seal
        self.unseal = tls.unseal
        self.max_payload = tls.max_payload
        self.max_receive = tls.max_receive
        self.key_bits = tls.key_bits
        self.encryption_algorithm = tls.encryption_algorithm
        self.signature_algorithm = inner.signature_algorithm
        self.sizes = SecPkgContextSizes(
            max_token, inner.sizes.max_signature, tls.sizes.block_size, tls.sizes.security_trailer
        )

    def overhead(self, size: int) -> int:
        """See Protection.overhead."""
        return self.tls.overhead(size)

    def sign(self, message: bytes, sequence: int) -> bytes:
        """Sign with the context inside; its sequence numbers go on from the exchange."""
        return self.inner.sign(message, sequence)

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Verify with the context inside."""
        self.inner.verify(message, signature, sequence)


class CredsspProtection(_InsideTls, Records):
    """EncryptMessage and DecryptMessage are TLS's, MakeSignature and VerifySignature those of the context inside."""

    def open_record(self, octets: Octets) -> Opened:
        """See Records.open_record."""
        return self.tls.open_record(octets)

    def record_size(self, octets: Octets) -> int:
        """See Records.record_size."""
        return self.tls.record_size(octets)

    def stream_sizes(self) -> SecPkgContextStreamSizes:
        """See Records.stream_sizes."""
        return self.tls.stream_sizes()

    def owed(self) -> bytes:
        """See Records.owed."""
        return self.tls.owed()


class ConfidentialLayer(_InsideTls):
    """The confidentiality layer of SASL: each buffer is whole records of TLS that can be opened alone.

    Raises:
        QopNotSupported: the peer's size leaves no room for a payload.
    """

    def __init__(self, tls: Records, inner: Signing, *, max_send: int, max_receive: int) -> None:
        super().__init__(tls, inner, 0)
        one = tls.overhead(1)
        added = tls.overhead(_RECORD + 1) - one
        full, rest = divmod(max(0, max_send - (one - added)), _RECORD + added)  # a record about the stream may precede
        self.max_payload = full * _RECORD + max(0, rest - added)
        self.max_receive = max_receive
        if self.max_payload < 1:
            raise QopNotSupported(f"buffers of {max_send} octets leave no room beside the {added} of a record")


class SigningLayer(_InsideTls):
    """The integrity layer of SASL: the size of the signature in 2 octets, the signature, the message.

    Raises:
        QopNotSupported: the peer's size leaves no room for a payload.
    """

    encrypts = False

    def __init__(self, tls: Records, inner: Signing, *, max_send: int, max_receive: int) -> None:
        super().__init__(tls, inner, 0)
        self._added = _SIGNATURE_SIZE.size + inner.sizes.max_signature
        self.max_payload = max_send - self._added
        self.max_receive = max_receive
        self.encryption_algorithm = ""
        self.key_bits = 0
        self.seal = self._seal
        self.unseal = self._unseal
        if self.max_payload < 1:
            raise QopNotSupported(f"buffers of {max_send} octets leave no room beside the {self._added} of a signature")

    def overhead(self, size: int) -> int:
        """Return the octets of the signature and its size, at most."""
        return self._added

    def _seal(self, message: Octets) -> tuple[bytes, bytes, Octets]:
        signature = self.inner.sign(bytes(message), 0)
        return _SIGNATURE_SIZE.pack(len(signature)), signature, message

    def _unseal(self, octets: Octets) -> bytes:
        data = bytes(octets)
        if len(data) < _SIGNATURE_SIZE.size:
            raise InvalidToken(f"a signed buffer of {len(data)} octets is too short")
        (size,) = _SIGNATURE_SIZE.unpack_from(data)
        end = _SIGNATURE_SIZE.size + size
        if end > len(data):
            raise InvalidToken(f"a signature of {size} octets in a buffer of {len(data)}")
        message = data[end:]
        self.inner.verify(message, data[_SIGNATURE_SIZE.size : end], 0)
        return message
