"""The beginning of RDP, as far as CredSSP needs it: X.224's connection request and confirm (MS-RDPBCGR 2.2.1.1)."""

from __future__ import annotations

import socket
import struct
from typing import Final

__all__ = ["HYBRID", "answer_negotiation", "negotiate"]

HYBRID: Final = 2  # PROTOCOL_HYBRID: TLS with CredSSP
_REQUEST, _RESPONSE, _FAILURE = 1, 2, 3  # TYPE_RDP_NEG_REQ, _RSP, _FAILURE
_RESTRICTED_ADMIN: Final = 8  # RESTRICTED_ADMIN_MODE_SUPPORTED


def negotiate(peer: socket.socket) -> int:
    """Ask a server for CredSSP; return the protocol that it selects, or raise ConnectionError."""
    peer.sendall(_packet(0xE0, struct.pack("<BBHI", _REQUEST, 0, 8, HYBRID)))
    kind, _, _, protocol = _negotiation(_read(peer))
    if kind != _RESPONSE:
        raise ConnectionError(f"the server answers the request for CredSSP with {kind}, code {protocol}")
    return int(protocol)


def answer_negotiation(peer: socket.socket) -> None:
    """Read a client's connection request and select CredSSP."""
    kind, _, _, protocols = _negotiation(_read(peer))
    if kind != _REQUEST or not protocols & HYBRID:
        raise ConnectionError(f"the client does not offer CredSSP: {protocols:#x}")
    peer.sendall(_packet(0xD0, struct.pack("<BBHI", _RESPONSE, _RESTRICTED_ADMIN, 8, HYBRID)))


def _packet(code: int, negotiation: bytes) -> bytes:
    """A TPKT header (RFC 1006) around an X.224 connection request or confirm."""
    x224 = struct.pack(">BBHHB", 6 + len(negotiation), code, 0, 0, 0) + negotiation
    return struct.pack(">BBH", 3, 0, 4 + len(x224)) + x224


def _read(peer: socket.socket) -> bytes:
    version, _, size = struct.unpack(">BBH", _exactly(peer, 4))
    if version != 3:
        raise ConnectionError("no TPKT header")
    return _exactly(peer, size - 4)


def _negotiation(x224: bytes) -> tuple[int, ...]:
    """The last eight octets; a cookie may stand before them."""
    return struct.unpack("<BBHI", x224[-8:])


def _exactly(peer: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        more = peer.recv(count - len(read))
        if not more:
            raise ConnectionError("the peer has closed the connection")
        read += more
    return read
