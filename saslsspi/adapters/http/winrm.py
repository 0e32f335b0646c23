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

from saslsspi import sspi
from saslsspi.errors import IncompleteMessage, InvalidToken
from saslsspi.sspi import (
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecPkgContextSizes,
    SecPkgContextStreamSizes,
)

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
    context: sspi.CtxtHandle,
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
        signature, sealed, padding = (_record if protocol is WinRmProtocol.CREDSSP else _message)(context, piece)
        parts += [
            marker,
            f"\tContent-Type: {protocol.value}\r\n".encode(),
            f"\tOriginalContent: type={original};Length={len(piece) + padding}\r\n".encode(),
            marker,
            _OCTETS,
            len(signature).to_bytes(4, "little"),
            signature,
            sealed,
        ]
    kind = "multipart/encrypted" if whole else "multipart/x-multi-encrypted"
    content_type = f'{kind};protocol="{protocol.value}";boundary="{_BOUNDARY}"'
    return content_type, b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def open_body(context: sspi.CtxtHandle, body: bytes, protocol: WinRmProtocol) -> bytes:
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
        text = (_records_opened if protocol is WinRmProtocol.CREDSSP else _opened)(
            context, body[at + 4 : found.start()]
        )
        if not 0 <= size - len(text) <= _MOST_PADDING:
            raise InvalidToken(f"{len(text)} octets were sealed where {size} are announced")
        pieces.append(text)
    if found is None or found.end() != len(body) or not pieces:
        raise InvalidToken("this is no sealed body of WinRM")
    return b"".join(pieces)


def _message(context: sspi.CtxtHandle, text: bytes) -> tuple[bytes, bytes, int]:
    sizes = sspi.query_context_attributes(context, SecPkgContextSizes)
    token = SecBuffer(bytearray(sizes.security_trailer), SecBufferType.SECBUFFER_TOKEN)
    data = SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA)
    padding = SecBuffer(bytearray(sizes.block_size), SecBufferType.SECBUFFER_PADDING)
    sspi.encrypt_message(context, 0, SecBufferDesc([token, data, padding]), 0)
    return token.data, data.data + padding.data, len(padding.data)


def _record(context: sspi.CtxtHandle, text: bytes) -> tuple[bytes, bytes, int]:
    """What stands for the signature are the first octets of the record, as many as its trailer has."""
    sizes = sspi.query_context_attributes(context, SecPkgContextStreamSizes)
    buffers = [
        SecBuffer(bytearray(sizes.header), SecBufferType.SECBUFFER_STREAM_HEADER),
        SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA),
        SecBuffer(bytearray(sizes.trailer), SecBufferType.SECBUFFER_STREAM_TRAILER),
    ]
    sspi.encrypt_message(context, 0, SecBufferDesc(buffers), 0)
    record = b"".join(buffer.data for buffer in buffers)
    split = len(buffers[2].data)
    return record[:split], record[split:], 0


def _opened(context: sspi.CtxtHandle, octets: bytes) -> bytes:
    stream = SecBuffer(bytearray(octets), SecBufferType.SECBUFFER_STREAM)
    data = SecBuffer(None, SecBufferType.SECBUFFER_DATA)
    sspi.decrypt_message(context, SecBufferDesc([stream, data]), 0)
    return data.data


def _records_opened(context: sspi.CtxtHandle, octets: bytes) -> bytes:
    text, left = b"", octets
    while left:
        empties = [SecBuffer(None, SecBufferType.SECBUFFER_EMPTY) for _ in range(3)]
        message = SecBufferDesc([SecBuffer(bytearray(left), SecBufferType.SECBUFFER_DATA), *empties])
        try:
            sspi.decrypt_message(context, message, 0)
        except IncompleteMessage as error:
            raise InvalidToken("a record in the sealed body is cut") from error
        found, extra = message.first(SecBufferType.SECBUFFER_DATA), message.first(SecBufferType.SECBUFFER_EXTRA)
        text += b"" if found is None else found.data
        left = b"" if extra is None else extra.data
    return text
