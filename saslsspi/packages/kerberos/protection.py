"""The messages of an established Kerberos context (RFC 4121 section 4.2; RFC 1964 and RFC 4757 for the old types).

    MakeSignature                      GSS_GetMIC, which is not a GSS_Wrap without encryption
    EncryptMessage                     GSS_Wrap in SSPI's layout: all that is added stands before the message
    EncryptMessage, WRAP_NO_ENCRYPT    the same, and the message stays clear

Sequence numbers, their windows and the order of checks are the library's; a signature counts in the same sequence as
a sealed message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.protection import Detached, Numbering, Octets, Part, SealedParts, Signing, SignsMechList
from saslsspi.errors import EncryptFailure, InvalidToken, MessageAltered, QopNotSupported, UnsupportedFunction
from saslsspi.packages.kerberos.enctypes import SessionKey
from saslsspi.packages.kerberos.failures import message_failure
from saslsspi.packages.kerberos.gss import library
from saslsspi.packages.kerberos.mic import numbered_zero, verify_mic_token

__all__ = ["LARGEST", "MAX_TOKEN", "KerberosLayer", "KerberosProtection"]

MAX_TOKEN: Final = 65535
"""Largest token that callers should make room for, in octets: Windows' highest MaxTokenSize."""

LARGEST: Final = 0xFFFFFF
"""Largest protected message where nothing smaller was agreed on, in octets: what RFC 4752 can name."""

_FRAME_GROWTH: Final = 3  # octets by which an ASN.1 length grows from a short message to one of 2**24 octets
_LARGEST_SIGNATURE: Final = 64


class _GssProtection(Signing):
    """What both forms share: signatures, names, the session key.

    MIT's gss_unwrap turns and decrypts the token where it lies, even in a bytes object of Python's. So whatever it is
    given is a copy: see _copied.
    """

    recovers = True
    numbering = Numbering.OWN

    def __init__(self, context: Any, session: SessionKey, *, encrypts: bool) -> None:
        self.encrypts = encrypts
        self.session_key = session.key
        self.signature_algorithm = session.enctype.checksum
        self.encryption_algorithm = session.enctype.name if encrypts else ""
        self.key_bits = session.enctype.ssf if encrypts else 0
        self._gss = library()
        self._context = context

    def overhead(self, size: int) -> int:
        """Return how many octets are added at most, whatever the size."""
        return self.sizes.security_trailer + (self.sizes.block_size if self.sizes.block_size > 1 else 0)

    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return the MIC token of a message (GSS_GetMIC)."""
        try:
            return bytes(self._gss.get_mic(self._context, message))
        except self._gss.GSSError as error:
            raise message_failure(error, "signing") from error

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Verify a MIC token (GSS_VerifyMIC)."""
        try:
            self._gss.verify_mic(self._context, message, signature)
        except self._gss.GSSError as error:
            raise message_failure(error, "verifying a signature") from error


