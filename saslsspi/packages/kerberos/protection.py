"""The messages of an established Kerberos context (RFC 4121 section 4.2; RFC 1964 and RFC 4757 for the old types).

    MakeSignature                      GSS_GetMIC, which is not a GSS_Wrap without encryption
    EncryptMessage                     GSS_Wrap in SSPI's layout: all that is added stands before the message
    EncryptMessage, WRAP_NO_ENCRYPT    the same, and the message stays clear

Sequence numbers, their windows and the order of checks are the library's; a signature counts in the same sequence as
a sealed message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.flags import QopFlags
from saslsspi.engine.protection import Octets, Protection
from saslsspi.errors import EncryptFailure, InvalidToken, MessageAltered, QopNotSupported
from saslsspi.packages.kerberos.enctypes import SessionKey
from saslsspi.packages.kerberos.failures import message_failure
from saslsspi.packages.kerberos.gss import library

__all__ = ["LARGEST", "MAX_TOKEN", "KerberosLayer", "KerberosProtection"]

MAX_TOKEN: Final = 65535
"""Largest token that callers should make room for, in octets: Windows' highest MaxTokenSize."""

LARGEST: Final = 0xFFFFFF
"""Largest protected message where nothing smaller was agreed on, in octets: what RFC 4752 can name."""

_NO_ENCRYPT: Final = int(QopFlags.SECQOP_WRAP_NO_ENCRYPT)
_FRAME_GROWTH: Final = 3  # octets by which an ASN.1 length grows from a short message to one of 2**24 octets
_LARGEST_SIGNATURE: Final = 64


class _GssProtection(Protection):
    """What both forms share: signatures, names, the session key.

    MIT's gss_unwrap turns and decrypts the token where it lies, even in a bytes object of Python's. So whatever it is
    given is a copy: `bytes(memoryview(token))` makes one, `bytes(token)` does not.
    """

    recovers = True

    def __init__(self, context: Any, session: SessionKey, encrypts: bool) -> None:
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


class KerberosProtection(_GssProtection):
    """Messages as SSPI's functions handle them.

    Args:
        context: The established context of the library.
        session: Its key.
        encrypts: Whether seal hides the message or only signs it.
        dce: Whether the context is of DCE style, where a message is opened by its parts.
    """

    def __init__(self, context: Any, session: SessionKey, *, encrypts: bool, dce: bool = False) -> None:
        super().__init__(context, session, encrypts)
        header, padding = _added(context, encrypts)
        if session.enctype.framed and not dce:
            header += _FRAME_GROWTH
        self.header_size = header
        self.max_payload = LARGEST - header - padding
        self.max_receive = LARGEST
        self.sizes = SecPkgContextSizes(
            max_token=MAX_TOKEN,
            max_signature=_signature_size(context),
            block_size=max(padding, 1),
            security_trailer=header,
        )
        self.seal = self._seal
        self.context, self.by_parts = context, dce and encrypts
        self.unseal = self._unseal_parts if self.by_parts else self._unseal

    def _seal(self, message: Octets) -> tuple[bytes, bytes, bytes]:
        return self._apart(bytes(message), self.encrypts)

    def _apart(self, message: bytes, encrypt: bool) -> tuple[bytes, bytes, bytes]:
        gss = self._gss
        try:
            if not hasattr(gss, "wrap_iov"):
                # Receivers join the parts before they open them, so any cut will do.
                wire = bytes(gss.wrap(self._context, message, encrypt).message)
                body = len(wire) - len(message)
                return wire[:body], wire[body:], b""
            parts = gss.IOV(gss.IOVBufferType.header, message, gss.IOVBufferType.padding, std_layout=False)
            encrypted = gss.wrap_iov(self._context, parts, confidential=encrypt)
        except gss.GSSError as error:
            raise message_failure(error, "sealing") from error
        if encrypt and not encrypted:
            raise EncryptFailure("the GSS-API library did not encrypt the message")
        return parts[0].value, parts[1].value, parts[2].value or b""

    def _unseal(self, protected: Octets) -> bytes:
        return self._open(protected)[0]

    def _unseal_parts(self, protected: Octets) -> bytes:
        wire, gss, header = bytes(protected), self._gss, self.header_size
        if len(wire) < header:
            raise InvalidToken(f"a protected message of {len(wire)} octets has no room for its header of {header}")
        kinds = gss.IOVBufferType
        parts = gss.IOV(
            (kinds.header, False, wire[:header]), (kinds.data, False, wire[header:]), (kinds.padding, False, b""),
            std_layout=False,
        )  # fmt: skip
        try:
            gss.unwrap_iov(self._context, parts)
        except gss.GSSError as error:
            raise message_failure(error, "opening a message") from error
        return bytes(parts[1].value)

    def seal_apart(self, message: bytes, *, signed_only: bool) -> tuple[bytes, bytes, bytes]:
        """See Protection.seal_apart: a GSS_Wrap without encryption is what signed_only means here."""
        return self._apart(message, self.encrypts and not signed_only)

    def unseal_with_qop(self, protected: bytes) -> tuple[bytes, int]:
        """See Protection.unseal_with_qop; each message tells itself whether it was encrypted."""
        if self.by_parts:
            return self._unseal_parts(protected), 0
        return self._open(protected)

    def _open(self, protected: Octets) -> tuple[bytes, int]:
        gss = self._gss
        try:
            result = gss.unwrap(self._context, bytes(memoryview(protected)))
        except gss.GSSError as error:
            raise message_failure(error, "opening a message") from error
        return bytes(result.message), 0 if result.encrypted else _NO_ENCRYPT


