"""TLS records as far as their headers go (RFC 8446 section 5.1): where one ends, and how much of it is missing."""

from __future__ import annotations

from struct import Struct
from typing import Final

from saslsspi.engine.protection import Octets
from saslsspi.errors import InvalidToken

__all__ = ["HEADER_SIZE", "MAX_TEXT", "ClearMessages", "are_sealed", "record_size", "whole_records"]

HEADER_SIZE: Final = 5
MAX_TEXT: Final = 16384
"""Largest plain text of one record, in octets."""
_HEADER: Final = Struct(">BBxH").unpack_from
_MAX_BODY: Final = MAX_TEXT + 2048  # RFC 5246 section 6.2.3; TLS 1.3 permits less
_TYPES: Final = frozenset((20, 21, 22, 23))  # change_cipher_spec, alert, handshake, application_data
_HANDSHAKE: Final = 22
_APPLICATION_DATA: Final = 23
_MESSAGE: Final = 4  # octets of a handshake message's header: its type, and its size in three octets


def record_size(octets: Octets, at: int = 0) -> int:
    """Return how many octets the record that begins at some place has, its header included.

    Raises:
        InvalidToken: it is no record of TLS, or one that is too long.
    """
    kind, major = octets[at], octets[at + 1]
    size = octets[at + 3] << 8 | octets[at + 4]
    if kind not in _TYPES or major != 3:
        raise InvalidToken(f"octets {kind:#04x} {major:#04x} where a record of TLS is due")
    if size > _MAX_BODY:
        raise InvalidToken(f"a TLS record of {size} octets is announced, at most {_MAX_BODY} are taken")
    return HEADER_SIZE + size


def whole_records(octets: Octets) -> tuple[int, int]:
    """Return how many octets the whole records at the beginning have, and how many are missing of the next one.

    Raises:
        InvalidToken: see record_size.
    """
    at, end = 0, len(octets)
    while end - at >= HEADER_SIZE:
        kind, major, body = _HEADER(octets, at)
        if kind not in _TYPES or major != 3 or body > _MAX_BODY:
            record_size(octets, at)  # says what is wrong
        if end - at - HEADER_SIZE < body:
            return at, body - (end - at - HEADER_SIZE)
        at += HEADER_SIZE + body
    if at < end:
        if octets[at] not in _TYPES or (end - at > 1 and octets[at + 1] != 3):
            raise InvalidToken(f"octet {octets[at]:#04x} where a record of TLS is due")
        return at, HEADER_SIZE - (end - at)
    return at, 0


def are_sealed(records: Octets) -> bool:
    """Return whether the last of whole records is sealed, as TLS 1.3 does from its second message on."""
    at, kind = 0, 0
    while at < len(records):
        kind = records[at]
        at += record_size(records, at)
    return kind == _APPLICATION_DATA


class ClearMessages:
    """The handshake messages that a peer has sent in clear, however its records cut them (RFC 5246 section 6.2.1)."""

    __slots__ = ("_hidden", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()  # of a message, what has come of it
        self._hidden = False

    def find(self, kind: int, records: Octets) -> bytes | None:
        """Take whole records; return the first message of a type that is complete with them, its header included."""
        at = 0
        while at < len(records) and not self._hidden:
            size = record_size(records, at)
            if records[at] == _HANDSHAKE:
                self._rest += records[at + HEADER_SIZE : at + size]
                if (found := self._cut(kind)) is not None:
                    return found
            else:
                self._hidden = True  # change_cipher_spec, or what is sealed already
            at += size
        return None

    def _cut(self, kind: int) -> bytes | None:
        """Take the messages that are whole off the front."""
        at, found = 0, None
        while found is None and len(self._rest) - at >= _MESSAGE:
            end = at + _MESSAGE + int.from_bytes(self._rest[at + 1 : at + _MESSAGE])
            if end > len(self._rest):
                break
            found, at = bytes(self._rest[at:end]) if self._rest[at] == kind else None, end
        del self._rest[:at]
        return found
