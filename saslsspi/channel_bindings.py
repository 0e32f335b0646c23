"""Channel bindings: what ties an exchange to the TLS channel around it (RFC 5056, RFC 5929, RFC 9266).

One value serves all consumers: Win32 passes it as SEC_CHANNEL_BINDINGS, GSS mechanisms and NTLM carry a hash of it,
and SCRAM takes its type and data apart.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from saslsspi.crypto.certificate_hash import signature_hash
from saslsspi.crypto.md5 import md5
from saslsspi.errors import InvalidParameter, InvalidToken

__all__ = ["ChannelBindings"]

_HEADER: Final = struct.Struct("<8I")
_UINT32: Final = struct.Struct("<I")
_BUFFER: Final = struct.Struct("<2I")
# RFC 5056 section 7: names are of letters, digits, hyphens and periods.
_TYPE_NAME: Final = re.compile(rb"[A-Za-z0-9.-]+\Z")


@dataclass(frozen=True, slots=True)
class ChannelBindings:
    """The channel bindings of one exchange (RFC 2744 section 3.11).

    Wire form, SEC_CHANNEL_BINDINGS of Win32, little-endian, offsets from its first octet:

        DWORD dwInitiatorAddrType, cbInitiatorLength, dwInitiatorOffset
        DWORD dwAcceptorAddrType, cbAcceptorLength, dwAcceptorOffset
        DWORD cbApplicationDataLength, dwApplicationDataOffset
        octets of the three

    Attributes:
        initiator_addr_type: GSS_C_AF value; TLS bindings leave both addresses empty.
        initiator_addr: The initiator's address.
        acceptor_addr_type: GSS_C_AF value.
        acceptor_addr: The acceptor's address.
        application_data: The type's name, a colon and the binding itself (RFC 5056 section 2.1).
    """

    initiator_addr_type: int = 0
    initiator_addr: bytes = b""
    acceptor_addr_type: int = 0
    acceptor_addr: bytes = b""
    application_data: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode a SEC_CHANNEL_BINDINGS.

        Raises:
            InvalidParameter: header or data are cut, data lie outside the structure, or octets are left over.
        """
        if len(data) < _HEADER.size:
            raise InvalidParameter(f"SEC_CHANNEL_BINDINGS of {len(data)} octets, expected at least {_HEADER.size}")
        (initiator_type, initiator_size, initiator_at, acceptor_type, acceptor_size, acceptor_at, size, at) = (
            _HEADER.unpack_from(data)
        )
        total = _HEADER.size + initiator_size + acceptor_size + size
        if total != len(data):
            raise InvalidParameter(f"SEC_CHANNEL_BINDINGS of {len(data)} octets describes {total}")
        return cls(
            initiator_type,
            _slice(data, initiator_at, initiator_size),
            acceptor_type,
            _slice(data, acceptor_at, acceptor_size),
            _slice(data, at, size),
        )

    def to_bytes(self) -> bytes:
        """Encode, data in the order of their fields; an empty one has offset 0, as Windows writes it."""
        at = [_HEADER.size]
        for data in (self.initiator_addr, self.acceptor_addr):
            at.append(at[-1] + len(data))
        header = _HEADER.pack(
            self.initiator_addr_type,
            len(self.initiator_addr),
            at[0] if self.initiator_addr else 0,
            self.acceptor_addr_type,
            len(self.acceptor_addr),
            at[1] if self.acceptor_addr else 0,
            len(self.application_data),
            at[2] if self.application_data else 0,
        )
        return b"".join((header, self.initiator_addr, self.acceptor_addr, self.application_data))

    def gss_hash(self) -> bytes:
        """Return the MD5, 16 octets, that Kerberos and NTLM carry (RFC 4121 section 4.1.1.2, MS-NLMP 2.2.2.1)."""
        # RFC 4121 section 4.1.1.2: "each integer field and input length field SHALL be formatted into four octets,
        # using little-endian octet ordering", zero lengths included.
        return md5(
            b"".join(
                (
                    _BUFFER.pack(self.initiator_addr_type, len(self.initiator_addr)),
                    self.initiator_addr,
                    _BUFFER.pack(self.acceptor_addr_type, len(self.acceptor_addr)),
                    self.acceptor_addr,
                    _UINT32.pack(len(self.application_data)),
                    self.application_data,
                )
            )
        ).digest()

    @property
    def type_name(self) -> str:
        """The binding's type, "tls-server-end-point" for one; empty when the data carry no type."""
        name, colon, _ = self.application_data.partition(b":")
        return name.decode("ascii") if colon and _TYPE_NAME.match(name) else ""

    @property
    def type_data(self) -> bytes:
        """The binding behind the type's name and colon, which SCRAM's c= carries after the GS2 header."""
        name = self.type_name
        return self.application_data[len(name) + 1 :] if name else self.application_data

    def __repr__(self) -> str:
        name, size = self.type_name or "untyped", len(self.type_data)
        addresses = f", addresses of {len(self.initiator_addr)} and {len(self.acceptor_addr)} octets"
        return (
            f"<ChannelBindings {name}, {size} octets{addresses if self.initiator_addr or self.acceptor_addr else ''}>"
        )

    @classmethod
    def tls_server_end_point(cls, certificate_der: bytes) -> Self:
        """Bind to the server's certificate, DER as in its Certificate message (RFC 5929 section 4).

        The hash is that of the certificate's signature, and SHA-256 where that is MD5 or SHA-1. Of a signature that
        has no hash of its own (Ed25519, Ed448, ML-DSA) RFC 5929 says nothing: SHA-256 is this library's rule, and
        others may have another. Where a peer refuses such bindings, its certificate is the reason; leave them out with
        ChannelBindingPolicy.NONE, or make them with ChannelBindings(application_data=...).

        Raises:
            InvalidParameter: it is not an X.509 certificate.
        """
        return cls._typed(b"tls-server-end-point", _certificate_hash(certificate_der))

    @classmethod
    def tls_unique(cls, data: bytes) -> Self:
        """Bind to the first Finished message of the latest handshake (RFC 5929 section 3); not with TLS 1.3."""
        return cls._typed(b"tls-unique", data)

    @classmethod
    def tls_exporter(cls, data: bytes) -> Self:
        """Bind to 32 octets of the exporter "EXPORTER-Channel-Binding", empty context (RFC 9266 section 2)."""
        return cls._typed(b"tls-exporter", data)

    @classmethod
    def _typed(cls, name: bytes, data: bytes) -> Self:
        if not data:
            raise InvalidParameter(f"{name.decode()} without data")
        return cls(application_data=name + b":" + data)


def _slice(data: bytes, at: int, size: int) -> bytes:
    if not size:
        return b""
    if at < _HEADER.size or size > len(data) - at:
        raise InvalidParameter(f"{size} octets at {at} lie outside a SEC_CHANNEL_BINDINGS of {len(data)}")
    return data[at : at + size]


def _certificate_hash(certificate_der: bytes) -> bytes:
    try:
        name = signature_hash(certificate_der)
    except InvalidToken as error:
        raise InvalidParameter(f"{len(certificate_der)} octets are not a DER X.509 certificate") from error
    # RFC 5929 section 4.1: SHA-256 where the signature's hash is MD5 or SHA-1. Signatures without a hash of their own
    # (Ed25519, ML-DSA) are left undefined there: SHA-256 too, for want of a rule.
    if name in (None, "md5", "sha1"):
        name = "sha256"
    return hashlib.new(name, certificate_der).digest()
