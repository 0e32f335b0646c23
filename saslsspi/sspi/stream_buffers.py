"""The buffers of packages that work on a byte stream: EMPTY, EXTRA, MISSING, ALERT, STREAM_HEADER and STREAM_TRAILER.

Such a package takes whole records. What was not taken comes back in an EMPTY buffer that has become EXTRA; where not
even one record was whole, it becomes MISSING and says how much more to read.
"""

from __future__ import annotations

import contextlib
from typing import Final

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Request, Side, StepResult
from saslsspi.engine.flags import SecBufferType
from saslsspi.engine.protection import Records
from saslsspi.errors import (
    BufferMissing,
    IncompleteMessage,
    InvalidParameter,
    NoOutputBuffer,
    SaslError,
    UnsupportedFunction,
)
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc
from saslsspi.status import SecurityStatus

__all__ = ["advance", "decrypt", "encrypt", "return_extra"]

_EMPTIES: Final = 3
_ALERT: Final = SecBufferType.SECBUFFER_ALERT
_DATA: Final = SecBufferType.SECBUFFER_DATA
_EMPTY: Final = SecBufferType.SECBUFFER_EMPTY
_EXTRA: Final = SecBufferType.SECBUFFER_EXTRA
_HEADER: Final = SecBufferType.SECBUFFER_STREAM_HEADER
_MISSING: Final = SecBufferType.SECBUFFER_MISSING
_PADDING: Final = SecBufferType.SECBUFFER_PADDING
_STREAM: Final = SecBufferType.SECBUFFER_STREAM
_TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
_TRAILER: Final = SecBufferType.SECBUFFER_STREAM_TRAILER


def advance(
    context: SecurityContext,
    request: Request,
    inputs: SecBufferDesc | None,
    outputs: SecBufferDesc | None,
    *,
    first: bool,
    allocate: bool,
) -> StepResult:
    """Take a context through one step, and say in the buffers what is missing or went wrong.

    Raises:
        BufferMissing: the buffers are not those that the pages ask for.
        NoOutputBuffer: a buffer of the caller's has no room at all; nothing was taken.
    """
    token = _token(context.side, inputs, first=first)
    if outputs is None and first and context.side is Side.INITIATE:
        raise BufferMissing("the first call makes a token: output_buffers needs a SECBUFFER_TOKEN for it")
    if not allocate:
        _check_room(outputs)
    try:
        step = context.advance(b"" if token is None else token.data, request)
    except IncompleteMessage as error:
        empty = inputs.first(_EMPTY) if inputs is not None else None
        if empty is not None:
            empty.announce(_MISSING, error.missing)
        raise
    except SaslError as error:
        _put(outputs, _TOKEN, error.token, allocate=allocate)
        _put(outputs, _ALERT, error.alert, allocate=allocate)
        raise
    _put(outputs, _ALERT, None, allocate=allocate)
    return step


def _put(outputs: SecBufferDesc | None, kind: SecBufferType, octets: bytes | None, *, allocate: bool) -> None:
    """Leave octets that go with the answer of a call in its buffer, none where there are none."""
    buffer = outputs.first(kind) if outputs is not None else None
    if buffer is None:
        return
    if allocate:
        buffer.release()
    with contextlib.suppress(SaslError):  # an error has them too, and is the answer whatever fits
        buffer.fill(octets or b"")


def return_extra(inputs: SecBufferDesc | None, extra: int, *, again: bool) -> None:
    """Show what was not taken of the token in an EMPTY buffer that becomes EXTRA.

    Args:
        inputs: Of this call.
        extra: How many octets at the end of the token were not taken.
        again: Whether this call repeats one whose output did not fit.

    Raises:
        BufferMissing: there is no buffer to say it with, and the octets would be lost; the step is not.
    """
    if not extra or (again and inputs is None):
        return
    token = inputs.first(_TOKEN) if inputs is not None else None
    empty = inputs.first(_EMPTY, _EXTRA) if inputs is not None else None
    if empty is None or token is None:
        raise BufferMissing(
            "a SECBUFFER_EMPTY is needed beside the token, to return what was not taken of it; call again with both"
        )
    view = token.memory
    empty.point_at(view[len(view) - extra :])
    empty.retype(_EXTRA)


def _token(side: Side, inputs: SecBufferDesc | None, *, first: bool) -> SecBuffer | None:
    """Return the TOKEN buffer of a call.

    "On calls to this function after the initial call, there must be two buffers. The first has type SECBUFFER_TOKEN
    [...] The second buffer has type SECBUFFER_EMPTY; set both the pvBuffer and cbBuffer members to zero." Windows takes
    the first alone as well.
    """
    if inputs is None or not len(inputs):
        return None
    token = inputs.first(_TOKEN)
    if side is Side.INITIATE and not first:
        second = inputs[1] if len(inputs) > 1 else None
        if inputs[0] is not token or (second is not None and (second.buffer_type is not _EMPTY or second.count)):
            raise BufferMissing("after the first call the input is a SECBUFFER_TOKEN and then an empty SECBUFFER_EMPTY")
    elif side is Side.ACCEPT and inputs[0] is not token:
        raise BufferMissing("the first input buffer is the SECBUFFER_TOKEN with the client's token")
    return token