class KerberosProtection(_GssProtection, Detached, SignsMechList):
    """Messages as SSPI's functions handle them.

    Args:
        context: The established context of the library.
        session: Its key.
        encrypts: Whether seal hides the message or only signs it.
        initiates: Whose it is.
        dce: Whether the context is of DCE style, where a message is opened by its parts.
    """

    def __init__(
        self, context: Any, session: SessionKey, *, encrypts: bool, initiates: bool, dce: bool = False
    ) -> None:
        super().__init__(context, session, encrypts=encrypts)
        self._enctype, self._initiates = session.enctype.name, initiates
        header, padding = _added(context, encrypt=encrypts)
        if session.enctype.framed and not dce:
            header += _FRAME_GROWTH
        self.header_size, self.trailer_size = header, padding
        self.max_payload = LARGEST - header - padding
        self.max_receive = LARGEST
        self.sizes = SecPkgContextSizes(
            max_token=MAX_TOKEN,
            max_signature=_signature_size(context),
            block_size=max(padding, 1),
            security_trailer=header,
        )
        self.context, self.by_parts = context, dce and encrypts
        self.seal, self.unseal = self._seal, self._unseal

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """See SignsMechList.sign_mech_list; it counts as a message."""
        return self.sign(mech_list, 0)

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """See SignsMechList.verify_mech_list; the one of Windows has the number 0 and counts as no message."""
        if self.session_key is not None and numbered_zero(signature, self._enctype):
            verify_mic_token(self.session_key, self._enctype, mech_list, signature, by_acceptor=self._initiates)
        else:
            self.verify(mech_list, signature, 0)

    def seal_parts(self, parts: Sequence[Part], sequence: int, *, encrypt: bool = True) -> SealedParts:
        """See Detached.seal_parts; a GSS_Wrap without encryption is what signs only."""
        hides = encrypt and self.encrypts and any(part.sealed for part in parts)
        gss = self._gss
        try:
            if not hasattr(gss, "wrap_iov"):
                message = _only(parts)
                # Receivers join the parts before they open them, so any cut will do.
                wire = bytes(gss.wrap(self._context, message, hides).message)
                body = len(wire) - len(message)
                return SealedParts(wire[:body], [wire[body:]])
            buffers = self._buffers(parts)
            hidden = gss.wrap_iov(self._context, buffers, confidential=hides)
        except gss.GSSError as error:
            raise message_failure(error, "sealing") from error
        if hides and not hidden:
            raise EncryptFailure("the GSS-API library did not encrypt the message")
        header, *octets, padding = (buffer.value or b"" for buffer in buffers)
        return SealedParts(header, octets[: len(parts)], padding)

    def unseal_parts(
        self, parts: Sequence[Part], before: bytes, after: bytes, sequence: int
    ) -> tuple[list[bytes], bool]:
        """See Detached.unseal_parts; each message tells itself whether it was encrypted."""
        gss = self._gss
        if not hasattr(gss, "unwrap_iov"):
            plain, hidden = self._open(b"".join((before, _only(parts), after)))
            return [plain], hidden
        buffers = self._buffers(parts, before, after)
        try:
            result = gss.unwrap_iov(self._context, buffers)
        except gss.GSSError as error:
            raise message_failure(error, "opening a message") from error
        return [bytes(buffer.value or b"") for buffer in list(buffers)[1 : len(parts) + 1]], bool(result.encrypted)

    def unseal_joined(self, wire: bytes, sequence: int) -> tuple[bytes, bool]:
        """See Detached.unseal_joined; the header of a sender that is not SSPI may have another size."""
        if self.by_parts:
            if len(wire) < self.header_size:
                raise InvalidToken(
                    f"a protected message of {len(wire)} octets has no room for its header of {self.header_size}"
                )
            return super().unseal_joined(wire, sequence)
        return self._open(wire)

    def split(self, signature: bytes, parts: Sequence[Part]) -> tuple[bytes, bytes]:
        """See Detached.split: what follows the parts is the cipher's padding, whose size the library knows."""
        if not self.trailer_size:
            return signature, b""
        gss, blank = self._gss, [Part(bytes(len(part.octets)), part.sealed) for part in parts]
        buffers = self._buffers(blank)
        hides = self.encrypts and any(part.sealed for part in parts)
        try:
            gss.wrap_iov_length(self._context, buffers, confidential=hides)
        except gss.GSSError as error:
            raise message_failure(error, "asking for message sizes") from error
        at = len(signature) - len(list(buffers)[-1].value or b"")
        return signature[:at], signature[at:]

    def _buffers(self, parts: Sequence[Part], before: bytes | None = None, after: bytes = b"") -> Any:
        """Return the library's buffers: a header, one for each part, padding; without a header they are to be made."""
        gss, kinds = self._gss, self._gss.IOVBufferType
        middle = [(kinds.data if part.sealed else kinds.sign_only, False, _copied(part.octets)) for part in parts]
        if not any(part.sealed for part in parts):
            middle.append((kinds.data, False, b""))  # a message has some data
        if before is None:
            return gss.IOV(kinds.header, *middle, kinds.padding, std_layout=False)
        return gss.IOV(
            (kinds.header, False, _copied(before)), *middle, (kinds.padding, False, _copied(after)), std_layout=False
        )

    def _seal(self, message: Octets) -> tuple[Octets, ...]:
        before, (octets,), after = self.seal_parts((Part(bytes(message), self.encrypts),), 0)
        return before, octets, after

    def _unseal(self, protected: Octets) -> bytes:
        plain, hidden = self.unseal_joined(bytes(protected), 0)
        if self.encrypts and not hidden:
            raise MessageAltered("a message came in clear, and every message of this context is encrypted")
        return plain

    def _open(self, protected: Octets) -> tuple[bytes, bool]:
        gss = self._gss
        try:
            result = gss.unwrap(self._context, _copied(protected))
        except gss.GSSError as error:
            raise message_failure(error, "opening a message") from error
        return bytes(result.message), bool(result.encrypted)


