"""AV_PAIR lists: what an acceptor tells of itself, and what a client binds into its answer (MS-NLMP 2.2.2.1)."""

from __future__ import annotations

import enum
from struct import Struct
from typing import Final

from saslsspi.errors import InvalidToken

__all__ = ["AvFlag", "AvId", "decode_pairs", "encode_pairs", "pair"]

_HEAD: Final = Struct("<HH")
_MAX_PAIRS: Final = 64


class AvId(enum.IntEnum):
    """What an AV_PAIR holds."""

    EOL = 0
    NB_COMPUTER_NAME = 1
    NB_DOMAIN_NAME = 2
    DNS_COMPUTER_NAME = 3
    DNS_DOMAIN_NAME = 4
    DNS_TREE_NAME = 5
    FLAGS = 6
    TIMESTAMP = 7
    SINGLE_HOST = 8
    TARGET_NAME = 9
    CHANNEL_BINDINGS = 10


class AvFlag(enum.IntFlag):
    """The bits of MsvAvFlags."""

    CONSTRAINED = 1
    MIC = 2
    UNTRUSTED_SPN = 4


_SIZES: Final = {int(AvId.FLAGS): 4, int(AvId.TIMESTAMP): 8, int(AvId.CHANNEL_BINDINGS): 16}
_NAMES: Final = frozenset({1, 2, 3, 4, 5, 9})


def decode_pairs(data: bytes, start: int = 0, *, trailing: bool = False) -> dict[int, bytes]:
    """Decode a list up to its end; the values by AvId, in their order, ids we do not know included.

    Args:
        data: Octets that hold the list.
        start: Where it begins.
        trailing: Whether octets may follow the end, as they do in an NTLMv2 response.

    Raises:
        InvalidToken: there is no end, a value is cut or has a wrong size, or an id is there twice.
    """
    pairs: dict[int, bytes] = {}
    at, stop = start, len(data)
    while at + 4 <= stop:
        kind, size = _HEAD.unpack_from(data, at)
        at += 4
        if kind == 0:
            # "The AvLen field MUST be 0"; MsvAvEOL MUST be the last item.
            if size or (at != stop and not trailing):
                raise InvalidToken("MsvAvEOL is not empty, or not the last pair", requirement="MSNLMP-2.2.2.1-02")
            return pairs
        if size > stop - at or size != _SIZES.get(kind, size) or (kind in _NAMES and size & 1):
            raise InvalidToken(f"AV_PAIR {kind} of {size} octets", requirement="MSNLMP-2.2.2.1-01")
        if kind in pairs or len(pairs) == _MAX_PAIRS:
            raise InvalidToken(f"AV_PAIR {kind} is there twice, or there are more than {_MAX_PAIRS}")
        pairs[kind] = data[at : at + size]
        at += size
    raise InvalidToken("the AV_PAIR list has no MsvAvEOL", requirement="MSNLMP-2.2.2.1-02")


def pair(kind: int, value: bytes) -> bytes:
    """Encode one pair."""
    if len(value) > 0xFFFF:
        raise InvalidToken(f"AV_PAIR {kind} of {len(value)} octets does not fit")
    return _HEAD.pack(kind, len(value)) + value


def encode_pairs(pairs: dict[int, bytes]) -> bytes:
    """Encode a list with its end."""
    return b"".join([pair(kind, value) for kind, value in pairs.items()]) + bytes(4)
