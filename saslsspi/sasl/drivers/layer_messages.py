"""The last two messages of GSSAPI, about the security layer (RFC 4752 sections 3.1 to 3.3), already unwrapped."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final, Self

from saslsspi.engine.exchange import Qop
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidToken

__all__ = ["LARGEST_SIZE", "NO_LAYER", "QOP_OF_LAYER", "LayerChosen", "LayerOffer", "SecurityLayer"]

_WORD: Final = Struct(">I")
LARGEST_SIZE: Final = 0xFFFFFF
"""What three octets can name."""

NO_LAYER: Final = 1
"""SecurityLayer.NONE as a number: `~` on the flag itself forgets the bits that have no name."""


class SecurityLayer(enum.IntFlag, boundary=enum.KEEP):
    """The layers of RFC 4752 section 3.3; bits that are not understood survive decoding, and are negotiated off."""

    NONE = 1
    INTEGRITY = 2
    CONFIDENTIALITY = 4


QOP_OF_LAYER: Final[Mapping[SecurityLayer, Qop]] = {
    SecurityLayer.NONE: Qop.AUTH,
    SecurityLayer.INTEGRITY: Qop.AUTH_INT,
    SecurityLayer.CONFIDENTIALITY: Qop.AUTH_CONF,
}


@dataclass(frozen=True, slots=True)
class LayerOffer:
    """The server's last message: the layers it offers (RFC 4752 section 3.2).

    Wire form, 4 octets: octet 0 is a mask of SecurityLayer, octets 1 to 3 are max_size, big-endian.

    Attributes:
        layers: The layers offered.
        max_size: Largest wrapped message that the server takes, in octets, below 2**24; 0 when it offers none.
    """

    layers: SecurityLayer
    max_size: int

    @classmethod
    def from_bytes(cls, data: bytes, tolerances: Tolerances = Tolerances.NONE) -> Self:
        """Decode an offer that is already unwrapped.

        Raises:
            InvalidToken: not 4 octets, or a size with no layer to use it.
        """
        # "If the resulting cleartext is not 4 octets long, the client fails the negotiation."
        if len(data) != _WORD.size:
            raise InvalidToken(f"the layer offer is {len(data)} octets, expected 4", requirement="RFC4752-3.1-09")
        (word,) = _WORD.unpack(data)
        layers, max_size = SecurityLayer(word >> 24), word & LARGEST_SIZE
        # "The client verifies that the server maximum buffer is 0 if the server does not advertise support for any
        # security layer."
        if not int(layers) & ~NO_LAYER and max_size and not tolerances & Tolerances.SIZE_WITHOUT_LAYER:
            raise InvalidToken(
                f"the server offers no security layer, and yet a size of {max_size}", requirement="RFC4752-3.1-10"
            )
        return cls(layers, max_size)

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        return _WORD.pack(self.layers << 24 | self.max_size)


@dataclass(frozen=True, slots=True)
class LayerChosen:
    """The client's last message: its choice (RFC 4752 section 3.1).

    Wire form: octet 0 is one bit of SecurityLayer, octets 1 to 3 are max_size, big-endian, and the rest is authzid
    in UTF-8 without a NUL at its end.

    Attributes:
        layer: The layer chosen, exactly one.
        max_size: Largest wrapped message that the client takes, in octets, below 2**24; 0 without a layer.
        authzid: The identity to act as, "" for the user's own.
    """

    layer: SecurityLayer
    max_size: int
    authzid: str

    @classmethod
    def from_bytes(cls, data: bytes, tolerances: Tolerances = Tolerances.NONE) -> Self:
        """Decode a choice that is already unwrapped.

        Raises:
            InvalidToken: too short, not one layer, a size without layer, or an identity that is not UTF-8.
        """
        if len(data) < _WORD.size:
            raise InvalidToken(f"the layer choice is {len(data)} octets, expected 4 or more")
        (word,) = _WORD.unpack_from(data)
        layer, max_size = SecurityLayer(word >> 24), word & LARGEST_SIZE
        if layer not in QOP_OF_LAYER:
            raise InvalidToken(
                f"the layer choice is {int(layer):#04x}, expected one of 1, 2 and 4", requirement="RFC4752-3.2-09"
            )
        # "The server verifies [...] that the client maximum buffer is 0 if no security layer was chosen."
        if layer is SecurityLayer.NONE and max_size and not tolerances & Tolerances.SIZE_WITHOUT_LAYER:
            raise InvalidToken(
                f"the client chose no security layer, and yet a size of {max_size}", requirement="RFC4752-3.2-10"
            )
        try:
            authzid = data[_WORD.size :].decode()
        except UnicodeDecodeError:
            raise InvalidToken("the authorization identity is not UTF-8", requirement="RFC4752-3.1-12") from None
        if "\0" in authzid:
            raise InvalidToken("there is a NUL in the authorization identity", requirement="RFC4752-3.1-12")
        return cls(layer, max_size, authzid)

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        return _WORD.pack(self.layer << 24 | self.max_size) + self.authzid.encode()
