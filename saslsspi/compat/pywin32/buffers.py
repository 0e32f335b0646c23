"""PySecBufferType and PySecBufferDescType: buffers with memory of their own, and how they reach the functions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from saslsspi.engine.flags import SecBufferFlags, SecBufferType
from saslsspi.sspi.buffers import SecBuffer, SecBufferDesc

__all__ = ["PySecBufferDescType", "PySecBufferType", "passed"]

_T = TypeVar("_T")
_MASK: Final = 0xFFFFFFFF
_DATA: Final = int(SecBufferType.SECBUFFER_DATA)
_ATTRIBUTES: Final = int(SecBufferFlags.SECBUFFER_ATTRMASK)
_DWORDS: Final = struct.Struct("<8I")
_LONGS: Final = struct.Struct("8L")
_LENGTHS: Final = (1, 4, 6)  # cbInitiatorLength, cbAcceptorLength, cbApplicationDataLength


class PySecBufferType:
    """One buffer of a fixed size.

    Args:
        BufferSize: Octets of memory.
        BufferType: SECBUFFER_TOKEN and its like, with attribute bits.

    Attributes:
        BufferSize: Octets in use; functions change it to what they wrote.
        MaxBufferSize: Octets of memory.
    """

    def __init__(self, BufferSize: int, BufferType: int) -> None:
        self.MaxBufferSize = BufferSize
        self.BufferType = BufferType
        self._octets = bytes(BufferSize)

    @property
    def Buffer(self) -> bytes:
        """The octets in use. A text that is assigned is encoded as UTF-8."""
        return self._octets

    @Buffer.setter
    def Buffer(self, value: Any) -> None:
        octets = value.encode() if isinstance(value, str) else bytes(memoryview(value))
        if len(octets) > self.MaxBufferSize:
            raise ValueError(f"{len(octets)} octets do not fit into a buffer of {self.MaxBufferSize}")
        self._octets = octets

    @property
    def BufferSize(self) -> int:
        """Octets in use."""
        return len(self._octets)

    def Clear(self) -> None:
        """Fill the whole memory with zeros."""
        self._octets = bytes(self.MaxBufferSize)

    def __repr__(self) -> str:
        return f"PySecBuffer(cbBuffer: {self.BufferSize} | BufferType: {self.BufferType} | pvBuffer: 0x{id(self):08x})"


class PySecBufferDescType:
    """An array of buffers that grows with append."""

    def __init__(self, Version: int = 0) -> None:
        self.Version = Version
        self._buffers: list[PySecBufferType] = []

    def append(self, buffer: PySecBufferType) -> None:
        """Add a buffer at the end."""
        if not isinstance(buffer, PySecBufferType):
            raise TypeError("Object must be of type PySecBuffer")
        self._buffers.append(buffer)

    @property
    def Buffer(self) -> tuple[PySecBufferType, ...]:
        """The buffers."""
        return tuple(self._buffers)

    def __len__(self) -> int:
        return len(self._buffers)

    def __getitem__(self, index: int) -> PySecBufferType:
        return self._buffers[index]

    def __setitem__(self, index: int, buffer: PySecBufferType) -> None:
        self._buffers[index] = buffer

    def __iter__(self) -> Iterator[PySecBufferType]:
        return iter(self._buffers)

    def __repr__(self) -> str:
        return f"PySecBufferDesc(ulVersion: {self.Version} | cBuffers: {len(self)} | pBuffers: 0x{id(self):08x})"


def passed(
    call: Callable[..., _T], *descriptors: PySecBufferDescType | None, finds_memory: bool = False, spare: bool = False
) -> _T:
    """Call a function with our own descriptors in place of these, and bring back what it wrote, whatever it ends in.

    Args:
        call: Takes as many descriptors.
        descriptors: None stays None.
        finds_memory: Whether an empty DATA buffer lets the function find memory for it.
        spare: Whether a lone TOKEN gets the second buffer that stream packages tell of the rest in.
    """
    made = [None if each is None else _made(each, finds_memory=finds_memory, spare=spare) for each in descriptors]
    try:
        return call(*made)
    finally:
        for theirs, ours in zip(descriptors, made, strict=True):
            if theirs is not None and ours is not None:
                _bring_back(theirs, ours)


def _made(descriptor: PySecBufferDescType, *, finds_memory: bool, spare: bool) -> SecBufferDesc:
    buffers = [
        SecBuffer(
            None
            if finds_memory and not each.BufferSize and each.BufferType & _MASK == _DATA
            else bytearray(_with_dwords(each) if _is_bindings(each) else each.Buffer),
            each.BufferType & _MASK,
        )
        for each in descriptor
    ]
    if spare and len(buffers) == 1:
        buffers.append(SecBuffer(None, SecBufferType.SECBUFFER_EMPTY))
    return SecBufferDesc(buffers)


def _is_bindings(buffer: PySecBufferType) -> bool:
    return buffer.BufferType & ~_ATTRIBUTES & _MASK == SecBufferType.SECBUFFER_CHANNEL_BINDINGS


def _with_dwords(buffer: PySecBufferType) -> bytes:
    """Return SEC_CHANNEL_BINDINGS; struct's "L", with which programs pack them, has 8 octets here, 4 on Windows."""
    octets = buffer.Buffer
    if len(octets) < _LONGS.size or _LONGS.size == _DWORDS.size or _describes(octets, _DWORDS):
        return octets
    return _DWORDS.pack(*_LONGS.unpack_from(octets)) + octets[_LONGS.size :] if _describes(octets, _LONGS) else octets


def _describes(octets: bytes, header: struct.Struct) -> bool:
    numbers: tuple[int, ...] = header.unpack_from(octets)
    if max(numbers) > _MASK:
        return False
    return header.size + sum(numbers[at] for at in _LENGTHS) == len(octets)


def _bring_back(theirs: PySecBufferDescType, ours: SecBufferDesc) -> None:
    for each, written in zip(theirs, ours, strict=False):
        each._octets = written.data
        each.MaxBufferSize = max(each.MaxBufferSize, len(each._octets))
        if written.buffer_type != each.BufferType & ~int(written.buffer_flags) & _MASK:
            each.BufferType = int(written.buffer_type)
