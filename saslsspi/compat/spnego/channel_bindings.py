"""Channel bindings, as callers of pyspnego make them."""

from __future__ import annotations

import enum
import struct
from typing import Final

from saslsspi.channel_bindings import ChannelBindings

__all__ = ["AddressType", "GssChannelBindings"]

_LONG: Final = struct.Struct("<I")


class AddressType(enum.IntEnum):
    """The types of addresses of GSS-API (RFC 2744 section 3.11); nbs is 8 there and here, as pyspnego has it."""

    unspecified = 0
    local = 1
    inet = 2
    implink = 3
    pup = 4
    chaos = 5
    ns = 6
    nbs = 8
    ecma = 8  # an alias, as there
    datakit = 9
    ccitt = 10
    sna = 11
    decnet = 12
    dli = 13
    lat = 14
    hylink = 15
    appletalk = 16
    bsc = 17
    dss = 18
    osi = 19
    x25 = 21
    inet6 = 24
    nulladdr = 255


class GssChannelBindings:
    """Two addresses, which hardly anybody gives, and the channel's data: b"tls-server-end-point:" and a hash, say."""

    def __init__(
        self,
        initiator_addrtype: AddressType = AddressType.unspecified,
        initiator_address: bytes | None = None,
        acceptor_addrtype: AddressType = AddressType.unspecified,
        acceptor_address: bytes | None = None,
        application_data: bytes | None = None,
    ) -> None:
        self.initiator_addrtype = AddressType(initiator_addrtype)
        self.initiator_address = initiator_address
        self.acceptor_addrtype = AddressType(acceptor_addrtype)
        self.acceptor_address = acceptor_address
        self.application_data = application_data

    def pack(self) -> bytes:
        """Return the octets that NTLM hashes: numbers of 4 octets, little-endian, values after their sizes."""
        return b"".join(
            (
                _LONG.pack(self.initiator_addrtype),
                _sized(self.initiator_address),
                _LONG.pack(self.acceptor_addrtype),
                _sized(self.acceptor_address),
                _sized(self.application_data),
            )
        )

    @staticmethod
    def unpack(b_data: bytes) -> GssChannelBindings:
        """Return the bindings of packed octets.

        Raises:
            ValueError: they are cut.
        """
        at = 0

        def number() -> int:
            nonlocal at
            if at + _LONG.size > len(b_data):
                raise ValueError(f"channel bindings are cut after {len(b_data)} octets")
            (found,) = _LONG.unpack_from(b_data, at)
            at += _LONG.size
            return int(found)

        def value() -> bytes:
            nonlocal at
            size = number()
            if at + size > len(b_data):
                raise ValueError(f"channel bindings are cut after {len(b_data)} octets")
            at += size
            return bytes(b_data[at - size : at])

        return GssChannelBindings(AddressType(number()), value(), AddressType(number()), value(), value())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GssChannelBindings):
            other = other.pack()
        return isinstance(other, bytes) and self.pack() == other

    __hash__ = None  # type: ignore[assignment]  # it can be changed, as there

    def __str__(self) -> str:
        return (
            f"{type(self).__name__} "
            f"initiator_addr(AddressType.{self.initiator_addrtype.name}|{self.initiator_address!r}) | "
            f"acceptor_addr(AddressType.{self.acceptor_addrtype.name}|{self.acceptor_address!r}) | "
            f"application_data({self.application_data!r})"
        )

    def __repr__(self) -> str:
        return (
            f"spnego.channel_bindings.{type(self).__name__} "
            f"initiator_addrtype={self.initiator_addrtype!r}|initiator_address={self.initiator_address!r}|"
            f"acceptor_addrtype={self.acceptor_addrtype!r}|acceptor_address={self.acceptor_address!r}|"
            f"application_data={self.application_data!r}"
        )


def _sized(value: bytes | None) -> bytes:
    return _LONG.pack(len(value or b"")) + (value or b"")


def native(bindings: GssChannelBindings | None) -> ChannelBindings | None:
    """Return the engine's bindings; whatever has pyspnego's attributes will do."""
    if bindings is None:
        return None
    return ChannelBindings(
        int(bindings.initiator_addrtype),
        bindings.initiator_address or b"",
        int(bindings.acceptor_addrtype),
        bindings.acceptor_address or b"",
        bindings.application_data or b"",
    )
