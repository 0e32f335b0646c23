"""The contract of what protects messages once a context is established."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgContextStreamSizes
from saslsspi.engine.flags import QopFlags
from saslsspi.errors import QopNotSupported, UnsupportedFunction

__all__ = ["Numbering", "Octets", "Opened", "Part", "Protection", "RequestProtection"]

Octets: TypeAlias = bytes | memoryview


class Numbering(enum.Enum):
    """What the caller's seq_no means to the message functions."""

    ZERO = enum.auto()  # it must be 0: the context counts its messages itself
    OWN = enum.auto()  # it is ignored: the context counts its messages itself
    CALLER = enum.auto()  # it is the message's number: the context is datagram-oriented


class Opened(NamedTuple):
    """What came out of the first record of a stream.

    Attributes:
        text: The plain text; empty for a record that is about the stream itself.
        used: How many octets the record had.
        closed: Whether the peer has closed its direction (close_notify).
    """

    text: bytes
    used: int
    closed: bool = False


class Part(NamedTuple):
    """One DATA buffer of a message; all parts are signed.

    Attributes:
        sealed: Whether it is encrypted as well.
    """

    octets: bytes
    sealed: bool


class Protection(ABC):
    """Signs, seals and opens the messages of an established context.

    The two hot operations are bound functions, made once for a context and called once a message:

    Attributes:
        seal: Takes a message, returns the octets of the protected one in pieces to be joined.
        unseal: Takes a protected message, returns the plain one. Raises OutOfSequence, before anything is
            consumed, or MessageAltered.
        encrypts: Whether seal hides the message or only signs it.
        recovers: Whether the context can go on after a message that did not verify; a cipher that runs on cannot.
        header_size: How many of the first octets of a protected message precede the message.
        sizes: What the message functions need.
        max_payload: Largest message whose protected form the peer takes, in octets.
        max_receive: Largest protected message that we take, in octets.
        session_key: The key under it all, or None.
        numbering: What the caller's seq_no means.
        detached: Whether the signature stands apart from the message: seal_parts and unseal_parts work then.
        signs_readonly: Whether the signature covers READONLY buffers too.
        stream: Whether protected messages are records of a byte stream: open_record works then, and seal_apart
            serves EncryptMessage with STREAM_HEADER and STREAM_TRAILER buffers.
        signs_mech_list: Whether Negotiate's list can be protected though the context's flags grant no integrity.
        wants_mech_list_mic: Whether Negotiate must protect its list, as the exchange was (MS-SPNG section 6 note 8).
    """

    numbering: Numbering = Numbering.ZERO
    detached: bool = False
    signs_readonly: bool = False
    stream: bool = False
    signs_mech_list: bool = False
    wants_mech_list_mic: bool = False
    seal: Callable[[Octets], tuple[Octets, ...]]
    unseal: Callable[[Octets], bytes]
    encrypts: bool
    recovers: bool
    header_size: int
    sizes: SecPkgContextSizes
    max_payload: int
    max_receive: int
    session_key: bytes | None
    signature_algorithm: str
    encryption_algorithm: str
    key_bits: int

    @abstractmethod
    def overhead(self, size: int) -> int:
        """Return how many octets seal adds to a message of size octets."""

    def seal_apart(self, message: bytes, *, signed_only: bool) -> tuple[bytes, bytes, bytes]:
        """Protect a message and return what precedes it on the wire, its own octets, and what follows them.

        Args:
            message: The plain message.
            signed_only: Sign it and leave it clear, even where seal would hide it (SECQOP_WRAP_NO_ENCRYPT).

        Raises:
            QopNotSupported: this context cannot leave a message clear.
        """
        if signed_only and self.encrypts:
            raise QopNotSupported("this context encrypts every message; pass 0 as quality of protection")
        wire, body = b"".join(self.seal(message)), self.header_size
        return wire[:body], wire[body : body + len(message)], wire[body + len(message) :]

    def open_record(self, octets: Octets) -> Opened:
        """Open the first record of a stream.

        Raises:
            IncompleteMessage: it is not whole yet; nothing was consumed.
        """
        raise UnsupportedFunction("this protection has no stream")

    def stream_sizes(self) -> SecPkgContextStreamSizes | None:
        """Return what EncryptMessage needs of a stream, or None without one."""
        return None

    def unseal_with_qop(self, protected: bytes) -> tuple[bytes, int]:
        """Like unseal; also return the QopFlags of DecryptMessage, 0 for an encrypted message."""
        return self.unseal(protected), 0 if self.encrypts else int(QopFlags.SIGN_ONLY)

    @abstractmethod
    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return the signature of a message; sequence counts only where the context is datagram-oriented."""

    @abstractmethod
    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Raise MessageAltered or OutOfSequence unless the signature is right; nothing is consumed then."""

    def seal_parts(self, parts: Sequence[Part], sequence: int) -> tuple[bytes, list[bytes]]:
        """Protect a message of several buffers; return the signature and each part's octets for the wire."""
        raise UnsupportedFunction("this protection takes one buffer a message")

    def unseal_parts(self, parts: Sequence[Part], signature: bytes, sequence: int) -> tuple[list[bytes], bool]:
        """Open a message of several buffers; return the plain parts, and whether the sealed ones were sealed.

        Raises:
            MessageAltered, OutOfSequence: see unseal.
        """
        raise UnsupportedFunction("this protection takes one buffer a message")

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """Return mechListMIC (RFC 4178 section 5); a stream cipher stands afterwards where it stood."""
        return self.sign(mech_list, 0)

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """Verify mechListMIC; a stream cipher stands afterwards where it stood."""
        self.verify(mech_list, signature, 0)


class RequestProtection(Protection):
    """What MakeSignature and VerifySignature need of a package such as Digest for HTTP.

    A request is described by the SECBUFFER_PKG_PARAMS buffers; the signature is what goes to the peer.
    """

    @abstractmethod
    def sign_request(self, parameters: tuple[bytes, ...], require: Callable[[int], None]) -> bytes:
        """Return the signature of a request.

        Args:
            parameters: The SECBUFFER_PKG_PARAMS buffers, in order.
            require: Called with the signature's size before anything is consumed; raises where it does not fit.
        """

    @abstractmethod
    def verify_request(self, parameters: tuple[bytes, ...], signature: bytes) -> None:
        """Verify the signature of a request.

        Raises:
            MessageAltered, OutOfSequence: nothing is consumed.
        """
