"""The SSPI functions over messages: EncryptMessage, DecryptMessage, MakeSignature, VerifySignature.

They sort the caller's buffers by type, hand the octets to the context's protection and put the results back in
place. Buffer types are compared by equality, READONLY buffers are left alone.
"""

from __future__ import annotations

from saslsspi.engine.flags import QopFlags, SecBufferType
from saslsspi.engine.protection import Numbering, Part, Protection, RequestProtection
from saslsspi.errors import BufferTooSmall, InvalidParameter, InvalidToken, MessageAltered, QopNotSupported
from saslsspi.sspi import stream_buffers
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc
from saslsspi.sspi.handles import CtxtHandle

__all__ = ["decrypt_message", "encrypt_message", "make_signature", "verify_signature"]

_DATA = SecBufferType.SECBUFFER_DATA
_TOKEN = SecBufferType.SECBUFFER_TOKEN
_STREAM = SecBufferType.SECBUFFER_STREAM
_NO_ENCRYPT = int(QopFlags.SECQOP_WRAP_NO_ENCRYPT)
_TRAILERS = (SecBufferType.SECBUFFER_PADDING, SecBufferType.SECBUFFER_STREAM_TRAILER)
_MESSAGE_PARTS = (
    SecBufferType.SECBUFFER_STREAM_HEADER,
    _TOKEN,
    _DATA,
    SecBufferType.SECBUFFER_PADDING,
    SecBufferType.SECBUFFER_STREAM_TRAILER,
)


def encrypt_message(context: CtxtHandle, qop: QopFlags | int, message: SecBufferDesc, seq_no: int) -> None:
    """Protect a message in place (EncryptMessage): encrypt it, or sign it where only integrity was negotiated.

    With SECQOP_WRAP_NO_ENCRYPT it is only signed all the same, where the package can.

    The DATA buffer is overwritten. What stands before the message on the wire goes into the TOKEN buffer, what
    stands behind it into PADDING, STREAM_TRAILER, a second DATA buffer or TOKEN, whichever is found first. A TOKEN or
    STREAM_HEADER for which there is nothing ends empty. Send the buffers in the order of their octets on the wire,
    each by its count.

    Raises:
        BufferTooSmall: a buffer for the added octets is too small; nothing was consumed.
        InvalidToken: there is no DATA buffer, or none for the added octets.
        QopNotSupported: neither integrity nor confidentiality was negotiated.
    """
    protection = context._opened().protection()
    _check_call(protection, qop, seq_no)
    if protection.stream:
        stream_buffers.encrypt(protection, message)
        return
    if protection.detached:
        _encrypt_parts(protection, not qop, message, seq_no)
        return
    data = _plain_buffers(message)
    if not data:
        raise InvalidToken("EncryptMessage needs a SECBUFFER_DATA buffer")
    size = data[0].count
    if size > protection.max_payload:
        raise InvalidParameter(f"{size} octets are more than the peer takes at once ({protection.max_payload})")
    header, trailer = _added_buffers(message, data, protection)
    if header is not None:
        header.require(protection.header_size)
    trailer_size = protection.overhead(size) - protection.header_size
    if trailer is not None:
        trailer.require(trailer_size)
    elif trailer_size:
        raise InvalidToken("EncryptMessage needs a SECBUFFER_PADDING or SECBUFFER_TOKEN for the signature")
    before, body, after = protection.seal_apart(data[0].data, signed_only=int(qop) == _NO_ENCRYPT)
    data[0].fill(body)
    if header is not None:
        header.fill(before)
    if trailer is not None:
        trailer.fill(after)
    for unused in (message.first(_TOKEN), message.first(SecBufferType.SECBUFFER_STREAM_HEADER)):
        if unused is not None and unused is not header and unused is not trailer:
            unused.point_at(unused.dangerous_get_view()[:0])


