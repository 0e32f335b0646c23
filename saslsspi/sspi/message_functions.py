"""The SSPI functions over messages: EncryptMessage, DecryptMessage, MakeSignature, VerifySignature.

They sort the caller's buffers by type, hand the octets to the context's protection and put the results back in
place. Of the DATA buffers of a message

    without an attribute            are sealed and signed
    with READONLY_WITH_CHECKSUM     are signed and left as they are
    with READONLY                   are left alone; the package says whether its signature covers them

A package that protects whole messages only takes one DATA buffer. Whatever a call cannot do is refused before anything
is touched or consumed: no octet of the caller's memory, no sequence number, no key stream, no record.
"""

from __future__ import annotations

from typing import NoReturn

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.flags import QopFlags, SecBufferType
from saslsspi.engine.protection import Detached, Numbering, Part, Protection, Records, RequestProtection, Signing
from saslsspi.errors import (
    BufferMissing,
    BufferTooSmall,
    InvalidParameter,
    MessageAltered,
    NotProtected,
    UnsupportedFunction,
)
from saslsspi.sspi import stream_buffers
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc
from saslsspi.sspi.handles import CtxtHandle

__all__ = ["decrypt_message", "encrypt_message", "make_signature", "verify_signature"]

_DATA = SecBufferType.SECBUFFER_DATA
_TOKEN = SecBufferType.SECBUFFER_TOKEN
_STREAM = SecBufferType.SECBUFFER_STREAM
_NO_ENCRYPT = int(QopFlags.SECQOP_WRAP_NO_ENCRYPT)
_TRAILERS = (SecBufferType.SECBUFFER_PADDING, SecBufferType.SECBUFFER_STREAM_TRAILER)
_BEHIND = (_TOKEN, _DATA, *_TRAILERS)


def encrypt_message(context: CtxtHandle, qop: QopFlags | int, message: SecBufferDesc, seq_no: int) -> None:
    """Protect a message in place (EncryptMessage): encrypt it, or sign it where only integrity was negotiated.

    With SECQOP_WRAP_NO_ENCRYPT it is only signed all the same, where the package can.

    What stands before the message on the wire goes into the TOKEN buffer, what stands behind it into PADDING or
    STREAM_TRAILER; a package without a header (Digest) takes a second DATA buffer or TOKEN for that, where there is no
    other. A TOKEN, STREAM_HEADER, PADDING or STREAM_TRAILER for which there is nothing ends empty. Send the buffers in
    the order of their octets on the wire, each by its count.

    Raises:
        BufferTooSmall: a buffer for the added octets is too small.
        BufferMissing: there is no DATA buffer, or none for the added octets.
        InvalidParameter: the message is longer than the peer takes, or a buffer's memory cannot be written to.
        QopNotSupported: neither integrity nor confidentiality was negotiated, or the package cannot only sign.
        UnsupportedFunction: the package protects whole messages, and the DATA buffers are several, or one is to be
            signed and left.
    """
    protection = context._opened().protection()
    _check_call(protection, qop, seq_no)
    if isinstance(protection, Records):
        _check_encrypts(protection, qop)
        stream_buffers.encrypt(protection, message)
    elif isinstance(protection, Detached):
        _encrypt_parts(protection, message, seq_no, encrypt=not qop)
    else:
        _check_encrypts(protection, qop)
        _encrypt_whole(protection, message)


def decrypt_message(context: CtxtHandle, message: SecBufferDesc, seq_no: int) -> int:
    """Open a protected message in place (DecryptMessage).

    Takes either a STREAM buffer with the whole protected message, and shows the plain one in an empty DATA buffer
    beside it; or the buffers that encrypt_message made, and leaves the plain message in DATA.

    Returns:
        0 when the message was encrypted; SEC_I_CONTEXT_EXPIRED when the peer of a stream has closed its direction,
        SEC_I_RENEGOTIATE when it asks for a new handshake; when it was only signed, QopFlags.SIGN_ONLY, and with
        packages that can send either QopFlags.SECQOP_WRAP_NO_ENCRYPT.

    Raises:
        OutOfSequence: not the next message; it is discarded and the context lives.
        MessageAltered: it does not verify. The context is dead where its cipher cannot go on.
        BufferMissing, BufferTooSmall, InvalidParameter, UnsupportedFunction: as encrypt_message.
    """
    opened = context._opened()
    protection = opened.protection()
    _check_call(protection, 0, seq_no)
    try:
        if isinstance(protection, Records):
            return stream_buffers.decrypt(opened, protection, message)
        stream = message.first(_STREAM)
        if isinstance(protection, Detached):
            if stream is None:
                return _decrypt_parts(protection, message, seq_no)
            target, wire = _target(message), stream.data
            plain, sealed = protection.unseal_joined(wire, seq_no)
            _show(plain, stream, target, min(protection.header_size, len(wire) - len(plain)))
            return 0 if sealed else _NO_ENCRYPT
        return _decrypt_whole(protection, message, stream)
    except MessageAltered:
        _lose(opened, protection)
        raise


