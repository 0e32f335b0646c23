"""The buffers of packages that work on a byte stream: EMPTY, EXTRA, MISSING, ALERT, STREAM_HEADER and STREAM_TRAILER.

Such a package takes whole records. What was not taken comes back in an EMPTY buffer that has become EXTRA; where not
even one record was whole, it becomes MISSING and says how much more to read.
"""

from __future__ import annotations

from typing import Final

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Request, Side, StepResult
from saslsspi.engine.flags import SecBufferType
from saslsspi.engine.protection import Records
from saslsspi.errors import (
    BufferMissing,
    BufferTooSmall,
    IncompleteMessage,
    InvalidParameter,
    SaslError,
    UnsupportedFunction,
)
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc
from saslsspi.status import SecurityStatus

__all__ = ["advance", "decrypt", "encrypt"]

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
) -> StepResult:
    """Take a context through one step, and say in the buffers what was not taken, is missing, or went wrong.

    Raises:
        BufferMissing: the buffers are not those that the pages ask for.
    """
    token, empty = _inputs(context.side, inputs, first=first)
    octets = b"" if token is None else token.data
    try:
        step = context.advance(octets, request)
    except IncompleteMessage as error:
        if empty is not None:
            empty.announce(_MISSING, error.missing)
        raise
    except SaslError as error:
        alert = outputs.first(_ALERT) if outputs is not None else None
        if alert is not None and error.alert is not None:
            alert.fill(error.alert)
        raise
    if step.extra:
        if empty is None or token is None:
            raise BufferMissing("a SECBUFFER_EMPTY is needed beside the token, to return what was not taken of it")
        view = token.dangerous_get_view()
        empty.point_at(view[len(view) - step.extra :])
        empty.retype(_EXTRA)
    return step


def _inputs(side: Side, inputs: SecBufferDesc | None, *, first: bool) -> tuple[SecBuffer | None, SecBuffer | None]:
    """Return the TOKEN and the EMPTY buffer of a call."""
    if inputs is None:
        return None, None
    token, empty = inputs.first(_TOKEN), inputs.first(_EMPTY)
    if side is Side.INITIATE and not first and len(inputs):
        # "On calls to this function after the initial call, there must be two buffers. The first has type
        # SECBUFFER_TOKEN [...] The second buffer has type SECBUFFER_EMPTY; set both the pvBuffer and cbBuffer members
        # to zero."
        if len(inputs) < 2 or inputs[0] is not token or inputs[1] is not empty or empty.count:
            raise BufferMissing("after the first call the input is a SECBUFFER_TOKEN and then an empty SECBUFFER_EMPTY")
    elif side is Side.ACCEPT and len(inputs) and inputs[0] is not token:
        raise BufferMissing("the first input buffer is the SECBUFFER_TOKEN with the client's token")
    return token, empty


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


def decrypt(protection: Records, message: SecBufferDesc) -> int:
    """DecryptMessage on a stream: open the first record in place.

    A DATA buffer with the octets and three EMPTY ones become STREAM_HEADER, DATA, STREAM_TRAILER and, where octets
    are left, EXTRA. A STREAM buffer serves too, with a DATA buffer that shows the plain text. A record that is about
    the stream itself (a session ticket) opens to no text.

    Returns:
        0, or SEC_I_CONTEXT_EXPIRED when the peer has closed its direction.

    Raises:
        IncompleteMessage: the record is not whole; an EMPTY buffer has become MISSING.
        BufferTooSmall: a buffer is missing for what comes out; nothing was consumed.
        UnsupportedFunction: there are several DATA buffers, or one that is to be verified and left.
    """
    data, stream = message.plain(), message.first(_STREAM)
    source = stream or (data[0] if data else None)
    if source is None:
        raise BufferMissing("DecryptMessage needs a SECBUFFER_DATA with the octets")
    if len(data) > 1 or any(buffer.signed_only for buffer in data):
        raise UnsupportedFunction("a record has one SECBUFFER_DATA, which is sealed")
    if not data:
        raise BufferTooSmall("DecryptMessage needs an empty SECBUFFER_DATA beside SECBUFFER_STREAM")
    empties = message.all(_EMPTY)
    octets = source.data
    try:
        left = protection.record_size(octets) < len(octets)
    except IncompleteMessage as error:
        if empties:
            empties[0].announce(_MISSING, error.missing)
        raise
    needed = left if stream is not None else 1 + 2 * left  # DATA; STREAM_TRAILER and EXTRA
    if len(empties) < needed:
        raise BufferTooSmall(f"DecryptMessage needs {needed} SECBUFFER_EMPTY for what comes out of these octets")
    text, used, closed = protection.open_record(octets)
    header = protection.stream_sizes().header
    view = source.dangerous_get_view()
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
    return int(SecurityStatus.SEC_I_CONTEXT_EXPIRED) if closed else 0


def _become(empties: list[SecBuffer], kind: SecBufferType, view: memoryview) -> None:
    if empties:
        buffer = empties.pop(0)
        buffer.point_at(view)
        buffer.retype(kind)
