"""The buffers of messages in several parts, as callers of pyspnego name them."""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["BufferType", "IOVBuffer", "IOVResBuffer"]


class BufferType(enum.IntEnum):
    """What a part of a message is."""

    empty = 0
    data = 1
    header = 2
    pkg_params = 3
    trailer = 7
    padding = 9
    stream = 10
    sign_only = 11
    mic_token = 12
    data_readonly = 4096


class IOVBuffer(NamedTuple):
    """A part that goes in; data may be a size, or whether the buffer is to be made."""

    type: BufferType
    data: bytes | int | bool | None


class IOVResBuffer(NamedTuple):
    """A part that comes out."""

    type: BufferType
    data: bytes | None