class KerberosLayer(_GssProtection):
    """Messages under a SASL layer: plain GSS_Wrap, of agreed size and quality (RFC 4752 section 3.3).

    Raises:
        QopNotSupported: the peer's size leaves no room for a message.
    """

    header_size = 0

    def __init__(self, context: Any, session: SessionKey, *, encrypt: bool, max_send: int, max_receive: int) -> None:
        super().__init__(context, session, encrypt)
        # "Note that SASL negotiates the maximum size of the output_message to send. Implementations can use the
        # GSS_Wrap_size_limit call to determine the corresponding maximum size input_message."
        self.max_payload = int(self._gss.wrap_size_limit(context, max_send, encrypt))
        self.max_receive = max_receive
        if self.max_payload < 1:
            raise QopNotSupported(f"the peer takes {max_send} octets at once, which leaves no room for a message")
        added = sum(_added(context, encrypt)) + (_FRAME_GROWTH if session.enctype.framed else 0)
        self.sizes = SecPkgContextSizes(
            max_token=MAX_TOKEN, max_signature=_signature_size(context), block_size=1, security_trailer=added
        )
        self.seal = _wrapper(self._gss, context, encrypt)
        self.unseal = _unwrapper(self._gss, context, encrypt)


def _wrapper(gss: Any, context: Any, encrypt: bool) -> Callable[[Octets], tuple[Octets, ...]]:
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


def _unwrapper(gss: Any, context: Any, encrypt: bool) -> Callable[[Octets], bytes]:
    unwrap = gss.unwrap

    def unseal(protected: Octets) -> bytes:
        try:
            result = unwrap(context, bytes(memoryview(protected)))  # a copy: see _GssProtection
        except gss.GSSError as error:
            raise message_failure(error, "unwrapping") from error
        # A layer that was agreed to hide everything takes nothing in clear: that is how a weaker sender would show.
        if encrypt and not result.encrypted:
            raise MessageAltered("a message came unencrypted under a layer with confidentiality")
        plain: bytes = result.message
        return plain

    return unseal


def _added(context: Any, encrypt: bool) -> tuple[int, int]:
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
