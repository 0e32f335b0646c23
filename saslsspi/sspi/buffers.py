"""Security buffers: how messages and tokens travel in and out of the SSPI functions.

A SecBuffer wraps memory of the caller. A function that produces octets writes them in place when the caller gave
writable memory, and allocates when the caller gave none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.flags import SecBufferFlags, SecBufferType
from saslsspi.errors import BufferTooSmall, InvalidParameter

__all__ = ["SECBUFFER_VERSION", "SecBuffer", "SecBufferDesc", "SecChannelBindings"]

SECBUFFER_VERSION: Final = 0
_ATTRIBUTES: Final = 0xF0000000
_READONLY: Final = int(SecBufferFlags.SECBUFFER_READONLY)  # plain numbers: an IntFlag costs several calls
_CHECKSUM: Final = int(SecBufferFlags.SECBUFFER_READONLY_WITH_CHECKSUM)
_ADDED: Final = (
    SecBufferType.SECBUFFER_STREAM_HEADER,
    SecBufferType.SECBUFFER_TOKEN,
    SecBufferType.SECBUFFER_PADDING,
    SecBufferType.SECBUFFER_STREAM_TRAILER,
)
_PARAMETERS: Final = SecBufferType.SECBUFFER_PKG_PARAMS
_TYPES: Final = {int(member): member for member in SecBufferType}


class SecBuffer:
    """One buffer of a SecBufferDesc.

    Args:
        data: Writable memory, which the functions change in place; bytes serve for input only; None asks the
            function to allocate what it needs.
        buffer_type: What the buffer holds. Attribute bits in it are split off into buffer_flags.
        buffer_flags: READONLY and its like.
    """

    __slots__ = ("_announced", "_flags", "_type", "_view")

    def __init__(
        self,
        data: bytearray | memoryview | bytes | None,
        buffer_type: SecBufferType | int,
        buffer_flags: SecBufferFlags | int = 0,
    ) -> None:
        number = int(buffer_type)
        kind = _TYPES.get(number & ~_ATTRIBUTES)
        if kind is None:
            raise InvalidParameter(f"{number:#x} is not a security buffer type")
        self._type = kind
        self._flags = (number & _ATTRIBUTES) | int(buffer_flags)
        self._view = None if data is None else memoryview(data).cast("B")
        self._announced = 0

    @property
    def count(self) -> int:
        """How many octets the buffer holds now; functions shrink it to what they wrote."""
        return self._announced if self._view is None else len(self._view)

    @property
    def data(self) -> bytes:
        """A copy of the octets."""
        return b"" if self._view is None else bytes(self._view)

    @property
    def buffer_type(self) -> SecBufferType:
        """The type, without attribute bits."""
        return self._type

    @property
    def buffer_flags(self) -> SecBufferFlags:
        """The attribute bits."""
        return SecBufferFlags(self._flags)

    @property
    def allocates(self) -> bool:
        """Whether the caller left it to the function to find memory."""
        return self._view is None

    @property
    def readonly(self) -> bool:
        """Whether the functions leave the buffer alone, neither encrypted nor signed."""
        return bool(self._flags & _READONLY)

    @property
    def signed_only(self) -> bool:
        """Whether the buffer is covered by the signature and stays clear."""
        return bool(self._flags & _CHECKSUM)

    def dangerous_get_view(self) -> memoryview[bytes]:
        """The memory itself, in items of one octet as bytes; valid while the caller's object lives."""
        return self.memory.cast("c")

    @property
    def memory(self) -> memoryview:
        """The memory itself, in items of one octet as numbers."""
        return memoryview(b"") if self._view is None else self._view

    def fill(self, octets: bytes | memoryview) -> None:
        """Replace the contents and set count, in the caller's memory if there is some.

        Raises:
            BufferTooSmall, InvalidParameter: see require; nothing was written.
        """
        if self._view is None:
            self._view = memoryview(bytearray(octets))
            return
        size = len(octets)
        self.require(size)
        self._view[:size] = octets
        self._view = self._view[:size]

    def require(self, size: int) -> None:
        """Raise unless size octets can be written.

        Raises:
            BufferTooSmall: the caller's memory does not hold them.
            InvalidParameter: it cannot be written to.
        """
        if self._view is None:
            return
        if size > len(self._view):
            raise BufferTooSmall(
                f"{self._type.name} is {len(self._view)} octets and {size} are needed; "
                "give a larger buffer, or None to have it allocated"
            )
        if self._view.readonly:
            raise InvalidParameter(f"{self._type.name} needs writable memory, such as a bytearray")

    def point_at(self, view: memoryview) -> None:
        """Let the buffer show a part of another buffer's memory, as SECBUFFER_STREAM decryption does."""
        self._view = view

    def retype(self, kind: SecBufferType) -> None:
        """Give the buffer another type: EMPTY becomes EXTRA or MISSING."""
        self._type = kind

    def announce(self, kind: SecBufferType, count: int) -> None:
        """Say with type and count alone, as MISSING does: there is no memory behind it."""
        self._type, self._view, self._announced = kind, None, count

    def release(self) -> None:
        """Forget the memory."""
        self._view, self._announced = None, 0

    def __repr__(self) -> str:
        # Credentials lie in PKG_PARAMS, and in no text.
        shown = f"<{self.count} octets>" if self._type is _PARAMETERS else repr(bytearray(self.data))
        return f"SecBuffer(data={shown}, buffer_type={int(self._type)}, buffer_flags={int(self._flags)})"

    def __str__(self) -> str:
        return "|".join((self._type.name, *(flag.name or "" for flag in SecBufferFlags(self._flags))))