def decrypt_message(context: CtxtHandle, message: SecBufferDesc, seq_no: int) -> int:
    """Open a protected message in place (DecryptMessage).

    Takes either a STREAM buffer with the whole protected message, and shows the plain one in an empty DATA buffer
    beside it; or the buffers that encrypt_message made, and leaves the plain message in DATA.

    Returns:
        0 when the message was encrypted; SEC_I_CONTEXT_EXPIRED when the peer of a stream has closed its direction;
        when it was only signed, QopFlags.SIGN_ONLY, and with Kerberos
        QopFlags.SECQOP_WRAP_NO_ENCRYPT.

    Raises:
        OutOfSequence: not the next message; it is discarded and the context lives.
        MessageAltered: it does not verify. The context is dead where its cipher cannot go on.
    """
    opened = context._opened()
    protection = opened.protection()
    _check_call(protection, 0, seq_no)
    if protection.stream:
        try:
            return stream_buffers.decrypt(protection, message)
        except MessageAltered:
            opened.fail()
            raise
    stream = message.first(_STREAM)
    target = message.first(_DATA)
    if stream is None and target is None:
        raise InvalidToken("DecryptMessage needs a SECBUFFER_STREAM or a SECBUFFER_DATA buffer")
    if protection.detached:
        try:
            return _decrypt_parts(protection, message, stream, seq_no)
        except MessageAltered:
            if not protection.recovers:
                opened.fail()
            raise
    if stream is not None:
        wire = stream.data
    else:
        wire = b"".join(b.data for b in message if b.buffer_type in _MESSAGE_PARTS and not b.readonly)
    try:
        plain, qop = protection.unseal_with_qop(wire)
    except MessageAltered:
        if not protection.recovers:
            opened.fail()
        raise
    if stream is not None:
        _show(plain, stream, target, min(protection.header_size, len(wire) - len(plain)))
    elif target is not None:
        target.fill(plain)
    return qop


def make_signature(context: CtxtHandle, qop: QopFlags | int, message: SecBufferDesc, seq_no: int) -> None:
    """Sign the DATA buffers together and put the signature into the TOKEN buffer (MakeSignature).

    Digest for HTTP signs a request in place of a message: see docs/http.md for its SECBUFFER_PKG_PARAMS.
    """
    protection = context._opened().protection()
    _check_call(protection, qop, seq_no)
    token = message.first(_TOKEN)
    if token is None:
        raise InvalidToken("MakeSignature needs a SECBUFFER_TOKEN for the signature")
    if isinstance(protection, RequestProtection):
        token.fill(protection.sign_request(_parameters(message), token.require))
        return
    token.require(protection.sizes.max_signature)
    token.fill(protection.sign(_joined(message, protection), seq_no))


def verify_signature(context: CtxtHandle, message: SecBufferDesc, seq_no: int) -> int:
    """Verify the signature in the TOKEN buffer over the DATA buffers (VerifySignature).

    Returns:
        0, the quality of protection.

    Raises:
        MessageAltered: it does not verify; the message is discarded and the context lives.
        OutOfSequence: it is not the next message; the same holds.
    """
    protection = context._opened().protection()
    _check_call(protection, 0, seq_no)
    token = message.first(_TOKEN)
    if token is None:
        raise InvalidToken("VerifySignature needs the signature in a SECBUFFER_TOKEN")
    if isinstance(protection, RequestProtection):
        protection.verify_request(_parameters(message), token.data)
        return 0
    protection.verify(_joined(message, protection), token.data, seq_no)
    return 0


def _check_call(protection: Protection, qop: int, seq_no: int) -> None:
    if int(qop) not in (0, QopFlags.SIGN_ONLY, _NO_ENCRYPT):
        raise QopNotSupported(f"quality of protection {int(qop):#x} is not one of this context; pass 0")
    if seq_no and protection.numbering is Numbering.ZERO:
        raise InvalidParameter("seq_no must be 0: the context counts its messages itself")