class KerberosLayer(_GssProtection):
    """Messages under a SASL layer: plain GSS_Wrap, of agreed size and quality (RFC 4752 section 3.3).

    Raises:
        QopNotSupported: the peer's size leaves no room for a message.
    """

    header_size = 0

    def __init__(self, context: Any, session: SessionKey, *, encrypt: bool, max_send: int, max_receive: int) -> None:
        super().__init__(context, session, encrypts=encrypt)
        # "Note that SASL negotiates the maximum size of the output_message to send. Implementations can use the
        # GSS_Wrap_size_limit call to determine the corresponding maximum size input_message."
        self.max_payload = int(self._gss.wrap_size_limit(context, max_send, encrypt))
        self.max_receive = max_receive
        if self.max_payload < 1:
            raise QopNotSupported(f"the peer takes {max_send} octets at once, which leaves no room for a message")
        added = sum(_added(context, encrypt=encrypt)) + (_FRAME_GROWTH if session.enctype.framed else 0)
        self.sizes = SecPkgContextSizes(
            max_token=MAX_TOKEN, max_signature=_signature_size(context), block_size=1, security_trailer=added
        )
        self.seal = _wrapper(self._gss, context, encrypt=encrypt)
        self.unseal = _unwrapper(self._gss, context, encrypt=encrypt)


def _wrapper(gss: Any, context: Any, *, encrypt: bool) -> Callable[[Octets], tuple[Octets, ...]]:
    wrap = gss.wrap

    def seal(message: Octets) -> tuple[Octets, ...]:
        try:
            result = wrap(context, bytes(message), encrypt)
        except gss.GSSError as error:
            raise message_failure(error, "wrapping") from error
        if encrypt and not result.encrypted:
            raise EncryptFailure("the GSS-API library did not encrypt the message")
        return (result.message,)

    return seal


def _unwrapper(gss: Any, context: Any, *, encrypt: bool) -> Callable[[Octets], bytes]:
    unwrap = gss.unwrap

    def unseal(protected: Octets) -> bytes:
        try:
            result = unwrap(context, bytes(memoryview(protected)))  # a copy: see _copied
        except gss.GSSError as error:
            raise message_failure(error, "unwrapping") from error
        # A layer that was agreed to hide everything takes nothing in clear: that is how a weaker sender would show.
        if encrypt and not result.encrypted:
            raise MessageAltered("a message came unencrypted under a layer with confidentiality")
        plain: bytes = result.message
        return plain

    return unseal


def _copied(octets: Octets) -> bytes:
    """Return the octets in an object of their own, which `bytes(octets)` does not do."""
    return bytes(memoryview(octets))


def _only(parts: Sequence[Part]) -> bytes:
    if len(parts) != 1:
        raise UnsupportedFunction("this GSS-API library protects whole messages only: it has no gss_wrap_iov")
    return parts[0].octets


def _added(context: Any, *, encrypt: bool) -> tuple[int, int]:
    """Return how many octets precede and follow a short message at most."""
    gss = library()
    if not hasattr(gss, "wrap_iov_length"):
        return LARGEST - int(gss.wrap_size_limit(context, LARGEST, encrypt)), 0
    parts = gss.IOV(gss.IOVBufferType.header, bytes(8), gss.IOVBufferType.padding, std_layout=False)
    try:
        gss.wrap_iov_length(context, parts, confidential=encrypt)
    except gss.GSSError as error:
        raise message_failure(error, "asking for message sizes") from error
    return len(parts[0].value or b""), len(parts[2].value or b"")


def _signature_size(context: Any) -> int:
    gss = library()
    if not hasattr(gss, "get_mic_iov_length"):
        return _LARGEST_SIGNATURE
    parts = gss.IOV(b"", gss.IOVBufferType.mic_token, std_layout=False)
    try:
        gss.get_mic_iov_length(context, parts)
    except gss.GSSError:
        return _LARGEST_SIGNATURE
    return len(parts[1].value or b"") or _LARGEST_SIGNATURE
