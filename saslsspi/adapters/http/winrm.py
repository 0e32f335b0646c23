"""Message encryption of WinRM: bodies of HTTP under the context that its headers have made (MS-WSMV section 2.2.9.1).

--Encrypted Boundary
    Content-Type: application/HTTP-SPNEGO-session-encrypted
    OriginalContent: type=application/soap+xml;charset=UTF-8;Length=LENGTH
--Encrypted Boundary
    Content-Type: application/octet-stream
size of the signature (4 octets, little-endian), signature, sealed message
--Encrypted Boundary--
"""

from __future__ import annotations

import enum
import re
from typing import Final

from saslsspi.context import Context
from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgContextStreamSizes
from saslsspi.errors import InvalidToken

__all__ = ["WinRmProtocol", "open_body", "seal_body"]

_BOUNDARY: Final = "Encrypted Boundary"
_CHUNK: Final = 16384  # of CredSSP: what one record of TLS holds
_LARGEST: Final = 1 << 26
_MOST_PARTS: Final = 1 << 12
_MOST_PADDING: Final = 16
_LENGTH: Final = re.compile(rb"Length=([0-9]{1,9})\s*\Z")
_OCTETS: Final = b"\tContent-Type: application/octet-stream\r\n"


class WinRmProtocol(enum.Enum):
    """What a body is sealed with: the scheme that logged on."""

    SPNEGO = "application/HTTP-SPNEGO-session-encrypted"  # Negotiate, NTLM
    KERBEROS = "application/HTTP-Kerberos-session-encrypted"
    CREDSSP = "application/HTTP-CredSSP-session-encrypted"


def seal_body(
    context: Context,
    body: bytes,
    protocol: WinRmProtocol,
    *,
    original: str = "application/soap+xml;charset=UTF-8",
) -> tuple[str, bytes]:
    """Seal a body.

    Args:
        context: Established, with confidentiality: `HttpLogon.context`, or `HttpUser.context` at a server.
        body: What is to be sent.
        protocol: The scheme that made the context.
        original: Its content type.

    Returns:
        The value of Content-Type, and the body to send in its place.

    Raises:
        SaslError: the context cannot seal.
    """
    whole = protocol is not WinRmProtocol.CREDSSP or len(body) <= _CHUNK
    pieces = [body] if whole else [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)]
    marker = f"--{_BOUNDARY}\r\n".encode()
    parts = []
    for piece in pieces:
        wire = context.wrap(piece)
        split, padding = (_record if protocol is WinRmProtocol.CREDSSP else _message)(context, len(piece), len(wire))
        parts += [
            marker,
            f"\tContent-Type: {protocol.value}\r\n".encode(),
            f"\tOriginalContent: type={original};Length={len(piece) + padding}\r\n".encode(),
            marker,
            _OCTETS,
            split.to_bytes(4, "little"),
            wire,
        ]
    kind = "multipart/encrypted" if whole else "multipart/x-multi-encrypted"
    content_type = f'{kind};protocol="{protocol.value}";boundary="{_BOUNDARY}"'
    return content_type, b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def open_body(context: Context, body: bytes, protocol: WinRmProtocol) -> bytes:
    """Return what was sealed in a body, verified.

    Raises:
        InvalidToken: it is not of this form.
        SaslError: it does not verify.
    """
    if len(body) > _LARGEST:
        raise InvalidToken(f"a sealed body of {len(body)} octets, at most {_LARGEST} are taken")
    # Exchange writes a blank between the hyphens and the boundary.
    marker = re.compile(rb"--[ \t]*" + re.escape(_BOUNDARY.encode()) + rb"(--)?\r\n")
    found = marker.match(body)
    pieces: list[bytes] = []
    while found is not None and not found[1]:
        heads = marker.search(body, found.end())
        length = None if heads is None else _LENGTH.search(body[found.end() : heads.start()])
        if heads is None or length is None or not body.startswith(_OCTETS, heads.end()) or len(pieces) == _MOST_PARTS:
            raise InvalidToken("a part of the sealed body has not the headers that it needs")
        at = heads.end() + len(_OCTETS)
        size = int(length[1])
        # The boundary may stand in the sealed octets by chance, but not before the message can be whole.
        found = marker.search(body, at + 4 + size)
        if found is None:
            raise InvalidToken("the sealed body is cut")
        signature = int.from_bytes(body[at : at + 4], "little")
        if signature > found.start() - at - 4:
            raise InvalidToken("the signature of a sealed body is longer than the body")
        text = context.unwrap(body[at + 4 : found.start()])
        # A record that is cut says nothing of itself, so nothing of a stream may be missing.
        most = 0 if protocol is WinRmProtocol.CREDSSP else _MOST_PADDING
        if not 0 <= size - len(text) <= most:
            raise InvalidToken(f"{len(text)} octets were sealed where {size} are announced")
        pieces.append(text)
    if found is None or found.end() != len(body) or not pieces:
        raise InvalidToken("this is no sealed body of WinRM")
    return b"".join(pieces)


def _message(context: Context, size: int, sealed: int) -> tuple[int, int]:
    """Return how many octets of a sealed message are called its signature, and how many its padding."""
    trailer = context.query(SecPkgContextSizes).security_trailer
    signature = min(trailer, sealed - size)
    return signature, sealed - size - signature


def _record(context: Context, size: int, sealed: int) -> tuple[int, int]:
    """What stands for the signature are the first octets of the record, as many as its trailer has."""
    return max(0, sealed - size - context.query(SecPkgContextStreamSizes).header), 0  # nothing has no record