class SecBufferDesc:
    """An array of security buffers; which buffers it has never changes."""

    __slots__ = ("_buffers", "version")

    def __init__(self, buffers: list[SecBuffer], *, version: int = SECBUFFER_VERSION) -> None:
        self._buffers = tuple(buffers)
        self.version = version

    def __iter__(self) -> Iterator[SecBuffer]:
        return iter(self._buffers)

    def __len__(self) -> int:
        return len(self._buffers)

    def __getitem__(self, key: int) -> SecBuffer:
        return self._buffers[key]

    def first(self, *kinds: SecBufferType) -> SecBuffer | None:
        """The first buffer of one of these types, compared by equality after masking; None without one."""
        for buffer in self._buffers:
            if buffer._type in kinds:
                return buffer
        return None

    def writable(self, *kinds: SecBufferType) -> SecBuffer | None:
        """The first buffer of one of these types that is not READONLY; None without one."""
        for buffer in self._buffers:
            if buffer._type in kinds and not buffer._flags & _READONLY:
                return buffer
        return None

    def plain(self) -> list[SecBuffer]:
        """Every DATA buffer that is not READONLY, in order."""
        kind = SecBufferType.SECBUFFER_DATA
        found = []
        for buffer in self._buffers:
            if buffer._type is kind and not buffer._flags & _READONLY:
                found.append(buffer)  # a comprehension is one call more for every message
        return found

    def empty_unused(self, *used: SecBuffer | None) -> None:
        """Leave nothing in buffers for added octets that were not needed, since callers send each by its count."""
        for buffer in self._buffers:
            if buffer._type in _ADDED and not buffer._flags & _READONLY and buffer not in used:
                buffer._view = memoryview(b"") if buffer._view is None else buffer._view[:0]

    def all(self, kind: SecBufferType) -> list[SecBuffer]:
        """Every buffer of a type, in order."""
        return [buffer for buffer in self._buffers if buffer._type is kind]

    def __repr__(self) -> str:
        return f"SecBufferDesc({list(self._buffers)!r})"


class SecChannelBindings:
    """Channel bindings in the shape of SEC_CHANNEL_BINDINGS, to be passed in a SecBuffer."""

    __slots__ = ("_memory",)

    def __init__(
        self,
        *,
        initiator_addr_type: int = 0,
        initiator_addr: bytes | bytearray | memoryview | None = None,
        acceptor_addr_type: int = 0,
        acceptor_addr: bytes | bytearray | memoryview | None = None,
        application_data: bytes | bytearray | memoryview | None = None,
    ) -> None:
        bindings = ChannelBindings(
            initiator_addr_type=initiator_addr_type,
            initiator_addr=bytes(initiator_addr or b""),
            acceptor_addr_type=acceptor_addr_type,
            acceptor_addr=bytes(acceptor_addr or b""),
            application_data=bytes(application_data or b""),
        )
        self._memory = bytearray(bindings.to_bytes())

    @property
    def bindings(self) -> ChannelBindings:
        """What the structure holds now."""
        return ChannelBindings.from_bytes(bytes(self._memory))

    @property
    def initiator_addr_type(self) -> int:
        """The initiator's address type (RFC 2744 section 3.11)."""
        return self.bindings.initiator_addr_type

    @property
    def initiator_addr(self) -> bytes | None:
        """The initiator's address, or None."""
        return self.bindings.initiator_addr or None

    @property
    def acceptor_addr_type(self) -> int:
        """The acceptor's address type."""
        return self.bindings.acceptor_addr_type

    @property
    def acceptor_addr(self) -> bytes | None:
        """The acceptor's address, or None."""
        return self.bindings.acceptor_addr or None

    @property
    def application_data(self) -> bytes | None:
        """The application data, such as a hash behind "tls-server-end-point" and a colon, or None."""
        return self.bindings.application_data or None

    def get_sec_buffer_copy(self) -> SecBuffer:
        """A SECBUFFER_CHANNEL_BINDINGS buffer with a copy of the structure."""
        return SecBuffer(bytearray(self._memory), SecBufferType.SECBUFFER_CHANNEL_BINDINGS)

    def dangerous_get_sec_buffer(self) -> SecBuffer:
        """A SECBUFFER_CHANNEL_BINDINGS buffer on the structure itself: what is written there changes the bindings."""
        return SecBuffer(self._memory, SecBufferType.SECBUFFER_CHANNEL_BINDINGS)

    def __repr__(self) -> str:
        names = ("initiator_addr_type", "initiator_addr", "acceptor_addr_type", "acceptor_addr", "application_data")
        return f"SecChannelBindings({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
