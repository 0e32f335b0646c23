"""What callers write as IOV: read into buffers, into the parts of a message, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from saslsspi.compat.spnego.exceptions import InvalidTokenError
from saslsspi.compat.spnego.iov import BufferType, IOVBuffer, IOVResBuffer
from saslsspi.engine.protection import Part

__all__ = ["filled", "parts", "read", "signature", "stream", "with_text"]

_SIGNED: Final = frozenset({BufferType.sign_only, BufferType.data_readonly})


def read(iov: Iterable[Any]) -> list[IOVBuffer]:
    """Return buffers of what a caller gives: a type, octets (which are data), or a pair of type and octets.

    Raises:
        ValueError: it is none of these.
        InvalidTokenError: there are two headers.
    """
    buffers = [_buffer(entry) for entry in iov]
    if sum(buffer.type is BufferType.header for buffer in buffers) > 1:
        raise InvalidTokenError(context_msg="IOV buffers must hold one header only")
    return buffers


def _buffer(entry: Any) -> IOVBuffer:
    if isinstance(entry, tuple):
        if len(entry) != 2:
            raise ValueError("IOV entry tuple must contain 2 values, the type and data, see IOVBuffer.")
        kind, data = entry
        if not isinstance(kind, int):
            raise ValueError("IOV entry[0] must specify the BufferType as an int")
        if data is not None and not isinstance(data, bytes | bytearray | memoryview | int):
            raise ValueError(
                "IOV entry[1] must specify the buffer bytes, length of the buffer, or whether it is auto allocated."
            )
        if isinstance(data, bytearray | memoryview):
            data = bytes(data)
        return IOVBuffer(BufferType(kind), b"" if data is None else data)
    if isinstance(entry, int):
        return IOVBuffer(BufferType(entry), None)
    if isinstance(entry, bytes | bytearray | memoryview):
        return IOVBuffer(BufferType.data, bytes(entry))
    raise ValueError("IOV entry must be a IOVBuffer tuple, int, or bytes")


def _octets(buffer: IOVBuffer) -> bytes:
    if isinstance(buffer.data, bytes):
        return buffer.data
    return bytes(buffer.data) if buffer.data is not None and not isinstance(buffer.data, bool) else b""


def parts(buffers: Sequence[IOVBuffer], *, signs_readonly: bool) -> list[tuple[int, Part]]:
    """Return the parts of the message with their places.

    Args:
        buffers: What the caller gave.
        signs_readonly: Whether data_readonly is under the signature: NTLM's is over everything, Kerberos passes it by.
    """
    found = []
    for place, buffer in enumerate(buffers):
        if buffer.type is BufferType.data:
            found.append((place, Part(_octets(buffer), sealed=True)))
        elif buffer.type is BufferType.sign_only or (buffer.type is BufferType.data_readonly and signs_readonly):
            found.append((place, Part(_octets(buffer), sealed=False)))
    return found


def signature(buffers: Sequence[IOVBuffer]) -> bytes:
    """Return what stands beside the parts of a message that has come: its header, and its padding."""
    kinds = (BufferType.header, BufferType.padding)
    return b"".join(_octets(buffer) for kind in kinds for buffer in buffers if buffer.type is kind)


def filled(
    buffers: Sequence[IOVBuffer],
    chosen: Sequence[tuple[int, Part]],
    octets: Sequence[bytes],
    beside: tuple[bytes, bytes] | None,
) -> tuple[IOVResBuffer, ...]:
    """Return the buffers with what came out of the parts.

    Args:
        buffers: What the caller gave.
        chosen: The parts among them.
        octets: What each part has become.
        beside: Header and padding, where they were made; None leaves them as they came.

    Raises:
        InvalidTokenError: there is no place for the header.
    """
    done: dict[int, bytes] = {place: made for (place, _), made in zip(chosen, octets, strict=True)}
    if beside is not None:
        kinds = [buffer.type for buffer in buffers]
        if BufferType.header not in kinds:
            raise InvalidTokenError(context_msg="IOV buffers need a header")
        header, padding = beside
        if BufferType.padding in kinds:
            done[kinds.index(BufferType.padding)] = padding
        elif padding:
            raise InvalidTokenError(context_msg="IOV buffers need a padding, which this cipher has")
        done[kinds.index(BufferType.header)] = header
    return tuple(
        IOVResBuffer(buffer.type, done[place] if place in done else _octets(buffer))
        for place, buffer in enumerate(buffers)
    )


def stream(buffers: Sequence[IOVBuffer]) -> bytes | None:
    """Return a whole protected message, None where it is in parts."""
    return next((_octets(buffer) for buffer in buffers if buffer.type is BufferType.stream), None)


def with_text(buffers: Sequence[IOVBuffer], text: bytes) -> tuple[IOVResBuffer, ...]:
    """Return the buffers with the plain text of a stream in the data."""
    return tuple(
        IOVResBuffer(buffer.type, text if buffer.type is BufferType.data else _octets(buffer)) for buffer in buffers
    )