def make_signature(context: CtxtHandle, qop: QopFlags | int, message: SecBufferDesc, seq_no: int) -> None:
    """Sign the DATA buffers together and put the signature into the TOKEN buffer (MakeSignature).

    Digest for HTTP signs a request in place of a message: see docs/http.md for its SECBUFFER_PKG_PARAMS.

    Raises:
        BufferTooSmall: the TOKEN is smaller than SecPkgContextSizes says.
        BufferMissing: there is no TOKEN.
        InvalidParameter: the TOKEN's memory cannot be written to.
        UnsupportedFunction: the package (Schannel) has no signatures apart from its messages.
    """
    protection = context._opened().protection()
    _check_call(protection, qop, seq_no)
    token = message.writable(_TOKEN)
    if token is None:
        raise BufferMissing("MakeSignature needs a SECBUFFER_TOKEN for the signature")
    if isinstance(protection, RequestProtection):
        token.fill(protection.sign_request(_parameters(message), token.require))
        return
    signing = _signing(protection)
    token.require(signing.sizes.max_signature)
    token.fill(signing.sign(_joined(message, signing), seq_no))


def verify_signature(context: CtxtHandle, message: SecBufferDesc, seq_no: int) -> int:
    """Verify the signature in the TOKEN buffer over the DATA buffers (VerifySignature).

    Returns:
        0, the quality of protection.

    Raises:
        MessageAltered: it does not verify; the message is discarded and the context lives.
        OutOfSequence: it is not the next message; the same holds.
        BufferMissing: there is no TOKEN.
        UnsupportedFunction: as make_signature.
    """
    protection = context._opened().protection()
    _check_call(protection, 0, seq_no)
    token = message.writable(_TOKEN) or message.first(_TOKEN)
    if token is None:
        raise BufferMissing("VerifySignature needs the signature in a SECBUFFER_TOKEN")
    if isinstance(protection, RequestProtection):
        protection.verify_request(_parameters(message), token.data)
        return 0
    signing = _signing(protection)
    signing.verify(_joined(message, signing), token.data, seq_no)
    return 0


def _check_call(protection: Protection, qop: int, seq_no: int) -> None:
    if int(qop) not in (0, QopFlags.SIGN_ONLY, _NO_ENCRYPT):
        raise NotProtected(f"quality of protection {int(qop):#x} is not one of this context; pass 0")
    if seq_no and protection.numbering is Numbering.ZERO:
        raise InvalidParameter(f"seq_no must be 0, not {seq_no}: the context counts its messages itself")


def _check_encrypts(protection: Protection, qop: int) -> None:
    if qop and protection.encrypts:
        raise NotProtected("this context encrypts every message; pass 0 as quality of protection")


def _refuse_messages(protection: Protection) -> NoReturn:
    """Refuse where there is no room for a message: requests are signed in place of messages."""
    protection.seal(b"")
    raise NotProtected("this context protects no messages")


def _signing(protection: Protection) -> Signing:
    if not isinstance(protection, Signing):
        raise UnsupportedFunction("this package makes no signatures apart from its messages")
    return protection


def _parameters(message: SecBufferDesc) -> tuple[bytes, ...]:
    return tuple(buffer.data for buffer in message.all(SecBufferType.SECBUFFER_PKG_PARAMS))


def _joined(message: SecBufferDesc, protection: Signing) -> bytes:
    return b"".join(buffer.data for buffer in _signed_buffers(message, protection))


def _signed_buffers(message: SecBufferDesc, protection: Signing) -> list[SecBuffer]:
    readonly = isinstance(protection, Detached) and protection.signs_readonly
    return [buffer for buffer in message.all(_DATA) if readonly or not buffer.readonly]


def _check_size(size: int, protection: Protection) -> None:
    if size > protection.max_payload:
        raise InvalidParameter(f"{size} octets are more than the peer takes at once ({protection.max_payload})")


def _encrypt_parts(protection: Detached, message: SecBufferDesc, seq_no: int, *, encrypt: bool) -> None:
    token = message.writable(_TOKEN)
    buffers, parts = _parts(protection, message)
    if token is None:
        raise BufferMissing("EncryptMessage needs a SECBUFFER_TOKEN for the signature")
    if all(buffer.readonly for buffer in buffers):
        raise BufferMissing("EncryptMessage needs a SECBUFFER_DATA buffer")
    _check_size(sum(len(part.octets) for part in parts), protection)
    token.require(protection.sizes.security_trailer)
    trailer = message.writable(*_TRAILERS)
    if protection.trailer_size:
        if trailer is None:
            raise BufferMissing("EncryptMessage needs a SECBUFFER_PADDING for the cipher's padding")
        trailer.require(protection.trailer_size)
    _check_written(buffers, parts)
    sealed = protection.seal_parts(parts, seq_no, encrypt=encrypt)
    token.fill(sealed.before)
    for buffer, part, octets in zip(buffers, parts, sealed.octets, strict=True):
        if part.sealed:
            buffer.fill(octets)
    if sealed.after and trailer is not None:
        trailer.fill(sealed.after)
    message.empty_unused(token, trailer if sealed.after else None)