def _check_room(outputs: SecBufferDesc | None) -> None:
    for buffer in outputs or ():
        if buffer.buffer_type in (_TOKEN, _ALERT) and not (buffer.allocates or buffer.count):
            raise NoOutputBuffer(
                f"{buffer.buffer_type.name} of no octets; give it memory, None to have it allocated, or ALLOCATE_MEMORY"
            )


def encrypt(protection: Records, message: SecBufferDesc) -> None:
    """EncryptMessage on a stream: STREAM_HEADER, DATA and STREAM_TRAILER become one record.

    Raises:
        BufferMissing: a buffer is missing.
        InvalidParameter: there is more than one record holds.
        BufferTooSmall: header or trailer is smaller than stream_sizes says; nothing was consumed.
        UnsupportedFunction: there is more than one DATA buffer, or one that is to be signed and left.
    """
    data = message.plain()
    header, trailer = message.writable(_HEADER, _TOKEN), message.writable(_TRAILER, _PADDING)
    sizes = protection.stream_sizes()
    if not data:
        raise BufferMissing("EncryptMessage needs a SECBUFFER_DATA buffer")
    if len(data) > 1 or data[0].signed_only:
        raise UnsupportedFunction("a record has one SECBUFFER_DATA, which is sealed")
    if header is None or trailer is None:
        raise BufferMissing("EncryptMessage needs SECBUFFER_STREAM_HEADER and SECBUFFER_STREAM_TRAILER")
    text = data[0]
    size = text.count
    if size > sizes.maximum_message:
        raise InvalidParameter(f"{size} octets are more than one record holds ({sizes.maximum_message})")
    for buffer, needed in ((header, sizes.header), (trailer, sizes.trailer), (text, size)):
        buffer.require(needed)
    wire = b"".join(protection.seal(text.data))
    # A record of the stream itself may precede, an answer to KeyUpdate say; the trailer is what is left over.
    header.fill(wire[: sizes.header])
    text.fill(wire[sizes.header : sizes.header + size])
    trailer.fill(wire[sizes.header + size :])
    message.empty_unused(header, trailer)


def decrypt(context: SecurityContext, protection: Records, message: SecBufferDesc) -> int:
    """DecryptMessage on a stream: open the first record in place.

    A DATA buffer with the octets and three EMPTY ones become STREAM_HEADER, DATA, STREAM_TRAILER and, where octets
    are left, EXTRA. A STREAM buffer serves too, with a DATA buffer that shows the plain text and an EMPTY one for what
    is left. A record that is about the stream itself (a session ticket) opens to no text.

    Returns:
        0; SEC_I_CONTEXT_EXPIRED when the peer has closed its direction; SEC_I_RENEGOTIATE when it asks for a new
        handshake: the next token of the context refuses, or goes before the next message by itself.

    Raises:
        IncompleteMessage: the record is not whole; the first buffer has become MISSING.
        BufferMissing: the buffers are not those above; nothing was consumed.
        UnsupportedFunction: a DATA buffer is to be verified and left.
    """
    data, stream = message.plain(), message.first(_STREAM)
    source = stream or (data[0] if data else None)
    empties = message.all(_EMPTY)
    if source is None or len(data) != 1 or (stream is None and len(empties) < _EMPTIES):
        raise BufferMissing("DecryptMessage takes a SECBUFFER_DATA with the octets and three SECBUFFER_EMPTY")
    if data[0].signed_only:
        raise UnsupportedFunction("a record has one SECBUFFER_DATA, which is sealed")
    octets = source.data
    try:
        left = protection.record_size(octets) < len(octets)
    except IncompleteMessage as error:
        message[0].announce(_MISSING, error.missing)
        raise
    if left and not empties:
        raise BufferMissing("DecryptMessage needs a SECBUFFER_EMPTY for what comes behind the first record")
    try:
        text, used, closed, renegotiates = protection.open_record(octets)
    except SaslError:
        context.fail()  # a stream does not go on behind a record that cannot be opened
        raise
    header = protection.stream_sizes().header
    view = source.memory
    start, size = min(header, used - len(text)), len(text)
    if not view.readonly:
        view[start : start + size] = text
        plain = view[start : start + size]
    else:
        plain = memoryview(text)
    if stream is not None:
        data[0].point_at(plain)
    else:
        source.point_at(view[:start])
        source.retype(_HEADER)
        _become(empties, _DATA, plain)
        _become(empties, _TRAILER, view[start + size : used])
    if left:
        _become(empties, _EXTRA, view[used:])
    if renegotiates:
        context.owes_answer()
        return int(SecurityStatus.SEC_I_RENEGOTIATE)
    return int(SecurityStatus.SEC_I_CONTEXT_EXPIRED) if closed else 0


def _become(empties: list[SecBuffer], kind: SecBufferType, view: memoryview) -> None:
    buffer = empties.pop(0)
    buffer.point_at(view)
    buffer.retype(kind)
