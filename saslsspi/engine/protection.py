"""The contract of what protects messages once a context is established: a core, and what some packages can beside it.

    Protection           seal and unseal whole messages
    Signing              signatures that travel beside their messages
    Detached             several buffers under one signature, each sealed or signed only
    Records              a byte stream of records
    SignsMechList        a signature of SPNEGO's list that leaves the cipher where it stood
    RequestProtection    signatures of requests in place of messages

Who uses a protection asks with isinstance what it can.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgContextStreamSizes
from saslsspi.errors import IncompleteMessage, NotProtected

__all__ = [
    "Detached",
    "Numbering",
    "Octets",
    "Opened",
    "Part",
    "Protection",
    "Records",
    "RequestProtection",
    "SealedParts",
    "Signing",
    "SignsMechList",
]

Octets: TypeAlias = bytes | memoryview


class Numbering(enum.Enum):
    """What the caller's seq_no means to the message functions."""

    ZERO = enum.auto()  # it must be 0: the context counts its messages itself
    OWN = enum.auto()  # it is ignored: the context counts its messages itself
    CALLER = enum.auto()  # it is the message's number: the context is datagram-oriented


class Protection(ABC):
    """Seals and opens the messages of an established context.

    The two hot operations are bound functions, made once for a context and called once a message. A call that is
    refused has consumed nothing: no sequence number, and nothing of a key stream.

    Attributes:
        seal: Takes a message, returns the octets of the protected one in pieces to be joined.
        unseal: Takes a protected message, returns the plain one. Raises OutOfSequence, before anything is
            consumed, or MessageAltered: it does not verify, or came in clear where every message is hidden.
        encrypts: Whether seal hides the message or only signs it.
        recovers: Whether the context can go on after a message that did not verify; a cipher that runs on cannot.
        header_size: How many octets of a protected message precede the message at most.
        sizes: What the message functions need.
        max_payload: Largest message whose protected form the peer takes, in octets.
        max_receive: Largest protected message that we take, in octets.
        session_key: The key under it all, or None.
        numbering: What the caller's seq_no means.
    """

    numbering: Numbering = Numbering.ZERO
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


class Signing(Protection):
    """Signs messages that stay as they are."""

    @abstractmethod
    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return the signature of a message; sequence counts only where the context is datagram-oriented."""

    @abstractmethod
    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Raise MessageAltered or OutOfSequence unless the signature is right; nothing is consumed then."""

    def check_integrity(self) -> None:
        """Raise NotProtected where no algorithm stands behind a signature: the same one is right for every message."""
        if not self.signature_algorithm:
            raise NotProtected("the context was established without integrity, so a signature would say nothing")


class Part(NamedTuple):
    """One part of a message; all parts are under one signature.

    Attributes:
        sealed: Whether it is encrypted as well, where the context encrypts.
    """

    octets: bytes
    sealed: bool


class SealedParts(NamedTuple):
    """A protected message of several parts.

    Attributes:
        before: The signature: what precedes the parts on the wire.
        octets: The parts, each as long as it was.
        after: What follows the parts: a cipher's padding.
    """

    before: bytes
    octets: list[bytes]
    after: bytes = b""


class Detached(Signing):
    """Protects messages of several parts, whose signature stands apart from them.

    Attributes:
        signs_readonly: Whether the signature covers READONLY buffers too.
        trailer_size: Largest size of what follows the parts, in octets; header_size is that of the signature.
    """

    signs_readonly: bool = False
    trailer_size: int = 0

    @abstractmethod
    def seal_parts(self, parts: Sequence[Part], sequence: int, *, encrypt: bool = True) -> SealedParts:
        """Protect a message of several parts.

        Args:
            parts: What it consists of, in order.
            sequence: Its number, where the context is datagram-oriented.
            encrypt: Whether sealed parts are hidden; if not, all of it is signed only (SECQOP_WRAP_NO_ENCRYPT).

        Raises:
            UnsupportedFunction: not so many parts, or none that is signed only; nothing was consumed.
        """

    @abstractmethod
    def unseal_parts(
        self, parts: Sequence[Part], before: bytes, after: bytes, sequence: int
    ) -> tuple[list[bytes], bool]:
        """Open a message of several parts; return the plain ones, and whether those to be sealed were sealed.

        Args:
            parts: What came, and which are to be sealed.
            before: The signature.
            after: What follows the parts.
            sequence: The message's number, where the context is datagram-oriented.

        Raises:
            MessageAltered, OutOfSequence: see Protection.
            UnsupportedFunction: as for seal_parts.
        """

    def unseal_joined(self, wire: bytes, sequence: int) -> tuple[bytes, bool]:
        """Open a message of one part with all its octets in a row; return it, and whether it was sealed."""
        head = self.header_size
        (plain,), hidden = self.unseal_parts((Part(wire[head:], sealed=True),), wire[:head], b"", sequence)
        return plain, hidden

    def split(self, signature: bytes, parts: Sequence[Part]) -> tuple[bytes, bytes]:
        """Cut what precedes and what follows the parts, joined by whoever carries them, apart again."""
        return signature, b""


class Opened(NamedTuple):
    """What came out of the first record of a stream.

    Attributes:
        text: The plain text; empty for a record that is about the stream itself.
        used: How many octets the record had.
        closed: Whether the peer has closed its direction (close_notify).
        renegotiates: Whether the peer asks for a new handshake; the refusal is owed.
    """

    text: bytes
    used: int
    closed: bool = False
    renegotiates: bool = False


class Records(Protection):
    """Protected messages are records of a byte stream."""

    @abstractmethod
    def open_record(self, octets: Octets) -> Opened:
        """Open the first record of a stream.

        Raises:
            IncompleteMessage: it is not whole yet; nothing was consumed.
        """

    @abstractmethod
    def record_size(self, octets: Octets) -> int:
        """Return the size of the first record; raise IncompleteMessage where it is not whole."""

    def open_whole(self, stream: bytearray) -> Opened:
        """Open every whole record at the front of a stream and take it off; an unfinished one stays.

        What has come behind the peer's close_notify stays too, and is never opened.
        """
        texts, used, closed = list[bytes](), 0, False
        try:
            with memoryview(stream) as view:
                while used < len(view) and not closed:
                    # Released at once: an error's frames would hold it, and the stream could not be cut below.
                    with view[used:] as rest:
                        text, size, closed, _ = self.open_record(rest)
                    texts.append(text)
                    used += 0 if closed else size
        except IncompleteMessage:
            pass
        finally:
            del stream[:used]
        return Opened(b"".join(texts), used, closed)

    @abstractmethod
    def stream_sizes(self) -> SecPkgContextStreamSizes:
        """Return what EncryptMessage needs of the stream."""

    def owed(self) -> bytes:
        """Return records about the stream itself that the peer is still to get, and that else precede the next seal's.

        Their sequence numbers are used: they go to the peer before anything that is sealed later.
        """
        return b""


class SignsMechList(Protection):
    """Signs SPNEGO's list of mechanisms in a way of its own.

    Attributes:
        must_sign_list: Whether Negotiate must protect its list, as the exchange was (MS-SPNG section 6 note 8).
        signs_list_alone: Whether the list can be protected though the context's flags grant no integrity.
    """

    must_sign_list: bool = False
    signs_list_alone: bool = False

    @abstractmethod
    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """Return mechListMIC (RFC 4178 section 5); a stream cipher stands afterwards where it stood."""

    @abstractmethod
    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """Verify mechListMIC; a stream cipher stands afterwards where it stood."""


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