def _parameters(message: SecBufferDesc) -> tuple[bytes, ...]:
    return tuple(buffer.data for buffer in message.all(SecBufferType.SECBUFFER_PKG_PARAMS))


def _plain_buffers(message: SecBufferDesc) -> list[SecBuffer]:
    return [buffer for buffer in message.all(_DATA) if not buffer.readonly]


def _joined(message: SecBufferDesc, protection: Protection) -> bytes:
    return b"".join(buffer.data for buffer in message.all(_DATA) if protection.signs_readonly or not buffer.readonly)


def _encrypt_parts(protection: Protection, encrypt: bool, message: SecBufferDesc, seq_no: int) -> None:
    """Seal the DATA buffers in place; the signature goes into TOKEN, and PADDING and the like are emptied."""
    token = message.first(_TOKEN)
    buffers, parts = _parts(protection, message, encrypt)
    if token is None or not any(not buffer.readonly for buffer in buffers):
        raise InvalidToken("EncryptMessage needs a SECBUFFER_TOKEN for the signature and a SECBUFFER_DATA")
    token.require(protection.sizes.security_trailer)
    signature, octets = protection.seal_parts(parts, seq_no)
    token.fill(signature)
    for buffer, part, sealed in zip(buffers, parts, octets, strict=True):
        if part.sealed:
            buffer.fill(sealed)
    for kind in _TRAILERS:
        for buffer in message.all(kind):
            buffer.fill(b"")


def _decrypt_parts(protection: Protection, message: SecBufferDesc, stream: SecBuffer | None, seq_no: int) -> int:
    """Open a sealed message in place and return the quality of protection that it had."""
    if stream is not None:
        wire = stream.data
        head = protection.header_size
        (plain,), sealed = protection.unseal_parts((Part(wire[head:], True),), wire[:head], seq_no)
        _show(plain, stream, message.first(_DATA), head)
    else:
        token = message.first(_TOKEN)
        buffers, parts = _parts(protection, message, True)
        if token is None:
            raise InvalidToken("DecryptMessage needs the signature in a SECBUFFER_TOKEN")
        octets, sealed = protection.unseal_parts(parts, token.data, seq_no)
        for buffer, part, opened in zip(buffers, parts, octets, strict=True):
            if part.sealed:
                buffer.fill(opened)
    return 0 if sealed else int(QopFlags.SECQOP_WRAP_NO_ENCRYPT)


def _parts(protection: Protection, message: SecBufferDesc, encrypt: bool) -> tuple[list[SecBuffer], list[Part]]:
    buffers = [buffer for buffer in message.all(_DATA) if protection.signs_readonly or not buffer.readonly]
    return buffers, [
        Part(buffer.data, encrypt and not buffer.readonly and not buffer.signed_only) for buffer in buffers
    ]


def _added_buffers(
    message: SecBufferDesc, data: list[SecBuffer], protection: Protection
) -> tuple[SecBuffer | None, SecBuffer | None]:
    """Find the buffers for what is added before and behind the message."""
    token, trailer = message.first(_TOKEN), message.first(*_TRAILERS)
    if protection.header_size:
        if token is None:
            raise InvalidToken("EncryptMessage needs a SECBUFFER_TOKEN for the signature")
        return token, trailer
    second = data[1] if len(data) > 1 else None
    return None, trailer or second or token


def _show(plain: bytes, stream: SecBuffer, target: SecBuffer | None, offset: int) -> None:
    """Leave the plain message inside the stream's memory and let DATA point at it, as SSPI does."""
    if target is None:
        raise BufferTooSmall("DecryptMessage needs an empty SECBUFFER_DATA beside SECBUFFER_STREAM")
    memory = stream.dangerous_get_view()
    if memory.readonly:
        target.release()
        target.fill(plain)
        return
    memory[offset : offset + len(plain)] = plain
    target.point_at(memory[offset : offset + len(plain)])
