"""What goes with a handshake: the list of ALPN, the server's list of issuers, the host in a target name."""

from __future__ import annotations

from struct import Struct
from typing import Final

from saslsspi.errors import InvalidParameter

__all__ = ["application_protocols", "host_of", "issuers"]

_LISTS: Final = Struct("<I")
_LIST: Final = Struct("<IH")
_ALPN: Final = 2  # SecApplicationProtocolNegotiationExt_ALPN
_CERTIFICATE_AUTHORITIES: Final = 47  # RFC 8446 section 4.2.4


def host_of(target: str) -> str:
    """Return the host of a target name: "ldap/host.example:389/x" and "host.example" mean the same."""
    _, slash, rest = target.partition("/")
    host = (rest if slash else target).partition("/")[0]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def application_protocols(buffer: bytes) -> tuple[str, ...]:
    """Return the names of ALPN in a SEC_APPLICATION_PROTOCOLS.

    Raises:
        InvalidParameter: it is malformed.
    """
    if not buffer:
        return ()
    try:
        (size,) = _LISTS.unpack_from(buffer)
        kind, length = _LIST.unpack_from(buffer, 4)
        names, at = [], 10
        while at < 10 + length:
            end = at + 1 + buffer[at]
            names.append(buffer[at + 1 : end].decode("ascii"))
            at = end
        if kind != _ALPN or size + 4 != len(buffer) or at != len(buffer) or "" in names:
            raise ValueError
    except (ValueError, LookupError, ArithmeticError) as error:
        raise InvalidParameter("SECBUFFER_APPLICATION_PROTOCOLS holds no list of ALPN names") from error
    except Exception as error:  # struct.error
        raise InvalidParameter("SECBUFFER_APPLICATION_PROTOCOLS is cut short") from error
    return tuple(names)


def issuers(request: bytes, *, new: bool) -> tuple[bytes, ...]:
    """Return the names of authorities in a CertificateRequest, header included; unreadable ones are no names.

    Args:
        request: The handshake message.
        new: Whether it is one of TLS 1.3.
    """
    try:
        at = 4
        at += 1 + request[at]  # certificate_request_context, or certificate_types
        if new:
            end = at + 2 + _uint16(request, at)
            at += 2
            while at < end:
                kind, size = _uint16(request, at), _uint16(request, at + 2)
                if kind == _CERTIFICATE_AUTHORITIES:
                    return _names(request, at + 4)
                at += 4 + size
            return ()
        at += 2 + _uint16(request, at)  # supported_signature_algorithms
        return _names(request, at)
    except IndexError:
        return ()


def _names(octets: bytes, at: int) -> tuple[bytes, ...]:
    names, end = [], at + 2 + _uint16(octets, at)
    at += 2
    while at < end:
        size = _uint16(octets, at)
        names.append(octets[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(names)


def _uint16(octets: bytes, at: int) -> int:
    return octets[at] << 8 | octets[at + 1]