def _decrypt_parts(protection: Detached, message: SecBufferDesc, seq_no: int) -> int:
    token = message.writable(_TOKEN) or message.first(_TOKEN)
    trailer = message.writable(*_TRAILERS)
    buffers, parts = _parts(protection, message)
    if token is None or all(buffer.readonly for buffer in buffers):
        raise BufferMissing(
            "DecryptMessage needs a SECBUFFER_STREAM, or a SECBUFFER_TOKEN with the signature and its DATA"
        )
    _check_written(buffers, parts)
    after = b"" if trailer is None else trailer.data
    octets, sealed = protection.unseal_parts(parts, token.data, after, seq_no)
    for buffer, part, plain in zip(buffers, parts, octets, strict=True):
        if part.sealed:
            buffer.fill(plain)
    return 0 if sealed else _NO_ENCRYPT


def _parts(protection: Detached, message: SecBufferDesc) -> tuple[list[SecBuffer], list[Part]]:
    buffers = _signed_buffers(message, protection)
    return buffers, [Part(buffer.data, not buffer.readonly and not buffer.signed_only) for buffer in buffers]


def _check_written(buffers: list[SecBuffer], parts: list[Part]) -> None:
    for buffer, part in zip(buffers, parts, strict=True):
        if part.sealed:
            buffer.require(buffer.count)


def _whole(message: SecBufferDesc) -> tuple[SecBuffer, SecBuffer | None]:
    """Return the one DATA buffer of a package that protects whole messages, and the buffer for what it adds.

    EncryptMessage (General): "When using the Digest SSP, there must be a second buffer of type SECBUFFER_PADDING or
    SEC_BUFFER_DATA".
    """
    data = message.plain()
    if not data:
        raise BufferMissing("the message needs a SECBUFFER_DATA buffer")
    added = message.writable(*_TRAILERS) or message.writable(_TOKEN)
    if added is None and len(data) == 2 and not data[1].signed_only:
        added = data.pop()
    if len(data) > 1 or any(buffer.signed_only for buffer in data):
        raise UnsupportedFunction(
            "this package protects whole messages: give one SECBUFFER_DATA, and none with READONLY_WITH_CHECKSUM"
        )
    return data[0], added


def _encrypt_whole(protection: Protection, message: SecBufferDesc) -> None:
    if not protection.max_payload:
        _refuse_messages(protection)
    data, added = _whole(message)
    size, head = data.count, protection.header_size
    _check_size(size, protection)
    header = message.writable(_TOKEN) if head else None
    trailer = message.writable(*_TRAILERS) if head else added
    if head and header is None:
        raise BufferMissing("EncryptMessage needs a SECBUFFER_TOKEN for the signature")
    behind = protection.overhead(size) - head
    if behind and trailer is None:
        raise BufferMissing("EncryptMessage needs a SECBUFFER_PADDING or SECBUFFER_TOKEN for the signature")
    for buffer, needed in ((header, head), (trailer, behind), (data, size)):
        if buffer is not None:
            buffer.require(needed)
    wire = b"".join(protection.seal(data.data))
    data.fill(wire[head : head + size])
    if header is not None:
        header.fill(wire[:head])
    if trailer is not None:
        trailer.fill(wire[head + size :])
    message.empty_unused(header, trailer)


def _decrypt_whole(protection: Protection, message: SecBufferDesc, stream: SecBuffer | None) -> int:
    if not protection.max_payload:
        _refuse_messages(protection)
    qop = 0 if protection.encrypts else int(QopFlags.SIGN_ONLY)
    if stream is not None:
        target, wire = _target(message), stream.data
        plain = protection.unseal(wire)
        _show(plain, stream, target, min(protection.header_size, len(wire) - len(plain)))
        return qop
    data, _ = _whole(message)
    data.require(data.count)
    header = message.writable(_TOKEN) if protection.header_size else None
    behind = (b for b in message if b.buffer_type in _BEHIND and not (b.readonly or b is data or b is header))
    wire = b"".join(buffer.data for buffer in (*([header] if header else ()), data, *behind))
    plain = protection.unseal(wire)
    if len(plain) > data.count:  # the sender cut its octets in another way; there is memory for it only in ours
        data.release()
    data.fill(plain)
    return qop


def _target(message: SecBufferDesc) -> SecBuffer:
    data = message.plain()
    if not data:
        raise BufferTooSmall("DecryptMessage needs an empty SECBUFFER_DATA beside SECBUFFER_STREAM")
    if len(data) > 1 or data[0].signed_only:
        raise UnsupportedFunction("a SECBUFFER_STREAM is one message: give its parts, or one SECBUFFER_DATA")
    return data[0]


def _show(plain: bytes, stream: SecBuffer, target: SecBuffer, offset: int) -> None:
    """Leave the plain message inside the stream's memory and let DATA point at it, as SSPI does."""
    memory = stream.memory
    if memory.readonly:
        target.release()
        target.fill(plain)
        return
    memory[offset : offset + len(plain)] = plain
    target.point_at(memory[offset : offset + len(plain)])


def _lose(context: SecurityContext, protection: Protection) -> None:
    """End a context that cannot go on after a message that did not verify."""
    if not (protection.recovers or isinstance(protection, Records)):
        context.fail()
